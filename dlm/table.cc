// The requests: what each does to a lock. Who is granted what is dlm/grant.cc.
#include "dlm/table.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"

namespace dlm {
namespace {

using namespace base::lock_flag;

bool well_formed(const ResourceName& name) {
  return !name.lockspace.empty() && name.lockspace.size() <= kMaxLockspaceName &&
         !name.resource.empty() && name.resource.size() <= kMaxResourceName;
}

bool equal(Bytes a, Bytes b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

bool equal(const ResourceName& a, const ResourceName& b) {
  return equal(a.resource, b.resource) && equal(a.lockspace, b.lockspace);
}

LockName part_of(LockName first, std::size_t part) {
  return {first.session, base::part_of(first.acquired_by, part)};
}

Effect refused(LockName lock, RequestId request, Status status) {
  Effect effect;
  effect.kind = Effect::Kind::refused;
  effect.status = status;
  effect.lock = lock;
  effect.request = request;
  return effect;
}

Effect refused(LockName lock, Status status) {
  return refused(lock, lock.acquired_by, status);
}

Effect effect_on(Effect::Kind kind, LockName lock, RequestId request, Mode mode) {
  Effect effect;
  effect.kind = kind;
  effect.mode = mode;
  effect.lock = lock;
  effect.request = request;
  return effect;
}

}  // namespace

Status Table::admit(LockName lock, const ResourceName& on) const {
  if (!well_formed(on)) return Status::bad_name;
  return store_.find_lock(lock) == kNoSlot ? Status::ok : Status::duplicate;
}

// Room for so many more.
Status Table::room_for(SessionId session, std::size_t more, std::size_t more_resources,
                       std::size_t more_lockspaces) const {
  if (locks() + more > limits_.locks) return Status::too_many_locks;
  if (count_of(session) + more > limits_.locks_per_session) return Status::session_full;
  if (resources() + more_resources > limits_.resources) return Status::too_many_resources;
  if (lockspaces() + more_lockspaces > limits_.lockspaces) return Status::too_many_lockspaces;
  return Status::ok;
}

void Table::acquire(const Acquire& request, Effects& effects) {
  Slot resource = store_.find_resource(request.on);
  Status status = base::legal_request(request.mode, request.flags) ? admit(request.lock, request.on)
                                                                   : Status::bad_flags;
  const std::optional<Mode> mode = grantable_to_newcomer(resource, request.mode, request.flags);
  if (status == Status::ok && !mode && (request.flags & no_queue)) {
    status = Status::would_block;
  } else if (status == Status::ok) {
    const bool new_resource = resource == kNoSlot;
    const bool new_lockspace =
        new_resource && store_.find_lockspace(request.on.lockspace) == kNoSlot;
    status = room_for(request.lock.session, 1, new_resource ? 1 : 0, new_lockspace ? 1 : 0);
  }
  if (status != Status::ok) {
    effects.push_back(refused(request.lock, status));
    if (status == Status::would_block && (request.flags & no_queue_notify)) {
      notify_holders(resource, kNoSlot, request.mode, true, effects);
    }
    return;
  }
  if (resource == kNoSlot) resource = store_.add_resource(request.on);
  const Slot lock = store_.add_lock({request.lock, resource, request.flags, request.owner});
  if (!mode) return wait_or_refuse(request, lock, effects);
  const GrantNotes notes = *mode == request.mode ? 0 : base::grant_note::other_mode;
  grant(lock, *mode, request.lock.acquired_by, notes, std::nullopt, effects);
  notify_newcomer(lock, effects);
  settle(effects);
}

void Table::wait_or_refuse(const Acquire& request, Slot lock, Effects& effects) {
  enqueue({.request = request.lock.acquired_by,
           .lock = lock,
           .patience = request.patience,
           .mode = request.mode});
  const Slot resource = store_.locks()[lock].resource;
  if (closes_deadlock(lock)) {
    store_.remove_lock(lock);
    effects.push_back(refused(request.lock, Status::deadlock));
    return;
  }
  effects.push_back(
      effect_on(Effect::Kind::queued, request.lock, request.lock.acquired_by, request.mode));
  notify_holders(resource, lock, request.mode, false, effects);
}

Status Table::admit(const AcquireAll& request, std::vector<Slot>& resources) const {
  if (request.parts.empty() || request.parts.size() > kMaxParts || (request.flags & ~kForAll)) {
    return Status::bad_flags;
  }
  std::size_t new_resources = 0;
  std::vector<Bytes> new_lockspaces;
  for (std::size_t i = 0; i < request.parts.size(); ++i) {
    const ResourceName& on = request.parts[i].on;
    for (std::size_t j = 0; j < i; ++j) {
      if (equal(request.parts[j].on, on)) return Status::bad_flags;
    }
    const Status status = admit(part_of(request.lock, i), on);
    if (status != Status::ok) return status;
    resources.push_back(store_.find_resource(on));
    if (resources.back() != kNoSlot) continue;
    ++new_resources;
    const bool known = std::any_of(new_lockspaces.begin(), new_lockspaces.end(),
                                   [&](Bytes name) { return equal(name, on.lockspace); });
    if (!known && store_.find_lockspace(on.lockspace) == kNoSlot) {
      new_lockspaces.push_back(on.lockspace);
    }
  }
  return room_for(request.lock.session, request.parts.size(), new_resources, new_lockspaces.size());
}

void Table::acquire(const AcquireAll& request, Effects& effects) {
  const std::size_t parts = request.parts.size();
  std::vector<Slot> resources;
  Status status = admit(request, resources);
  bool grantable = status == Status::ok;
  for (std::size_t i = 0; i < parts && grantable; ++i) {
    grantable = grantable_to_newcomer(resources[i], request.parts[i].mode, 0).has_value();
  }
  if (status == Status::ok && !grantable && (request.flags & no_queue)) {
    status = Status::would_block;
  }
  const auto refuse = [&](Status why) {
    for (std::size_t i = 0; i < std::max<std::size_t>(parts, 1); ++i) {
      effects.push_back(refused(part_of(request.lock, i), why));
    }
  };
  if (status != Status::ok) return refuse(status);

  std::vector<Slot> locks;
  for (std::size_t i = 0; i < parts; ++i) {
    const Part& part = request.parts[i];
    if (resources[i] == kNoSlot) resources[i] = store_.add_resource(part.on);
    const LockName name = part_of(request.lock, i);
    locks.push_back(store_.add_lock({name, resources[i], request.flags, request.owner}));
    if (grantable) {
      grant(locks[i], part.mode, name.acquired_by, 0, std::nullopt, effects);
      continue;
    }
    enqueue({.request = name.acquired_by,
             .lock = locks[i],
             .patience = request.patience,
             .mode = part.mode,
             .part = static_cast<std::uint8_t>(i),
             .parts = static_cast<std::uint8_t>(parts)});
  }
  if (grantable) return settle(effects);
  if (closes_deadlock(locks[0])) {
    for (std::size_t i = 0; i < parts; ++i) {
      store_.remove_lock(locks[i]);
      store_.drop_if_unused(resources[i]);
    }
    return refuse(Status::deadlock);
  }
  for (std::size_t i = 0; i < parts; ++i) {
    const LockName name = part_of(request.lock, i);
    effects.push_back(
        effect_on(Effect::Kind::queued, name, name.acquired_by, request.parts[i].mode));
  }
  for (std::size_t i = 0; i < parts; ++i) {
    notify_holders(resources[i], locks[i], request.parts[i].mode, false, effects);
  }
}

void Table::convert(const Convert& request, Effects& effects) {
  const Slot slot = store_.find_lock(request.lock);
  Status status = Status::ok;
  if (!base::legal_conversion(request.flags)) {
    status = Status::bad_flags;
  } else if (slot == kNoSlot || store_.locks()[slot].orphan) {
    status = Status::unknown_lock;
  } else if (store_.locks()[slot].wait != kNoSlot) {
    status = Status::in_progress;
  } else if (!base::legal_conversion(store_.locks()[slot].mode, request.mode, request.flags)) {
    status = Status::bad_flags;
  }
  if (status != Status::ok) {
    effects.push_back(refused(request.lock, request.request, status));
    return;
  }
  convert(request, slot, effects);
  settle(effects);
}

void Table::convert(const Convert& request, Slot slot, Effects& effects) {
  const LockRecord& lock = store_.locks()[slot];
  const Slot resource = lock.resource;
  const bool was_no_obstacle = lock.has(no_deadlock_block);
  store_.set_flags(slot, request.flags);
  if (was_no_obstacle && lock.owner != kNoSlot) to_check_.push_back(lock.owner);
  Mode mode = request.mode;
  Verdict verdict = judge(slot, mode, When::asked);
  GrantNotes notes = 0;
  Effects freed;
  if (verdict == Verdict::demoted) {
    // The conversions that it stood against may go, before it is its own turn.
    notes |= base::grant_note::demoted;
    grant_converting(resource, freed);
    const bool now =
        turn_has_come(store_.locks()[slot], When::asked) && fits(store_.locks()[slot], mode);
    verdict = now ? Verdict::grant : Verdict::wait;
    if (!MUTANT("dlm_demotion_not_scanned")) to_scan_.push_back(resource);
  }
  const auto conclude = [&](const Effect& outcome) {
    effects.push_back(outcome);
    effects.insert(effects.end(), freed.begin(), freed.end());
  };
  if (verdict == Verdict::grant) {
    if (mode != request.mode) notes |= base::grant_note::other_mode;
    grant(slot, mode, request.request, notes, request.value, effects);
    effects.insert(effects.end(), freed.begin(), freed.end());
    if (!(notes & base::grant_note::demoted)) to_scan_.push_back(resource);
  } else if (verdict == Verdict::deadlock && !(request.flags & no_deadlock_wait)) {
    report_conversion_deadlock(slot, request.request, request.mode);
    conclude(refused(request.lock, request.request, Status::deadlock));
  } else if (request.flags & no_queue) {
    conclude(refused(request.lock, request.request, Status::would_block));
    if (request.flags & no_queue_notify) notify_holders(resource, slot, mode, true, effects);
  } else {
    enqueue({.request = request.request,
             .lock = slot,
             .patience = request.patience,
             .mode = request.mode,
             .demoted = notes != 0},
            writes_late(store_.locks()[slot], request.mode) ? request.value : std::nullopt);
    // Rings that are closed by what it holds, no obstacle before, are not for it to answer for.
    if (was_no_obstacle ? find_deadlock(lock.wait, slot) : closes_deadlock(slot)) {
      if (!MUTANT("dlm_refused_wait_stays")) store_.dequeue(slot);
      Effect outcome = refused(request.lock, request.request, Status::deadlock);
      outcome.notes = notes;
      return conclude(outcome);
    }
    conclude(effect_on(Effect::Kind::queued, request.lock, request.request, request.mode));
    notify_holders(resource, slot, request.mode, false, effects);
  }
}

void Table::adopt(const Adopt& request, Effects& effects) {
  const Slot slot = store_.find_lock(request.orphan);
  const bool found = slot != kNoSlot && store_.locks()[slot].orphan;
  Status status = Status::ok;
  if (!base::legal_request(found ? store_.locks()[slot].mode : Mode::nl, request.flags)) {
    status = Status::bad_flags;
  } else if (!found) {
    status = Status::unknown_lock;
  } else if (store_.find_lock(request.lock) != kNoSlot) {
    status = Status::duplicate;
  } else if (count_of(request.lock.session) >= limits_.locks_per_session) {
    status = Status::session_full;
  }
  if (status != Status::ok) {
    effects.push_back(refused(request.lock, status));
    return;
  }
  const Slot resource = store_.locks()[slot].resource;
  const Mode mode = store_.locks()[slot].mode;
  store_.remove_lock(slot);
  const Slot lock = store_.add_lock({request.lock, resource, request.flags, Owner{}});
  grant(lock, mode, request.lock.acquired_by, 0, std::nullopt, effects);
  if (!MUTANT("dlm_adopter_hears_nothing")) {
    to_scan_.push_back(resource);  // It is to hear of those who wait.
  }
  settle(effects);
}

void Table::release(const Release& request, Effects& effects) {
  const Slot slot = store_.find_lock(request.lock);
  const LockRecord* lock = slot == kNoSlot ? nullptr : &store_.locks()[slot];
  Status status = Status::ok;
  if (!base::legal_release(request.flags)) {
    status = Status::bad_flags;
  } else if (!lock || lock->orphan) {
    status = Status::unknown_lock;
  } else if ((!(request.flags & force) || MUTANT("dlm_force_ignored")) && lock->wait != kNoSlot) {
    status = lock->granted() ? Status::in_progress : Status::not_granted;
  } else if (!(request.flags & force) && lock->token != base::value(request.token) &&
             !MUTANT("dlm_release_ignores_token")) {
    status = Status::wrong_token;
  }
  if (status != Status::ok) {
    effects.push_back(refused(request.lock, status));
    return;
  }
  const bool writes = writes_on_release(lock->mode) ||
                      (lock->mode == Mode::pr && MUTANT("dlm_value_written_from_pr"));
  if (lock->granted() && writes) {
    write_or_invalidate(lock->resource, request.flags, request.value);
  }
  end(slot, effects);
  settle(effects);
}

void Table::cancel(LockName name, Status why, Effects& effects, std::optional<RequestId> request) {
  const Slot slot = store_.find_lock(name);
  Status status = Status::ok;
  if (slot == kNoSlot || store_.locks()[slot].orphan) {
    status = Status::unknown_lock;
  } else if (store_.locks()[slot].wait == kNoSlot ||
             (request && store_.wait_of(store_.locks()[slot]).request != *request)) {
    status = Status::already_granted;
  }
  if (status != Status::ok) {
    effects.push_back(refused(name, status));
    return;
  }
  stop_waiting(slot, why, effects);
  settle(effects);
}

// With all parts of the request, each on a resource of its own.
void Table::stop_waiting(Slot slot, Status why, Effects& effects) {
  const LockRecord& lock = store_.locks()[slot];
  const LockName name = store_.name_of(lock);
  const WaitRecord wait = store_.wait_of(lock);
  if (lock.granted()) {
    const Effect reverted{Effect::Kind::reverted,
                          why,
                          lock.mode,
                          wait.demoted ? base::grant_note::demoted : GrantNotes{0},
                          name,
                          wait.request,
                          Token{lock.token}};
    if (!MUTANT("dlm_cancel_wakes_nobody")) to_scan_.push_back(lock.resource);
    store_.dequeue(slot);
    effects.push_back(reverted);
    if (MUTANT("dlm_cancelled_conversion_drops")) remove(slot);
    return;
  }
  const std::uint64_t first = base::value(name.acquired_by) - wait.part;
  for (std::size_t i = 0; i < wait.parts; ++i) {
    const LockName part{name.session, RequestId{first + i}};
    const Slot at = store_.find_lock(part);
    CHECK(at != kNoSlot);
    Effect cancelled = effect_on(Effect::Kind::cancelled, part, part.acquired_by,
                                 store_.wait_of(store_.locks()[at]).mode);
    cancelled.status = why;
    effects.push_back(cancelled);
    remove(at);
  }
}

bool Table::release_some(SessionId id, Ending how, std::size_t budget, Effects& effects) {
  for (std::size_t orphans = 0, before = effects.size(), done = 0;; ++done) {
    const Slot slot = store_.find_session(id);
    if (slot == kNoSlot) return true;
    const SessionRecord& session = store_.sessions()[slot];
    const Slot next = !session.waiting.empty() ? session.waiting.first : session.granted.first;
    if (how == Ending::closed && store_.locks()[next].orphan) return true;
    if (done > 0 && effects.size() - before + orphans >= budget) return false;
    orphans += end_dead(next, how, effects) ? 0 : 1;
    settle(effects);
  }
}

// False if it stays, as an orphan.
bool Table::end_dead(Slot slot, Ending how, Effects& effects) {
  const LockRecord& lock = store_.locks()[slot];
  if (!lock.granted()) {
    stop_waiting(slot, Status::withdrawn, effects);
    return true;
  }
  if (how == Ending::closed && lock.has(persistent) && !MUTANT("dlm_orphan_dropped")) {
    if (lock.wait != kNoSlot) stop_waiting(slot, Status::withdrawn, effects);
    store_.make_orphan(slot);
    return false;
  }
  const bool dirty =
      writes_on_release(lock.mode) && (how != Ending::node_gone || lock.has(value_block));
  if (dirty && !alone(lock) && !MUTANT("dlm_dead_writer_unmarked"))
    store_.invalidate_value(lock.resource);
  end(slot, effects);
  return true;
}

void Table::end(Slot slot, Effects& effects) {
  const LockRecord& lock = store_.locks()[slot];
  if (!lock.granted() && store_.wait_of(lock).parts > 1) {
    return stop_waiting(slot, Status::withdrawn, effects);
  }
  Effect released =
      effect_on(Effect::Kind::released, store_.name_of(lock),
                lock.wait != kNoSlot ? store_.wait_of(lock).request : RequestId{}, lock.mode);
  released.token = Token{lock.token};
  effects.push_back(released);
  remove(slot);
}

void Table::remove(Slot slot) {
  const Slot resource = store_.locks()[slot].resource;
  const bool last = alone(store_.locks()[slot]);
  const bool waited = !store_.locks()[slot].granted();
  if (notes_gone_) {
    const LockView gone = view(store_.locks()[slot]);
    gone_.push_back({gone.lock, base::text_of(gone.on.lockspace), base::text_of(gone.on.resource)});
  }
  store_.remove_lock(slot);
  if (last) {
    store_.drop_if_unused(resource);
  } else if (!waited || !MUTANT("dlm_cancel_wakes_nobody")) {
    to_scan_.push_back(resource);
  }
}

// The only one on its resource.
bool Table::alone(const LockRecord& lock) const {
  const ResourceRecord& resource = store_.resources()[lock.resource];
  const QueuesRecord* queues = store_.queues_of(resource);
  const bool waits_alone = !queues || (queues->waiters == 1 && lock.wait != kNoSlot);
  const bool holds_alone =
      lock.granted() ? resource.granted.first == resource.granted.last : resource.granted.empty();
  return waits_alone && holds_alone;
}

void Table::write_or_invalidate(Slot resource, LockFlags flags,
                                const std::optional<ValueBlock>& value) {
  if (flags & invalidate_value) {
    store_.invalidate_value(resource);
  } else if ((flags & value_block) && value) {
    store_.set_value(resource, *value);
  }
}

void Table::settle(Effects& effects) {
  while (!to_scan_.empty() || !to_check_.empty()) {
    if (!to_scan_.empty()) {
      const Slot resource = to_scan_.back();
      to_scan_.pop_back();
      scan(resource, effects);
    } else {
      const Slot owner = to_check_.back();
      to_check_.pop_back();
      break_deadlocks_of(owner, effects);
    }
  }
}

void Table::raise_token_base(std::uint64_t base) {
  next_token_ = std::max(next_token_, base);
}

std::uint64_t Table::digest() const {
  return mix(store_.digest(), next_token_);
}

Table Table::freeze() {
  Table frozen(limits_);
  frozen.store_ = store_.freeze();
  frozen.next_token_ = next_token_;
  frozen.second_ = second_;
  return frozen;
}

}  // namespace dlm
