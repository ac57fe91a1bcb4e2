#include "tests/bench/lock_load/zookeeper_locks.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace tests::lock_load {
namespace {

using load::ZooKeeper;

constexpr std::size_t kSequenceDigits = 10;
constexpr std::string_view kRoot = "/locks";

std::string_view sequence(std::string_view node) {
  return node.substr(node.size() - std::min(node.size(), kSequenceDigits));
}

}  // namespace

std::string predecessor(const std::vector<std::string>& children, const std::string& own) {
  std::string_view before;
  bool found = false;
  for (const std::string& child : children) {
    found = found || child == own;
    if (sequence(child) < sequence(own) && (before.empty() || sequence(before) < sequence(child)))
      before = child;
  }
  if (!found) throw std::runtime_error("ZooKeeper has lost a node");
  return std::string(before);
}

ZooKeeperLocks::ZooKeeperLocks(load::Loop& loop, const std::string& address, std::size_t number,
                               bool nudges)
    : prefix_(std::to_string(10'000 + number)), server_(loop, address, [this](const std::string&) {
        if (std::exchange(watching_, false)) look_at_queue();
      }) {
  prefix_.append(32 - prefix_.size(), '0').append("__lock__");
  if (nudges) server_.nudge();
  bool ready = false;
  ensure(std::string(kRoot), [&] { ready = true; });
  loop.turn_until([&] { return ready; }, load::kSessionTime, "the first node of ZooKeeper");
}

void ZooKeeperLocks::acquire(const std::string& name, Done granted) {
  folder_ = std::string(kRoot) + "/" + name;
  granted_ = std::move(granted);
  if (ensured_.count(folder_) != 0) return enter_queue();
  ensure(folder_, [this] {
    ensured_.insert(folder_);
    enter_queue();
  });
}

// As kazoo's ensure_path: looks first.
void ZooKeeperLocks::ensure(const std::string& path, const Done& done) {
  server_.look(ZooKeeper::Operation::exists, path, false,
               [this, path, done](std::int32_t missing, std::string_view) {
                 if (missing == 0) return done();
                 if (missing != ZooKeeper::kNoNode) load::require_zookeeper(missing, "exists");
                 server_.create(path, ZooKeeper::Kind::persistent,
                                [done](std::int32_t error, std::string_view) {
                                  if (error != ZooKeeper::kNodeExists)
                                    load::require_zookeeper(error, "create");
                                  done();
                                });
               });
}

void ZooKeeperLocks::enter_queue() {
  server_.create(folder_ + "/" + prefix_, ZooKeeper::Kind::ephemeral_sequential,
                 [this](std::int32_t error, std::string_view body) {
                   load::require_zookeeper(error, "create");
                   own_ = load::path_of(body).substr(folder_.size() + 1);
                   look_at_queue();
                 });
}

void ZooKeeperLocks::look_at_queue() {
  server_.look(ZooKeeper::Operation::get_children, folder_, false,
               [this](std::int32_t error, std::string_view body) {
                 load::require_zookeeper(error, "get_children");
                 const std::string before = predecessor(load::children_of(body), own_);
                 if (before.empty()) return std::exchange(granted_, nullptr)();
                 watching_ = true;
                 server_.look(ZooKeeper::Operation::get_data, folder_ + "/" + before, true,
                              [this](std::int32_t gone, std::string_view) {
                                if (gone == 0) return;
                                if (gone != ZooKeeper::kNoNode)
                                  load::require_zookeeper(gone, "get_data");
                                if (std::exchange(watching_, false)) look_at_queue();
                              });
               });
}

void ZooKeeperLocks::release(Done released) {
  server_.remove(folder_ + "/" + own_,
                 [done = std::move(released)](std::int32_t error, std::string_view) {
                   load::require_zookeeper(error, "delete");
                   done();
                 });
}

}  // namespace tests::lock_load
