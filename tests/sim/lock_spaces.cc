// Who is in which lockspace, as the order has it and as its users are told: SPACE.
#include "tests/sim/lock_checker_impl.h"

namespace sim {

void LockChecker::Impl::lockspaces(const Applied& applied) {
  for (const Processor& processor : applied.failed) failed_.emplace(processor, applied.place);
  for (const LockspaceSeen& seen : applied.lockspaces) {
    const auto wrong = [&](const std::string& what) {
      report("SPACE", text(applied.at) + "lockspace " + seen.name + " in generation " +
                          std::to_string(seen.generation) + " by " + text(applied.place) + " " +
                          what);
    };
    std::set<std::uint32_t> slots;
    for (const auto& [node, slot] : seen.members) {
      if (slot == 0 || !slots.insert(slot).second) wrong("has a slot twice");
    }
    const auto last = lockspaces_.find(seen.name);
    if (last != lockspaces_.end() && last->second == seen) continue;
    if (last != lockspaces_.end() && last->second.members != seen.members) {
      const bool began_anew = seen.generation == 1 && seen.members.size() == 1;
      if (seen.generation <= last->second.generation && !began_anew) {
        wrong("has other members than before, but no higher generation");
      }
      // One that went with its last member knows nothing of who was in it before.
      if (!began_anew) find_departed(applied, last->second, seen);
      for (const auto& [node, slot] : seen.members) {
        for (const auto& [other, before] : last->second.members) {
          const bool kept = seen.generation == last->second.generation + 1;
          if (kept && node == other && slot != before) wrong("changes the slot of a member");
        }
      }
    }
    lockspaces_.insert_or_assign(seen.name, seen);
    lockspaces_seen_.insert(seen);
  }
  check_recovered(applied);
}

// Members that are gone with their processor, whether the lockspace says so or not.
void LockChecker::Impl::find_departed(const Applied& applied, const LockspaceSeen& before,
                                      const LockspaceSeen& now) {
  const std::vector<Processor>& present = epochs_.at(applied.place.epoch).activation.members;
  const auto is_in = [](const LockspaceSeen& seen, base::NodeId node) {
    return std::any_of(seen.members.begin(), seen.members.end(),
                       [&](const auto& member) { return member.first == node; });
  };
  for (const auto& [id, session] : sessions_) {
    const bool gone = is_in(before, session.at.node) && !is_in(now, session.at.node);
    if (gone && !contains(present, session.at)) failed_.emplace(session.at, applied.place);
  }
}

// Whoever is waited for no more holds nothing at this moment, but by sessions that it has served
// since it came back.
void LockChecker::Impl::check_recovered(const Applied& applied) {
  for (auto one = failed_.begin(); one != failed_.end();) {
    const auto& [processor, since] = *one;
    if (contains(applied.failed, processor)) {
      ++one;
      continue;
    }
    for (const auto& [name, lock] : locks_) {
      const Session& session = sessions_[name.session];
      // Whoever was closed there since then has left behind what its node keeps for others.
      const bool since_then = session.attached_by >= since || session.ended_by >= since;
      if (!lock.held || session.at != processor || since_then) continue;
      report("SPACE", text(applied.at) + base::to_string(processor) + " is recovered by " +
                          text(applied.place) + ", but " + text(name) + " of it is held");
      break;
    }
    one = failed_.erase(one);
  }
}

void LockChecker::Impl::client_told_of(TrueTime at, SessionId id, const LockspaceSeen& seen) {
  if (lockspaces_seen_.count(seen) == 0) {
    report("SPACE", text(at) + text(id) + " is told of generation " +
                        std::to_string(seen.generation) + " of lockspace " + seen.name +
                        " what the order never had");
  }
}

}  // namespace sim
