#include "liblock/deadlock_log.h"

#include <algorithm>

namespace liblock {
namespace {

std::string printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

std::string to_text(const protocol::LockRef& lock) {
  std::string text = "lock " + std::to_string(base::value(lock.acquire)) + " of session " +
                     std::to_string(base::value(lock.session)) + " (node " +
                     std::to_string(base::value(lock.node));
  if (lock.pid != 0) text += ", pid " + std::to_string(lock.pid);
  if (!lock.command.empty()) text += ", " + printable(lock.command);
  return text + ")";
}

}  // namespace

void DeadlockLog::add(std::uint64_t lock, DeadlockSteps steps) {
  if (steps.empty()) return;
  if (deadlocks_.size() == kDeadlocksKept) deadlocks_.pop_front();
  deadlocks_.emplace_back(lock, std::move(steps));
}

const DeadlockSteps* DeadlockLog::find(std::uint64_t lock) const {
  const auto found = std::find_if(deadlocks_.rbegin(), deadlocks_.rend(),
                                  [&](const auto& one) { return lock == 0 || one.first == lock; });
  return found == deadlocks_.rend() ? nullptr : &found->second;
}

std::string to_text(const DeadlockSteps& steps) {
  std::string text;
  for (const protocol::DeadlockStep& step : steps) {
    if (!text.empty()) text += "; ";
    text += to_text(step.waits) + " waits for " + std::string(base::to_string(step.wants)) +
            " on " + printable(step.lockspace) + "/" + printable(step.resource) + " behind " +
            std::string(base::to_string(step.has)) + " " + to_text(step.blocker);
  }
  return text;
}

}  // namespace liblock
