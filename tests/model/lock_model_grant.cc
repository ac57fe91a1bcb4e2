// The model's rules of granting: compatibility, order, value blocks, notifications, conversion
// deadlock.
#include <algorithm>

#include "tests/model/lock_model.h"

namespace model {

bool compatible(Mode one, Mode other) {
  static constexpr bool kTable[6][6] = {
      // NL CR CW PR PW EX
      {true, true, true, true, true, true},       // NL
      {true, true, true, true, true, false},      // CR
      {true, true, true, false, false, false},    // CW
      {true, true, false, true, false, false},    // PR
      {true, true, false, false, false, false},   // PW
      {true, false, false, false, false, false},  // EX
  };
  if (one == Mode::none || other == Mode::none) return true;
  return kTable[static_cast<int>(one)][static_cast<int>(other)];
}

bool queue_convertible(Mode from, Mode to) {
  if (from == Mode::pr && to == Mode::cw) return true;
  return to > from;
}

Transfer transfer(Mode from, Mode to) {
  if (from == Mode::none) return Transfer::read;
  if (from == Mode::nl) return Transfer::read;
  if (from == Mode::ex) return Transfer::write;
  if (from == Mode::pw) return to == Mode::ex ? Transfer::read : Transfer::write;
  return to >= from ? Transfer::read : Transfer::nothing;
}

// 2.2, rules 1 to 9.
bool Lockspace::may_be_granted(const Resource& resource, const Lock& lock, Mode mode, When when,
                               bool recovering) const {
  const bool conversion = lock.granted != Mode::none;
  // Rule 1.
  if ((lock.flags & kExpedite) != 0) return true;
  // Rule 2.
  for (int id : resource.granted) {
    if (id != lock.id && !compatible(locks_.at(id).granted, mode)) return false;
  }
  for (int id : resource.converting) {
    if (id != lock.id && !compatible(locks_.at(id).granted, mode)) return false;
  }
  // Rule 3.
  if (conversion && recovering) return true;
  if (conversion && when == When::asked) {
    // Rules 4 and 5.
    if ((lock.flags & kQuecvt) == 0) return true;
    const bool before_others = (lock.flags & (kHeadque | kNoorder)) != 0;  // Decision 18.
    return resource.converting.empty() || before_others;
  }
  // Rule 6.
  if ((lock.flags & kNoorder) != 0) return true;
  // Rule 7.
  if (conversion) return resource.converting.front() == lock.id;
  // Rule 8.
  if (when == When::asked) {
    const bool first = resource.waiting.empty() || (lock.flags & kHeadque) != 0;  // Decision 18.
    return resource.converting.empty() && first;
  }
  // Rule 9.
  return resource.converting.empty() && resource.waiting.front() == lock.id;
}

// 2.8: does the granted mode of this lock block a conversion that is queued?
bool Lockspace::conversion_deadlock(const Resource& resource, const Lock& lock) const {
  bool others_are_behind = false;
  for (int id : resource.converting) {
    if (id == lock.id) {
      others_are_behind = true;
      continue;
    }
    const Lock& other = locks_.at(id);
    const bool blocks_it = !compatible(lock.granted, other.requested);
    const bool blocked_by_it = !compatible(other.granted, lock.requested);
    if (!others_are_behind && blocks_it) return true;
    if (others_are_behind && blocks_it && blocked_by_it) return true;
  }
  return false;
}

Lockspace::Attempt Lockspace::attempt(const Resource& resource, Lock& lock, When when,
                                      bool recovering) {
  if (may_be_granted(resource, lock, lock.requested, when, recovering)) return Attempt::grantable;

  // 2.8. Who does not queue cannot be in a deadlock.
  const bool conversion = lock.granted != Mode::none;
  if (conversion && (lock.flags & kNoqueue) == 0 && conversion_deadlock(resource, lock)) {
    if ((lock.flags & kConvdeadlk) == 0) return Attempt::deadlocked;
    lock.granted = Mode::nl;
    lock.completion_flags |= kDemoted;
    return Attempt::demoted;
  }

  // 2.2: the alternative modes, by the same rules.
  Mode alternative = Mode::none;
  if ((lock.flags & kAltpr) != 0 && lock.requested != Mode::pr) {
    alternative = Mode::pr;
  } else if ((lock.flags & kAltcw) != 0 && lock.requested != Mode::cw) {
    alternative = Mode::cw;
  }
  if (alternative == Mode::none) return Attempt::blocked;
  if (!may_be_granted(resource, lock, alternative, when, false)) return Attempt::blocked;
  lock.requested = alternative;
  lock.completion_flags |= kAltmode;
  return Attempt::grantable;
}

void Lockspace::grant(Resource& resource, Lock& lock) {
  std::optional<Value> read;
  move_value(resource, lock, read);
  lock.granted = lock.requested;
  lock.requested = Mode::none;
  lock.notified = Mode::nl;  // 2.7: the memory resets on every grant.
  leave_queues(resource, lock.id);
  enter_granted(resource, lock);
  complete(lock, Status::ok, lock.completion_flags, read);
}

// 2.6
void Lockspace::move_value(Resource& resource, Lock& lock, std::optional<Value>& read) {
  const bool has_block = (lock.flags & kValblk) != 0 && lock.value.has_value();
  switch (transfer(lock.granted, lock.requested)) {
    case Transfer::read:
      if (!has_block) return;
      read = resource.value;
      break;
    case Transfer::write:
      if ((lock.flags & kIvvalblk) != 0) {
        resource.value_invalid = true;
        return;
      }
      if (!has_block) return;
      resource.value = *lock.value;
      resource.value_invalid = false;
      break;
    case Transfer::nothing:
      break;
  }
  if (resource.value_invalid) lock.completion_flags |= kValnotvalid;
}

// 2.2: FIFO, and HEADQUE goes to the head.
void Lockspace::enqueue(std::vector<int>& queue, const Lock& lock) {
  if ((lock.flags & kHeadque) != 0) {
    queue.insert(queue.begin(), lock.id);
  } else {
    queue.push_back(lock.id);
  }
}

void Lockspace::leave_queues(Resource& resource, int id) {
  std::erase(resource.granted, id);
  std::erase(resource.converting, id);
  std::erase(resource.waiting, id);
}

void Lockspace::enter_granted(Resource& resource, const Lock& lock) {
  auto place = resource.granted.begin();
  while (place != resource.granted.end() && locks_.at(*place).granted >= lock.granted) ++place;
  resource.granted.insert(place, lock.id);
}

// 2.2: begins anew after each grant. After a demotion too, which may let others in. 2.8
void Lockspace::grant_converting(Resource& resource, bool recovering) {
  bool again = true;
  while (again) {
    again = false;
    for (int id : std::vector<int>(resource.converting)) {
      Lock& lock = locks_.at(id);
      const Attempt result = attempt(resource, lock, When::queued, recovering);
      if (result == Attempt::grantable) grant(resource, lock);
      if (result == Attempt::grantable || result == Attempt::demoted) {
        again = true;
        break;
      }
    }
  }
}

void Lockspace::grant_waiting(Resource& resource) {
  for (int id : std::vector<int>(resource.waiting)) {
    Lock& lock = locks_.at(id);
    if (attempt(resource, lock, When::queued, false) == Attempt::grantable) grant(resource, lock);
  }
}

// 2.2, last paragraph.
void Lockspace::scan(Resource& resource, bool recovering) {
  grant_converting(resource, recovering);
  grant_waiting(resource);
  notify_of_waiting(resource);
}

void Lockspace::notify_of_waiting(Resource& resource) {
  for (int id : resource.converting) {
    Lock& lock = locks_.at(id);
    if (!conversion_deadlock(resource, lock)) continue;
    // 2.8: NODLCKWT. The lock itself is asked to give way.
    if ((lock.flags & kNodlckwt) != 0 && lock.notified < lock.requested) {
      notify(lock, lock.requested, lock.requested);
    }
  }
  for (int id : resource.granted) notify_of_waiting(resource, locks_.at(id));
}

// What this holder alone is told, and remembers.
void Lockspace::notify_of_waiting(const Resource& resource, Lock& holder) {
  std::vector<Mode> waited_for;
  for (int id : resource.converting) {
    const Lock& lock = locks_.at(id);
    if (!conversion_deadlock(resource, lock)) waited_for.push_back(lock.requested);
  }
  for (int id : resource.waiting) waited_for.push_back(locks_.at(id).requested);
  if (waited_for.empty()) return;

  const Mode highest = *std::max_element(waited_for.begin(), waited_for.end());
  const bool somebody_wants_cw =
      std::find(waited_for.begin(), waited_for.end(), Mode::cw) != waited_for.end();
  if (holder.granted == Mode::pr && somebody_wants_cw) {
    // PR and CW: neither dominates, and what is highest may be a PR that this holder does not
    // block.
    if (holder.notified >= Mode::ex) return;
    notify(holder, highest == Mode::pr ? Mode::cw : highest, highest);
  } else if (holder.notified < highest && !compatible(holder.granted, highest)) {
    notify(holder, highest, highest);
  }
}

// 2.7: those whose mode conflicts with what was just queued, or failed with NOQUEUEBAST.
void Lockspace::notify_holders(const std::vector<int>& holders, const Lock& blocked) {
  for (int id : holders) {
    if (id == blocked.id) continue;
    Lock& holder = locks_.at(id);
    if (compatible(holder.granted, blocked.requested)) continue;
    const bool inverted = (holder.granted == Mode::pr && blocked.requested == Mode::cw) ||
                          (holder.granted == Mode::cw && blocked.requested == Mode::pr);
    // Only a higher mode is worth another notification; PR and CW until EX was seen.
    if (holder.notified < (inverted ? Mode::ex : blocked.requested)) {
      notify(holder, blocked.requested, blocked.requested);
    }
  }
}

void Lockspace::notify(Lock& lock, Mode mode, Mode remembered) {
  if (!lock.has_blocking_function || lock.orphan) return;  // 2.9
  lock.notified = remembered;
  outcome_.callbacks.push_back({Callback::Kind::blocking, lock.id, lock.owner.session, mode});
}

void Lockspace::complete(const Lock& lock, Status status, unsigned flags,
                         std::optional<Value> read) {
  if (lock.orphan) return;  // 2.9
  outcome_.callbacks.push_back(
      {Callback::Kind::completion, lock.id, lock.owner.session, lock.granted, status, flags, read});
}

}  // namespace model
