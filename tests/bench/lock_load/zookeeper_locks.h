// ZooKeeper's locks by the recipe of kazoo: an ephemeral node with a sequence number below the node
// of the lock; held by who has the lowest, and each other one watches the one before it.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/lock_load/locks.h"
#include "tests/bench/lock_load/stream.h"

namespace tests::lock_load {

class ZooKeeper {
 public:
  enum class Operation : std::int32_t {
    create = 1,
    remove = 2,
    exists = 3,
    get_data = 4,
    get_children = 8,
    ping = 11,
    close = -11,
  };
  enum class Kind : std::int32_t { persistent = 0, ephemeral_sequential = 3 };

  // `error`: of ZooKeeper, 0 if it is none.
  using Answer = std::function<void(std::int32_t error, std::string_view body)>;

  // `changed` is called for each event of a watch.
  ZooKeeper(Loop& loop, const std::string& address, std::function<void()> changed);
  ~ZooKeeper();

  void create(const std::string& path, Kind kind, Answer answer);
  void remove(const std::string& path, Answer answer);
  // `watch` is for get_data.
  void look(Operation operation, const std::string& path, bool watch, Answer answer);
  void ping();

  std::size_t received() const { return received_; }

 private:
  void ask(Operation operation, const std::string& body, Answer answer);
  std::size_t take(std::string_view bytes);

  std::function<void()> changed_;
  bool connected_ = false;
  std::size_t received_ = 0;  // Messages.
  std::int32_t last_ = 0;     // Request.
  std::deque<Answer> awaited_;
  Stream stream_;
};

// The node with the highest number below that of `own`; empty if `own` is the first. `children` is
// a vector of strings as it is sent. Throws if `own` is not among them.
std::string predecessor(std::string_view children, const std::string& own);

class ZooKeeperLocks : public Locks {
 public:
  // `number` is no other client's. One client of each server `nudges` it: version 3.8.0 may not
  // notice that it has something to do until the next request comes (ZOOKEEPER-4537), which is a
  // ping then.
  ZooKeeperLocks(Loop& loop, const std::string& address, std::size_t number, bool nudges);

  void acquire(const std::string& name, Done granted) override;
  void release(Done released) override;

 private:
  void ensure(const std::string& path, const Done& done);
  void enter_queue();
  void look_at_queue();
  void nudge(std::size_t received_before);

  Loop& loop_;
  std::string prefix_;
  std::set<std::string, std::less<>> ensured_;  // As a kazoo.Lock that is used again remembers it.
  std::string folder_;                          // Of the lock.
  std::string own_;                             // Node of this client below it.
  Done granted_;
  bool watching_ = false;
  ZooKeeper server_;
};

}  // namespace tests::lock_load
