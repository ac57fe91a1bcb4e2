// The steps of a deadlock as C programs get them.
#pragma once

#include <liblock/request.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "liblock/arguments.h"
#include "liblock/copy_text.h"
#include "liblock/protocol/lock_messages.h"

namespace liblock {

inline lock_deadlock_lock deadlock_lock_of(const protocol::LockRef& from) {
  lock_deadlock_lock lock{};
  lock.session = base::value(from.session);
  lock.id = base::value(from.acquire);
  lock.node = base::value(from.node);
  lock.pid = from.pid;
  copy_text(from.command, lock.command, sizeof lock.command);
  return lock;
}

inline lock_deadlock_step deadlock_step_of(const protocol::DeadlockStep& from) {
  lock_deadlock_step step{};
  step.size = sizeof step;
  step.waits = deadlock_lock_of(from.waits);
  step.wants = static_cast<lock_mode>(from.wants);
  step.blocker = deadlock_lock_of(from.blocker);
  step.has = static_cast<lock_mode>(from.has);
  copy_text(from.lockspace, step.lockspace, sizeof step.lockspace);
  step.name_len = from.resource.size();
  copy_text(from.resource, step.name, sizeof step.name);
  return step;
}

// Copies up to `count` into an array whose elements are as large as the first one says; answers how
// many there are, or LOCK_ERROR_INVALID.
inline int copy_steps(const std::vector<protocol::DeadlockStep>& from, lock_deadlock_step* steps,
                      std::size_t count) {
  if (count > 0 && (steps == nullptr || steps->size < sizeof(size_t))) return LOCK_ERROR_INVALID;
  const std::size_t size = count > 0 ? steps->size : 0;
  for (std::size_t i = 0; i < std::min(count, from.size()); ++i) {
    auto* to = reinterpret_cast<char*>(steps) + i * size;
    std::memcpy(to, &size, sizeof size);
    write_sized(deadlock_step_of(from[i]), to);
  }
  return static_cast<int>(from.size());
}

}  // namespace liblock
