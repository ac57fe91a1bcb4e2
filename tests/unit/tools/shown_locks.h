// Locks as a daemon shows them, made by hand.
#pragma once

#include <string>
#include <utility>

#include "tools/lockctl/answers.h"

namespace tools::lockctl {

// Of session and pid `id`, on the node of the same number.
inline ShownLock holder(std::uint32_t id, std::string mode) {
  ShownLock lock;
  lock.granted = true;
  lock.mode = std::move(mode);
  lock.token = 100 + id;
  lock.session = id;
  lock.node = id;
  lock.pid = id;
  lock.uid = 1000;
  lock.command = "p" + std::to_string(id);
  lock.since = 1000;
  return lock;
}

inline ShownLock converter(std::uint32_t id, std::string mode, std::string wants,
                           std::uint32_t position) {
  ShownLock lock = holder(id, std::move(mode));
  lock.waiting = true;
  lock.wants = std::move(wants);
  lock.position = position;
  return lock;
}

inline ShownLock waiter(std::uint32_t id, std::string wants, std::uint32_t position) {
  ShownLock lock = converter(id, wants, wants, position);
  lock.granted = false;
  lock.token = 0;
  return lock;
}

inline Showing showing(std::vector<ShownLock> locks) {
  Showing showing;
  showing.lockspace = "default";
  showing.name = "jobs";
  showing.locks = std::move(locks);
  showing.now = 1005;
  return showing;
}

}  // namespace tools::lockctl
