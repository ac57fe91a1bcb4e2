// ZooKeeper's locks by the recipe of kazoo: an ephemeral node with a sequence number below the node
// of the lock; held by who has the lowest, and each other one watches the one before it.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "tests/bench/load/zookeeper.h"
#include "tests/bench/lock_load/locks.h"

namespace tests::lock_load {

// The node with the highest number below that of `own`; empty if `own` is the first. Throws if
// `own` is not among the children.
std::string predecessor(const std::vector<std::string>& children, const std::string& own);

class ZooKeeperLocks : public Locks {
 public:
  // `number` is no other client's.
  ZooKeeperLocks(load::Loop& loop, const std::string& address, std::size_t number, bool nudges);

  void acquire(const std::string& name, Done granted) override;
  void release(Done released) override;

 private:
  void ensure(const std::string& path, const Done& done);
  void enter_queue();
  void look_at_queue();

  std::string prefix_;
  std::set<std::string, std::less<>> ensured_;  // As a kazoo.Lock that is used again remembers it.
  std::string folder_;                          // Of the lock.
  std::string own_;                             // Node of this client below it.
  Done granted_;
  bool watching_ = false;
  load::ZooKeeper server_;
};

}  // namespace tests::lock_load
