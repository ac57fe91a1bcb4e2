// Conversions, adopted locks, requests for several, and whether all were granted that could be:
// NLR, NPG, FIFO, ORPHAN, ALL, BLK, NLW.
#include "tests/sim/lock_checker_impl.h"

namespace sim {

std::optional<AskedConversion> LockChecker::Impl::asked_conversion(const Lock& lock,
                                                                   RequestId operation) const {
  for (const AskedConversion& asked : lock.conversions) {
    if (asked.operation == operation) return asked;
  }
  return std::nullopt;
}

void LockChecker::Impl::convert(const Applied& applied, const OrderedEffect& ordered) {
  const dlm::Effect& effect = ordered.effect;
  const LockName name = effect.lock;
  Lock& lock = locks_[name];
  Resource& resource = resources_[lock.granted_on];
  const auto wrong = [&](const char* property, const std::string& what) {
    report(property,
           text(applied.at) + text(name) + " is converted by " + text(applied.place) + ", " + what);
  };
  if (!lock.held) return wrong("NPG", "but does not hold");
  if (lock.granted_by == effect.request) wrong("NPG", "a second time by the same request");
  const auto asked = asked_conversion(lock, effect.request);
  if (!asked) return wrong("NPG", "but its client has not asked for it");
  lock.ordered_flags = asked->flags;
  if ((effect.notes & base::grant_note::demoted) != 0) {
    demote(name);
  } else if (lock.demoted) {
    wrong("ME", "as if it had kept its mode, beside which another was granted");
  }
  const bool other_mode = (effect.notes & base::grant_note::other_mode) != 0;
  if (!other_mode && effect.mode != asked->mode) wrong("NPG", "to another mode than asked for");

  const auto place = std::find(resource.converting.begin(), resource.converting.end(), name);
  if (place != resource.converting.end()) {
    const LockName front = resource.converting.front();
    // A conversion that has lost its mode, and lets others go by that, is told to wait before them.
    const bool jumps = (lock.ordered_flags & base::lock_flag::no_order) != 0 ||
                       (locks_[front].ordered_flags & base::lock_flag::demote_on_deadlock) != 0;
    if (front != name && !jumps) wrong("FIFO", "ahead of the conversion of " + text(front));
    resource.converting.erase(place);
  }
  const Mode from = lock.granted_mode;
  erase(resource.holders[number(from)], name);
  enter(applied, effect);
  transfer_value(applied, effect, from, asked->value);
}

// A conversion that waited does so no more.
void LockChecker::Impl::revert(const Applied& applied, const dlm::Effect& effect) {
  Lock& lock = locks_[effect.lock];
  const auto wrong = [&](const std::string& what) {
    report("NLR", text(applied.at) + text(effect.lock) + " is not converted by " +
                      text(applied.place) + ", " + what);
  };
  drop_from_queues(effect.lock);
  if (!lock.held) return wrong("and is not held either");
  if ((effect.notes & base::grant_note::demoted) != 0) demote(effect.lock);
  if (lock.token != effect.token) wrong("and keeps another token");
  if (lock.granted_mode != effect.mode) {
    wrong("and keeps " + text(effect.mode) + " instead of " + text(lock.granted_mode));
  }
  lock.demoted = false;
}

void LockChecker::Impl::demote(LockName name) {
  Lock& lock = locks_[name];
  if (!lock.held || lock.granted_mode == Mode::nl) return;
  Resource& resource = resources_[lock.granted_on];
  erase(resource.holders[number(lock.granted_mode)], name);
  lock.granted_mode = Mode::nl;
  lock.demoted = true;
  resource.holders[number(Mode::nl)].push_back(name);
}

void LockChecker::Impl::drop_from_queues(LockName name) {
  Resource& resource = resources_[locks_[name].granted_on];
  std::erase(resource.waiting, name);
  std::erase(resource.converting, name);
}

// The lock is what a process of the sender's node has left behind on this resource.
void LockChecker::Impl::take_adopted(const Applied& applied, LockName name) {
  const Lock& lock = locks_[name];
  auto& holders = resources_[lock.granted_on].holders[number(lock.mode)];
  std::optional<LockName> orphan;
  for (const LockName holder : holders) {
    const Session& session = sessions_[holder.session];
    const bool left = session.ended_by != OrderedPlace{} &&
                      session.at.node == applied.sender.node &&
                      (locks_[holder].ordered_flags & base::lock_flag::persistent) != 0;
    if (left && (!orphan || locks_[holder].token < locks_[*orphan].token)) orphan = holder;
  }
  if (!orphan) {
    report("ORPHAN", text(applied.at) + text(name) + " adopts by " + text(applied.place) + " in " +
                         text(lock.mode) + " what nobody left there");
    return;
  }
  locks_[*orphan].held = false;
  locks_[*orphan].gone = true;
  erase(holders, *orphan);
}

// A holder hears that it stands against somebody.
void LockChecker::Impl::block(const Applied& applied, const dlm::Effect& effect) {
  Lock& lock = locks_[effect.lock];
  const auto wrong = [&](const std::string& what) {
    report("BLK", text(applied.at) + text(effect.lock) + " hears by " + text(applied.place) +
                      " that it stands against " + text(effect.mode) + ", " + what);
  };
  if (!lock.held) return wrong("but does not hold");
  if (lock.token != effect.token) wrong("under another token than its own");
  if ((lock.ordered_flags & base::lock_flag::notify) == 0) wrong("but has not asked to hear");
  // With NODLCKWT a conversion that can never go is itself asked to give way.
  const bool own = (lock.ordered_flags & base::lock_flag::no_deadlock_wait) != 0 &&
                   effect.mode == lock.wants &&
                   can_never_go(resources_[lock.granted_on], effect.lock);
  if (!own && !conflict(number(lock.granted_mode), number(effect.mode))) {
    wrong("beside which it may stand");
  }
  lock.told_of = lock.told_of ? std::max(*lock.told_of, effect.mode) : effect.mode;
}

// Of a request for several, all or none at one moment.
void LockChecker::Impl::check_parts(const Applied& applied) {
  std::map<LockName, std::size_t> granted;
  for (const auto& [effect, resource] : applied.effects) {
    const Lock& lock = locks_[effect.lock];
    if (effect.kind == dlm::Effect::Kind::granted && lock.parts > 1 &&
        lock.granted_by == effect.lock.acquired_by) {
      ++granted[{effect.lock.session, lock.first}];
    }
  }
  for (const auto& [first, count] : granted) {
    const std::size_t parts = locks_[first].parts;
    if (count == parts) continue;
    report("ALL", text(applied.at) + std::to_string(count) + " of " + std::to_string(parts) +
                      " parts of " + text(first) + " are granted by " + text(applied.place));
  }
}

// Whoever is first and fits has been granted, or fits and goes past others; and who stands against
// those who wait has heard of it if it asked to.
void LockChecker::Impl::check_queues(const Applied& applied,
                                     const std::vector<std::size_t>& touched) {
  for (const std::size_t on : touched) {
    const Resource& resource = resources_[on];
    if (!resource.granted_since_cold) continue;
    check_told_of_waiters(applied, resource);
    const auto look_at = [&](LockName name, bool is_first, bool converts) {
      const Lock& lock = locks_[name];
      if (!is_first && (lock.ordered_flags & base::lock_flag::no_order) == 0) return;
      if (!lock.asked || lock.parts > 1) return;
      // Of a conversion only in the mode asked for: one that can never go is not tried in another.
      const LockFlags flags = converts ? 0 : lock.ordered_flags;
      if (!fits_in_any(resource, name, lock.wants, flags)) return;
      report("NLW", text(applied.at) + text(name) + " still waits after " + text(applied.place) +
                        ", though it is its turn and nothing is in its way");
    };
    for (const LockName name : resource.converting) {
      look_at(name, name == resource.converting.front(), true);
    }
    for (const LockName name : resource.waiting) {
      look_at(name, resource.converting.empty() && name == resource.waiting.front(), false);
    }
  }
}

// A conversion whose mode keeps another from going that is before it, or that keeps it as well.
bool LockChecker::Impl::can_never_go(const Resource& resource, LockName name) const {
  if (!contains(resource.converting, name)) return false;
  const Lock& lock = locks_.at(name);
  bool before = true;
  for (const LockName other_name : resource.converting) {
    const Lock& other = locks_.at(other_name);
    if (other_name == name) {
      before = false;
    } else if (conflict(number(lock.granted_mode), number(other.wants)) &&
               (before || conflict(number(other.granted_mode), number(lock.wants)))) {
      return true;
    }
  }
  return false;
}

void LockChecker::Impl::check_told_of_waiters(const Applied& applied, const Resource& resource) {
  std::vector<LockName> waiters(resource.waiting.begin(), resource.waiting.end());
  for (const LockName name : resource.converting) {
    if (!can_never_go(resource, name)) waiters.push_back(name);
  }
  if (waiters.empty()) return;
  for (std::size_t mode = 0; mode < kModes; ++mode) {
    for (const LockName holder : resource.holders[mode]) {
      const Lock& lock = locks_[holder];
      if ((lock.ordered_flags & base::lock_flag::notify) == 0) continue;
      if (contains(resource.converting, holder) || sessions_[holder.session].ended) continue;
      for (const LockName waiter : waiters) {
        const Mode wants = locks_[waiter].wants;
        if (!conflict(mode, number(wants)) || (lock.told_of && *lock.told_of >= wants)) continue;
        report("BLK", text(applied.at) + text(holder) + " has not heard after " +
                          text(applied.place) + " that " + text(waiter) + " waits for " +
                          text(wants));
        return;
      }
    }
  }
}

}  // namespace sim
