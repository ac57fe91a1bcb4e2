// The second part of lockd/state.h: what requests do to locks, and who is to hear of it.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "lockd/state.h"

namespace lockd {
namespace {

using base::lock_flag::adopt_orphan;
using base::lock_flag::no_queue;

// So many deadlocks are remembered for people.
constexpr std::size_t kDeadlocksKept = 16;

dlm::ResourceName name_of(const std::string& lockspace, const std::string& resource) {
  return {base::bytes_of(lockspace), base::bytes_of(resource)};
}

dlm::LockName lock_of(const Request& request, RequestId lock) {
  return {request.session, lock};
}

Status status_of(dlm::Status status) {
  switch (status) {
    case dlm::Status::would_block:
      return Status::busy;
    case dlm::Status::too_many_locks:
    case dlm::Status::session_full:
    case dlm::Status::too_many_resources:
    case dlm::Status::too_many_lockspaces:
      return Status::too_many_locks;
    case dlm::Status::unknown_lock:
      return Status::no_such_lock;
    case dlm::Status::wrong_token:
      return Status::wrong_token;
    case dlm::Status::not_granted:
      return Status::still_waiting;
    case dlm::Status::already_granted:
      return Status::already_granted;
    case dlm::Status::duplicate:
      return Status::already_answered;
    case dlm::Status::deadlock:
      return Status::deadlock;
    case dlm::Status::in_progress:
      return Status::in_progress;
    case dlm::Status::timed_out:
      return Status::timed_out;
    case dlm::Status::withdrawn:
      return Status::cancelled;
    case dlm::Status::bad_flags:
    case dlm::Status::bad_name:
      return Status::invalid;
    case dlm::Status::ok:
      break;
  }
  CHECK(false);
}

Status status_of(const dlm::Effect& change) {
  switch (change.kind) {
    case dlm::Effect::Kind::granted:
      return Status::granted;
    case dlm::Effect::Kind::queued:
      return Status::queued;
    case dlm::Effect::Kind::released:
      return Status::released;
    case dlm::Effect::Kind::cancelled:
    case dlm::Effect::Kind::reverted:
    case dlm::Effect::Kind::refused:
      return status_of(change.status);
    case dlm::Effect::Kind::blocks:
      break;
  }
  CHECK(false);
}

Reply reply_of(RequestId request, const dlm::Effect& change) {
  return {request, status_of(change), change.mode, change.token, change.notes, change.value};
}

// How a wait ended that ended with the lock, or before it.
Reply end_of_wait(const dlm::Effect& change) {
  Reply reply = reply_of(change.request, change);
  if (change.kind == dlm::Effect::Kind::released) reply.status = Status::cancelled;
  return reply;
}

}  // namespace

void State::on(const Step& step, const Acquire& acquire) {
  if (!admit(step, acquire.request)) return;
  const Session& session = *sessions_.find(acquire.request.session);
  const dlm::LockName lock = lock_of(acquire.request, acquire.request.id);
  const dlm::ResourceName name = name_of(acquire.lockspace, acquire.resource);
  if (const auto refused = refusal(session, acquire.lockspace)) {
    return answer(step, acquire.request, *refused);
  }
  if (acquire.flags & adopt_orphan) {
    const auto orphan = find_orphan(step.origin.node, name, acquire.mode);
    if (!orphan) return answer(step, acquire.request, orphan.error());
    locks_.adopt({lock, *orphan, acquire.flags}, changes_);
    return answer_with_changes(step, acquire.request);
  }
  if (cold_ && !locks_.find(name)) {
    if (acquire.flags & no_queue) return answer(step, acquire.request, Status::busy);
    if (!reserve(name)) return answer(step, acquire.request, Status::too_many_locks);
  }
  locks_.acquire(
      dlm::Acquire{lock, name, acquire.mode, acquire.flags, acquire.owner, acquire.patience},
      changes_);
  answer_with_changes(step, acquire.request);
}

void State::on(const Step& step, const AcquireAll& all) {
  // Each part has a number of its own, and, if this is sent again, a reply of its own.
  const auto part_of = [&](std::size_t i) {
    Request part = all.request;
    part.id = base::part_of(part.id, i);
    return part;
  };
  bool fresh = true;
  for (std::size_t i = 0; i < all.parts.size(); ++i) fresh = admit(step, part_of(i)) && fresh;
  if (!fresh) return;
  const auto refuse = [&](Status status) {
    for (std::size_t i = 0; i < all.parts.size(); ++i) answer(step, part_of(i), status);
  };
  dlm::AcquireAll request{
      lock_of(all.request, all.request.id), {}, all.flags, all.owner, all.patience};
  for (const AcquirePart& part : all.parts) {
    request.parts.push_back({name_of(part.lockspace, part.resource), part.mode});
    const auto refused = refusal(*sessions_.find(all.request.session), part.lockspace);
    if (refused) return refuse(*refused);
  }
  for (const dlm::Part& part : request.parts) {
    if (!cold_ || locks_.find(part.on)) continue;
    if (all.flags & no_queue) return refuse(Status::busy);
    if (!reserve(part.on)) return refuse(Status::too_many_locks);
  }
  locks_.acquire(request, changes_);
  answer_with_changes(step, all.request, all.parts.size());
}

void State::on(const Step& step, const Convert& convert) {
  if (!admit(step, convert.request) && !MUTANT("state_conversion_executed_again")) return;
  locks_.convert({lock_of(convert.request, convert.lock), convert.request.id, convert.mode,
                  convert.flags, convert.value, convert.patience},
                 changes_);
  answer_with_changes(step, convert.request);
}

void State::on(const Step& step, const Release& release) {
  if (!admit(step, release.request)) return;
  locks_.release(
      {lock_of(release.request, release.lock), release.token, release.flags, release.value},
      changes_);
  // What it still waited for ends with it.
  const dlm::Effect outcome = changes_.front();
  const Session& session = *sessions_.find(release.request.session);
  answer_with_changes(step, release.request);
  if (outcome.request != RequestId{} && outcome.status == dlm::Status::ok) {
    settle_one(session, outcome, step.effects);
  }
}

void State::on(const Step& step, const Cancel& cancel) {
  if (!admit(step, cancel.request)) return;
  locks_.cancel(lock_of(cancel.request, cancel.lock), dlm::Status::withdrawn, changes_);
  // The answer to the cancel is that of what waited, too; other parts of it have their own.
  const auto own = std::find_if(changes_.begin(), changes_.end(), [&](const dlm::Effect& change) {
    return change.lock.acquired_by == cancel.lock && (change.kind == dlm::Effect::Kind::cancelled ||
                                                      change.kind == dlm::Effect::Kind::reverted);
  });
  if (own != changes_.end()) {
    std::iter_swap(changes_.begin(), own);
    correct(cancel.request.session, end_of_wait(changes_.front()));
  } else if (changes_.front().status == dlm::Status::already_granted) {
    const std::optional<dlm::LockView> held = find_lock(cancel.request.session, cancel.lock);
    changes_.front().mode = held->mode;
    changes_.front().token = held->token;
  }
  answer_with_changes(step, cancel.request);
}

void State::on(const Step& step, const TimeOut& time_out) {
  const Session* session = living(time_out.session, time_out.generation);
  if (MUTANT("state_time_out_told_only") && session && session->attached()) {
    const std::optional<dlm::LockView> lock = find_lock(time_out.session, time_out.lock);
    const Reply reply{time_out.waiting, Status::timed_out, {}, {}};
    if (lock && lock->waiting && !lock->granted) {
      step.effects.push_back(
          Settled{session->at, session->id, session->generation, time_out.lock, reply});
    }
    return;
  }
  if (!session || !session->attached() || session->at != step.origin) return;
  locks_.cancel({time_out.session, time_out.lock}, dlm::Status::timed_out, changes_,
                time_out.waiting);
  settle(0, step.effects);
}

void State::answer(const Step& step, const Request& request, const Reply& reply) {
  sessions_.remember(request.session, reply);
  step.effects.push_back(Replied{step.origin, request.session, request.generation, reply});
}

void State::answer(const Step& step, const Request& request, Status status) {
  answer(step, request, Reply{request.id, status, {}, {}});
}

void State::answer_with_changes(const Step& step, const Request& request, std::size_t outcomes) {
  tell_deadlocks(step.effects);
  for (std::size_t i = 0; i < outcomes && i < changes_.size(); ++i) {
    answer(step, request, reply_of(base::part_of(request.id, i), changes_[i]));
  }
  settle(outcomes, step.effects);
}

void State::correct(SessionId id, const Reply& reply) {
  const Session* session = sessions_.find(id);
  if (session && session->reply(reply.request)) sessions_.remember(id, reply);
}

void State::settle(std::size_t first, Effects& effects) {
  tell_deadlocks(effects);
  for (std::size_t i = first; i < changes_.size(); ++i) {
    const dlm::Effect change = changes_[i];
    const Session* session = sessions_.find(change.lock.session);
    if (!session) continue;
    if (!session->ended()) {
      settle_one(*session, change, effects);
    } else if (change.kind == dlm::Effect::Kind::granted && !MUTANT("state_purge_forgets_waiter")) {
      locks_.release({change.lock, change.token, 0, std::nullopt}, changes_);
    }
  }
}

void State::settle_one(const Session& session, const dlm::Effect& change, Effects& effects) {
  switch (change.kind) {
    case dlm::Effect::Kind::granted:
    case dlm::Effect::Kind::cancelled:
    case dlm::Effect::Kind::reverted:
    case dlm::Effect::Kind::released: {
      const Reply reply = end_of_wait(change);
      correct(session.id, reply);
      effects.push_back(
          Settled{session.at, session.id, session.generation, change.lock.acquired_by, reply});
      return;
    }
    case dlm::Effect::Kind::blocks:
      effects.push_back(Blocked{session.at, session.id, session.generation, change.lock.acquired_by,
                                change.token, change.mode});
      return;
    case dlm::Effect::Kind::queued:
    case dlm::Effect::Kind::refused:
      return;  // Told to who asked, and to nobody else.
  }
}

void State::tell_deadlocks(Effects& effects) {
  for (dlm::Deadlock& deadlock : locks_.take_deadlocks()) {
    if (const Session* session = sessions_.find(deadlock.victim.session)) {
      effects.push_back(Deadlocked{session->at, session->id, session->generation, deadlock});
    }
    if (deadlocks_.size() == kDeadlocksKept) deadlocks_.pop_front();
    deadlocks_.push_back(std::move(deadlock));
  }
}

std::optional<Status> State::refusal(const Session& session, const std::string& lockspace) const {
  const Lockspace* joined = lockspaces_.find(lockspace);
  if (!joined || joined->lets(session.uid, session.gid)) return std::nullopt;
  return Status::not_permitted;
}

bool State::reserve(const dlm::ResourceName& name) {
  const RequestId unique{base::value(locks_.draw_token())};
  dlm::Effects effects;
  locks_.acquire(dlm::Acquire{{kNobody, unique}, name, dlm::Mode::ex, no_queue, {}, 0}, effects);
  return effects.front().kind == dlm::Effect::Kind::granted;
}

base::Result<dlm::LockName, Status> State::find_orphan(base::NodeId node,
                                                       const dlm::ResourceName& name,
                                                       dlm::Mode mode) const {
  const auto resource = locks_.find(name);
  std::optional<dlm::LockName> found;
  bool other_mode = false;
  locks_.visit_locks(name, 0, resource ? resource->holders : 0, [&](const dlm::LockView& lock) {
    const Session* session = lock.orphan ? sessions_.find(lock.lock.session) : nullptr;
    if (!session || !session->bequeathed()) return;
    if (session->at.node != node && !MUTANT("state_adopts_from_any_node")) return;
    if (lock.mode != mode) {
      other_mode = true;
    } else if (!found) {
      found = lock.lock;
    }
  });
  if (found) return *found;
  return base::error(other_mode ? Status::busy : Status::not_found);
}

}  // namespace lockd
