// Whether those who are told of a deadlock are in one: NDL. That none stays is NLW and rest.
#include "tests/sim/lock_checker_impl.h"

namespace sim {

// Of each step, whether it is so: who waits does, or is the one that is refused; who blocks holds a
// mode that excludes what is waited for, or stands before it; and is of whom the next step says
// that it waits.
std::vector<bool> LockChecker::Impl::true_steps(const dlm::Deadlock& deadlock) const {
  const auto queued = [](const Resource& resource, LockName name) {
    const auto in = [&](const std::deque<LockName>& queue) {
      return std::find(queue.begin(), queue.end(), name) != queue.end();
    };
    return in(resource.waiting) || in(resource.converting);
  };
  std::vector<bool> result;
  for (std::size_t i = 0; i < deadlock.steps.size(); ++i) {
    const dlm::DeadlockStep& step = deadlock.steps[i];
    const dlm::DeadlockStep& next = deadlock.steps[(i + 1) % deadlock.steps.size()];
    const auto on = resource_numbers_.find(step.resource);
    const auto waits = locks_.find(step.waits);
    const auto blocker = locks_.find(step.blocker);
    const auto follows = locks_.find(next.waits);
    if (on == resource_numbers_.end() || waits == locks_.end() || blocker == locks_.end() ||
        follows == locks_.end()) {
      result.push_back(false);
      continue;
    }
    const Resource& resource = resources_[on->second];
    const bool is_waiting =
        step.waits == deadlock.victim || queued(resource, step.waits) ||
        (waits->second.parts > 1 && waits->second.first == deadlock.victim.acquired_by);
    const bool holds = blocker->second.held && blocker->second.granted_on == on->second &&
                       conflict(number(blocker->second.granted_mode), number(step.wants));
    const bool stands_before = queued(resource, step.blocker) || step.blocker == deadlock.victim;
    const bool same_owner =
        step.blocker == next.waits || (step.blocker.session == next.waits.session &&
                                       (blocker->second.owner == follows->second.owner ||
                                        blocker->second.first == follows->second.first));
    result.push_back(is_waiting && (holds || stands_before) && same_owner);
  }
  return result;
}

// The command that closes the ring, or finds it, may change who holds what: it is enough that each
// step was so before it, or is after it.
void LockChecker::Impl::check_deadlocks(const Applied& applied,
                                        const std::vector<std::vector<bool>>& before) {
  for (std::size_t i = 0; i < applied.deadlocks.size(); ++i) {
    const dlm::Deadlock& deadlock = applied.deadlocks[i];
    const std::vector<bool> after = true_steps(deadlock);
    bool is_true = !deadlock.steps.empty();
    for (std::size_t step = 0; step < after.size(); ++step) {
      is_true = is_true && (before[i][step] || after[step]);
    }
    if (is_true) continue;
    report("NDL", text(applied.at) + text(deadlock.victim) + " is told by " + text(applied.place) +
                      " of a deadlock that is none");
  }
}

}  // namespace sim
