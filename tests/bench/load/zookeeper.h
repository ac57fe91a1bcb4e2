// A session of ZooKeeper: its protocol on a connection of its own.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/load/session_time.h"
#include "tests/bench/load/stream.h"

namespace tests::load {

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
  enum class Kind : std::int32_t { persistent = 0, ephemeral = 1, ephemeral_sequential = 3 };

  static constexpr std::int32_t kNoNode = -101;
  static constexpr std::int32_t kNodeExists = -110;

  // `error`: of ZooKeeper, 0 if it is none.
  using Answer = std::function<void(std::int32_t error, std::string_view body)>;
  using Changed = std::function<void(const std::string& path)>;

  // `changed` is called for each event of a watch.
  ZooKeeper(Loop& loop, const std::string& address, Changed changed);
  ~ZooKeeper();

  void create(const std::string& path, Kind kind, Answer answer);
  void remove(const std::string& path, Answer answer);
  // `watch` is for exists and get_data.
  void look(Operation operation, const std::string& path, bool watch, Answer answer);

  // Version 3.8.0 may not notice that it has something to do until the next request comes
  // (ZOOKEEPER-4537), which is a ping then. One session at each server does that.
  void nudge();

 private:
  void ask(Operation operation, const std::string& body, Answer answer);
  std::size_t take(std::string_view bytes);
  void take_message(std::string_view in);
  void nudge_unless_heard(std::size_t received_before);

  Loop& loop_;
  Changed changed_;
  bool connected_ = false;
  std::size_t received_ = 0;  // Messages.
  std::int32_t last_ = 0;     // Request.
  std::deque<Answer> awaited_;
  Stream stream_;
};

// Throws std::runtime_error if there is an error.
void require_zookeeper(std::int32_t error, const char* what);

// Of bodies of answers; these throw if one is too short. The path of a new node:
std::string path_of(std::string_view body);
// The names below a node, in no order:
std::vector<std::string> children_of(std::string_view body);

}  // namespace tests::load
