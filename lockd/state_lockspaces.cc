// The third part of lockd/state.h: who is in which lockspace, and what ended processes left behind.
#include <algorithm>
#include <set>

#include "base/mutant.h"
#include "lockd/state.h"

namespace lockd {
namespace {

constexpr std::uint16_t kUsualPermissions = 0600;

bool may_speak_for(const Session& session, std::uint32_t uid) {
  return session.uid == uid || session.uid == 0;
}

}  // namespace

void State::on(const Step& step, const DropOrphans& drop) {
  if (!admit(step, drop.request)) return;
  const Session& by = *sessions_.find(drop.request.session);
  std::vector<SessionId> dropped;
  bool permitted = true;
  for (const auto& [id, session] : sessions_.sessions()) {
    if (!session.bequeathed() || session.at.node != drop.node) continue;
    if (drop.pid != 0 && session.pid != drop.pid) continue;
    if (may_speak_for(by, session.uid)) {
      dropped.push_back(id);
    } else {
      permitted = false;
    }
  }
  for (const SessionId id : dropped) {
    if (!MUTANT("state_orphans_not_dropped")) sessions_.kill(id, dlm::Ending::purged);
  }
  answer(step, drop.request, permitted ? Status::done : Status::not_permitted);
  on(step, Purge{});
}

void State::on(const Step& step, const JoinLockspace& wanted) {
  if (!admit(step, wanted.request)) return;
  const SessionId id = wanted.request.session;
  const std::uint64_t before = generation_of(wanted.lockspace);
  const Status status = join(step, *sessions_.find(id), wanted);
  answer(step, wanted.request, status);
  if (status != Status::done) return;
  change_barrier_members(wanted.lockspace, {}, step.effects);
  if (generation_of(wanted.lockspace) != before) {
    return tell_lockspace(wanted.lockspace, step.effects);
  }
  step.effects.push_back(
      LockspaceChanged{step.origin, id, wanted.request.generation, wanted.lockspace});
}

Status State::join(const Step& step, const Session& session, const JoinLockspace& wanted) {
  const Lockspace* lockspace = lockspaces_.find(wanted.lockspace);
  const LockspaceMember* member = lockspace ? lockspace->member(step.origin.node) : nullptr;
  if (wanted.kind == JoinLockspace::Kind::open && !member) return Status::not_found;
  if (wanted.kind == JoinLockspace::Kind::create_new && member) return Status::exists;
  if (lockspace && !lockspace->lets(session.uid, session.gid)) return Status::not_permitted;
  const bool user = lockspace && lockspace->users.count(session.id) != 0;
  if (!user && lockspaces_.full(session.id)) return Status::too_many_locks;
  if (!lockspace && lockspaces_.full()) return Status::too_many_locks;
  if (wanted.kind != JoinLockspace::Kind::open) {
    const std::uint16_t permissions =
        wanted.permissions == 0 ? kUsualPermissions : wanted.permissions;
    lockspaces_.join(wanted.lockspace, step.origin, session.uid, session.gid, permissions);
  }
  lockspaces_.add_user(wanted.lockspace, session.id);
  return Status::done;
}

void State::on(const Step& step, const LeaveLockspace& wanted) {
  if (!admit(step, wanted.request)) return;
  const std::uint64_t before = generation_of(wanted.lockspace);
  const Status status = leave(step, *sessions_.find(wanted.request.session), wanted);
  answer(step, wanted.request, status);
  if (status != Status::done) return;
  change_barrier_members(wanted.lockspace, {}, step.effects);
  if (generation_of(wanted.lockspace) != before) tell_lockspace(wanted.lockspace, step.effects);
  on(step, Purge{});
}

Status State::leave(const Step& step, const Session& session, const LeaveLockspace& wanted) {
  const Lockspace* lockspace = lockspaces_.find(wanted.lockspace);
  const LockspaceMember* member = lockspace ? lockspace->member(step.origin.node) : nullptr;
  if (!member) return Status::not_found;
  if (!lockspace->lets(session.uid, session.gid)) return Status::not_permitted;
  if (member->uses == 1) {
    std::vector<SessionId> here;
    for (const SessionId id : lockspace->users) {
      const Session& user = *sessions_.find(id);
      if (user.at.node == step.origin.node && !user.dead() && id != session.id) here.push_back(id);
    }
    const bool locked = std::any_of(here.begin(), here.end(),
                                    [&](SessionId id) { return locks_.count_of(id) > 0; });
    const bool busy = locked || locks_.count_of(session.id) > 0;
    if (!wanted.force && busy && !MUTANT("lockspace_left_while_locked")) return Status::busy;
    // The others are not asked; what this session itself holds is for it to release.
    for (const SessionId id : here) {
      const Session& user = *sessions_.find(id);
      if ((wanted.force && !MUTANT("lockspace_force_ends_nobody")) || user.bequeathed()) {
        end_session(user, SessionEnded::Reason::closed, dlm::Ending::purged, step.effects);
      }
    }
  }
  lockspaces_.leave(wanted.lockspace, step.origin.node);
  return Status::done;
}

// 0 if nobody has joined it.
std::uint64_t State::generation_of(const std::string& name) const {
  const Lockspace* lockspace = lockspaces_.find(name);
  return lockspace ? lockspace->generation : 0;
}

// Whoever is not attached is told when it has resumed.
void State::tell_lockspace(const std::string& name, Effects& effects) {
  const Lockspace* lockspace = lockspaces_.find(name);
  if (!lockspace) return;
  for (const SessionId id : lockspace->users) {
    const Session& session = *sessions_.find(id);
    if (session.attached()) {
      effects.push_back(LockspaceChanged{session.at, id, session.generation, name});
    }
  }
}

void State::depart_from_lockspaces(const std::vector<Processor>& failed, Effects& effects) {
  std::set<std::string> changed;
  for (const Processor& processor : failed) {
    const auto names = lockspaces_.depart(processor);
    changed.insert(names.begin(), names.end());
  }
  for (const std::string& name : changed) {
    tell_lockspace(name, effects);
    change_barrier_members(name, failed, effects);
  }
  settle_lockspaces(effects);
}

// A member that failed is recovered when all its locks are freed, but those of sessions that were
// resumed, or opened with it since it is back: these are in nobody's way.
void State::settle_lockspaces(Effects& effects) {
  std::set<Processor> gone = lockspaces_.gone();
  if (gone.empty()) return;
  for (const auto& [id, session] : sessions_.sessions()) {
    const bool waited_for = session.orphaned() || session.dead();
    if (waited_for && !MUTANT("lockspace_recovered_too_early")) gone.erase(session.at);
  }
  for (const Processor& processor : gone) {
    for (const std::string& name : lockspaces_.settle(processor)) {
      tell_lockspace(name, effects);
      // The last one takes the lockspace with it, and whoever still used it is in none.
      if (!lockspaces_.find(name)) change_barrier_members(name, {}, effects);
    }
  }
}

}  // namespace lockd
