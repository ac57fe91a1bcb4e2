#include "liblock/due.h"

#include <algorithm>

namespace liblock {

bool Due::empty() const {
  return losses.empty() && !jeopardy && lockspaces.empty() && notices.empty() &&
         completions.empty() && barriers.empty();
}

void Due::lost(std::optional<lock_grant> grant) {
  losses.push_back(grant);
  if (losses.size() > kLossesDueMax) losses.pop_front();
}

// A conversion that succeeded has failed by now, but its lock was its owner's, and is lost to him.
bool Due::lost_untold(std::uint64_t lock) {
  for (Completion& completion : completions) {
    for (lock_outcome& outcome : completion.outcomes) {
      if (outcome.grant.id != lock || outcome.grant.token == 0) continue;
      if (outcome.error == 0) outcome.error = LOCK_ERROR_LOST;
      outcome.grant.token = 0;
      outcome.has_value = 0;
      if (!completion.conversion) return true;
    }
  }
  return false;
}

void Due::lockspace_is(protocol::LockspaceState state) {
  Lockspace& known = lockspaces[state.lockspace];
  for (const protocol::LockspaceMember& member : known.state.failed) {
    const auto same = [&](const auto& other) { return other.node == member.node; };
    const bool told = std::any_of(state.failed.begin(), state.failed.end(), same);
    if (!told && state.failed.size() < protocol::kMembersMax) state.failed.push_back(member);
  }
  known = Lockspace{0, std::move(state)};
  bound_lockspaces();
}

void Due::lockspace_gone(const std::string& lockspace, int error) {
  Lockspace gone;
  gone.error = error;
  gone.state.lockspace = lockspace;
  lockspaces[lockspace] = std::move(gone);
  bound_lockspaces();
}

// Of who joins and leaves without end, and never dispatches.
void Due::bound_lockspaces() {
  while (lockspaces.size() > kLockspacesDueMax) lockspaces.erase(lockspaces.begin());
}

// What was said of an older grant of the lock is void.
void Due::blocked(const Blocked& blocked) {
  Notices& known = notices[base::value(blocked.request)];
  if (known.token != blocked.token) known = Notices{blocked.token, {}};
  known.modes.push_back(blocked.mode);
}

std::size_t Due::barrier_ends() const {
  return static_cast<std::size_t>(
      std::count_if(barriers.begin(), barriers.end(),
                    [](const BarrierCompletion& one) { return one.callback != nullptr; }));
}

void Due::forget_broken(protocol::BarrierGeneration generation) {
  const auto of_it = [generation](const BarrierCompletion& one) {
    return one.callback == nullptr && one.end->outcome.generation == generation;
  };
  std::erase_if(barriers, of_it);
}

std::set<std::uint64_t> Due::locks_with_completions() const {
  std::set<std::uint64_t> locks;
  for (const Completion& completion : completions) {
    for (const lock_outcome& outcome : completion.outcomes) locks.insert(outcome.grant.id);
  }
  return locks;
}

}  // namespace liblock
