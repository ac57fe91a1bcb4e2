// What was done to locks, in the one order that there is: LIN, NLR, RX, FIFO, ORPHAN, E11, E12.
#include "tests/sim/lock_checker_impl.h"

namespace sim {
namespace {

using namespace base::lock_flag;

std::optional<Mode> other_mode(Mode asked, LockFlags flags) {
  if (asked != Mode::pr && (flags & or_pr) != 0) return Mode::pr;
  if (asked != Mode::cw && (flags & or_cw) != 0) return Mode::cw;
  return std::nullopt;
}

// The outcome of a request is told first, also where it lets others go before it is granted itself:
// the tokens say which grant came first.
std::vector<OrderedEffect> by_token(std::vector<OrderedEffect> effects) {
  const auto granted = [](const OrderedEffect& ordered) {
    return ordered.effect.kind == dlm::Effect::Kind::granted;
  };
  for (auto own = effects.end(); own != effects.begin();) {
    --own;
    if (!granted(*own)) continue;
    auto last = own;
    for (auto later = own + 1; later != effects.end(); ++later) {
      if (granted(*later) && later->effect.token < own->effect.token) last = later;
    }
    std::rotate(own, own + 1, last + 1);
  }
  return effects;
}

}  // namespace

void LockChecker::Impl::applied(const Applied& applied) {
  const auto wrong = [&](const char* property, const std::string& what) {
    report(property, text(applied.at) + base::to_string(applied.by) + " applied " +
                         text(applied.place) + ", " + what);
  };
  const auto found = epochs_.find(applied.place.epoch);
  Replica& replica = replicas_[applied.by];
  if (found == epochs_.end() || found->second.activation.ring != applied.place.ring ||
      replica.epoch != &found->second) {
    return wrong("E10", "but has not activated that epoch");
  }
  const Epoch& epoch = found->second;
  if (!contains(epoch.activation.members, applied.sender)) {
    wrong("E12", "a command of " + base::to_string(applied.sender) + ", which is excluded");
  }
  const Outcome outcome = outcome_of(applied);
  const auto in_order = order_.find(applied.place);
  if (applied.kind == ConfigurationKind::transitional) {
    const auto [same, is_first] =
        transitional_.try_emplace({applied.configuration, applied.place}, outcome);
    if (!is_first) compare(applied, same->second);
    replica.pending[&epoch].push_back({std::make_shared<const Applied>(applied), nullptr});
  } else if (in_order != order_.end()) {
    compare(applied, in_order->second);
  } else if (applied.place.epoch == frontier_.epoch && applied.place > frontier_) {
    apply_in_order(applied);
  } else if (applied.place.epoch < last_cold_) {
    apply_after_cold(applied);
  } else {
    wrong("E11", "which others have left out");
  }
}

void LockChecker::Impl::compare(const Applied& applied, const Outcome& expected) {
  const Outcome outcome = outcome_of(applied);
  if (outcome == expected) return;
  const char* const what = outcome.command != expected.command ? "another command"
                           : outcome.state != expected.state   ? "with another state"
                                                               : "with other effects";
  report("E11", text(applied.at) + base::to_string(applied.by) + " applied " + text(applied.place) +
                    ", " + what + " than others");
}

void LockChecker::Impl::apply_in_order(const Applied& applied) {
  const auto [at, is_first] = order_.try_emplace(applied.place, outcome_of(applied));
  if (!is_first) return compare(applied, at->second);
  if (applied.place <= frontier_) {
    report("E11", text(applied.at) + base::to_string(applied.by) + " applied " +
                      text(applied.place) + ", which others have left out");
    return;
  }
  frontier_ = applied.place;
  if (listener != nullptr) listener->ordered(applied);
  for (const auto& [session, daemon] : applied.attached) {
    sessions_[session].at = daemon;
    sessions_[session].attached_by = applied.place;
  }
  std::vector<std::vector<bool>> steps;
  for (const dlm::Deadlock& deadlock : applied.deadlocks) steps.push_back(true_steps(deadlock));
  for (const OrderedEnd& end : applied.ended) end_session(applied, end);
  highest_before_ = highest_ordered_;
  std::vector<std::size_t> touched;
  // A conversion that is demoted and granted by one command has lost its mode before those that it
  // let go were granted.
  for (const auto& [effect, resource] : applied.effects) {
    const bool granted = effect.kind == dlm::Effect::Kind::granted;
    if (granted && (effect.notes & base::grant_note::demoted) != 0) demote(effect.lock);
  }
  for (const OrderedEffect& ordered : by_token(applied.effects)) {
    const dlm::Effect& effect = ordered.effect;
    const bool converts =
        effect.request != RequestId{} && effect.request != effect.lock.acquired_by;
    switch (effect.kind) {
      case dlm::Effect::Kind::queued:
        queue(applied, ordered, converts);
        break;
      case dlm::Effect::Kind::granted:
        if (converts) {
          convert(applied, ordered);
        } else {
          grant(applied, ordered);
        }
        break;
      case dlm::Effect::Kind::released:
      case dlm::Effect::Kind::cancelled:
        free(applied, effect);
        break;
      case dlm::Effect::Kind::reverted:
        revert(applied, effect);
        break;
      case dlm::Effect::Kind::refused:
        refuse(applied, effect, converts);
        break;
      case dlm::Effect::Kind::blocks:
        block(applied, effect);
        break;
    }
    const auto lock = locks_.find(effect.lock);
    if (lock != locks_.end() && effect.kind != dlm::Effect::Kind::refused) {
      touched.push_back(lock->second.granted_on);
    }
  }
  check_parts(applied);
  check_deadlocks(applied, steps);
  check_queues(applied, touched);
  lockspaces(applied);
}

// By a node of an epoch that nobody inherited: a cold start was waited out for the sake of such
// grants.
void LockChecker::Impl::apply_after_cold(const Applied& applied) {
  order_.emplace(applied.place, outcome_of(applied));
  if (listener != nullptr) listener->ordered(applied);
  for (const auto& [effect, resource] : applied.effects) {
    if (effect.kind != dlm::Effect::Kind::granted) continue;
    Lock& lock = locks_[effect.lock];
    lock.granted = true;
    lock.gone = true;
    lock.granted_on = resource_of(resource);
    lock.granted_mode = effect.mode;
    lock.token = effect.token;
    resources_[lock.granted_on].ghosts[number(effect.mode)].push_back(effect.lock);
  }
}

void LockChecker::Impl::end_session(const Applied& applied, const OrderedEnd& end) {
  Session& session = sessions_[end.session];
  if (!session.ended && !end.with_node) session.ended_by = applied.place;
  session.ended = true;
  if (end.how == OrderedEnd::How::forced) {
    client_closed(end.session);
    session.forced = true;
  }
  if (session.closed || end.how == OrderedEnd::How::fenced || !clocks_hold_) return;
  if (end.how == OrderedEnd::How::closed) {
    report("RX", text(applied.at) + text(end.session) + " is closed by " + text(applied.place) +
                     ", but its client has not closed it");
  } else if (std::max(session.deadline, session.promised) >= applied.at) {
    report("RX", text(applied.at) + text(end.session) + " is expired by " + text(applied.place) +
                     ", but its last promise has not run out");
  }
}

void LockChecker::Impl::queue(const Applied& applied, const OrderedEffect& ordered, bool converts) {
  const LockName name = ordered.effect.lock;
  Lock& lock = locks_[name];
  if (lock.asked) lock.ordered_flags = lock.flags;
  lock.waits_by = ordered.effect.request;
  lock.wants = ordered.effect.mode;
  lock.queued_at = applied.place;
  if (converts) {
    const auto asked = asked_conversion(lock, ordered.effect.request);
    if (asked) lock.ordered_flags = asked->flags;
  } else {
    lock.granted_on = resource_of(ordered.resource);
  }
  Resource& resource = resources_[lock.granted_on];
  // What it lets go by its demotion may have come before it, and is told later.
  const bool demotes = (lock.ordered_flags & demote_on_deadlock) != 0;
  const bool must = converts
                        ? demotes || conversion_must_wait(resource, name, lock.wants)
                        : lock.parts > 1 || must_wait(resource, lock.wants, lock.ordered_flags);
  if (!must) {
    report("LIN", text(applied.at) + text(name) + " has to wait by " + text(applied.place) +
                      ", with nothing in its way");
  }
  std::deque<LockName>& queue = converts ? resource.converting : resource.waiting;
  if ((lock.ordered_flags & head_of_queue) != 0) {
    queue.push_front(name);
  } else {
    queue.push_back(name);
  }
}

void LockChecker::Impl::refuse(const Applied& applied, const dlm::Effect& effect, bool converts) {
  const auto found = locks_.find(effect.lock);
  if (found == locks_.end()) return;
  Lock& lock = found->second;
  const auto asked = asked_conversion(lock, effect.request);
  if (converts && asked && effect.status != dlm::Status::in_progress) {
    // Its flags are those of the lock all the same.
    if (lock.held) lock.ordered_flags = asked->flags;
    if ((effect.notes & base::grant_note::demoted) != 0) demote(effect.lock);
    lock.demoted = false;
  }
  const bool demotes = converts && (lock.ordered_flags & demote_on_deadlock) != 0;
  if (effect.status != dlm::Status::would_block && effect.status != dlm::Status::deadlock) return;
  if (demotes) return;
  const bool must =
      converts ? !asked || !lock.held ||
                     conversion_must_wait(resources_[lock.granted_on], effect.lock, asked->mode)
               : !lock.asked || lock.parts > 1 ||
                     must_wait(resources_[lock.resource], lock.mode, lock.flags);
  if (must) return;
  report("LIN", text(applied.at) + text(effect.lock) + " is refused by " + text(applied.place) +
                    ", with nothing in its way");
}

// Whether a new request has somebody in its way, or before it.
bool LockChecker::Impl::must_wait(const Resource& resource, Mode mode, LockFlags flags) const {
  if ((flags & expedite) != 0) return false;
  if (!resource.granted_since_cold) return true;
  const bool nobody_before =
      (flags & no_order) != 0 ||
      (resource.converting.empty() && (resource.waiting.empty() || (flags & head_of_queue) != 0));
  return !nobody_before || !fits_in_any(resource, {}, mode, flags);
}

bool LockChecker::Impl::conversion_must_wait(const Resource& resource, LockName name,
                                             Mode mode) const {
  if (!resource.granted_since_cold) return true;
  const LockFlags flags = locks_.at(name).ordered_flags;
  const bool behind = (flags & queue_convert) != 0 && (flags & (head_of_queue | no_order)) == 0;
  return (behind && !resource.converting.empty()) || !fits(resource, name, mode);
}

// In the mode asked for, or the other one that it is content with.
bool LockChecker::Impl::fits_in_any(const Resource& resource, LockName name, Mode mode,
                                    LockFlags flags) const {
  if (fits(resource, name, mode)) return true;
  const std::optional<Mode> other = other_mode(mode, flags);
  return other && fits(resource, name, *other);
}

// Beside what all others hold.
bool LockChecker::Impl::fits(const Resource& resource, LockName name, Mode mode) const {
  for (std::size_t other = 0; other < kModes; ++other) {
    if (!conflict(other, number(mode))) continue;
    for (const LockName holder : resource.holders[other]) {
      if (holder != name) return false;
    }
  }
  return true;
}

void LockChecker::Impl::grant(const Applied& applied, const OrderedEffect& ordered) {
  const LockName name = ordered.effect.lock;
  Lock& lock = locks_[name];
  const std::size_t on = resource_of(ordered.resource);
  Resource& resource = resources_[on];
  const auto wrong = [&](const char* property, const std::string& what) {
    report(property, text(applied.at) + text(name) + " is granted by " + text(applied.place) +
                         " with " + text(ordered.effect.token) + " " + what);
  };
  if (lock.granted) wrong("NPG", "a second time");
  if (lock.gone) wrong("NPG", "after it was cancelled or released");
  lock.granted_on = on;
  lock.ordered_flags = lock.flags;
  const bool adopts = (lock.flags & adopt_orphan) != 0;
  if (adopts) take_adopted(applied, name);

  const bool other = (ordered.effect.notes & base::grant_note::other_mode) != 0;
  if (lock.asked &&
      ordered.effect.mode != (other ? other_mode(lock.mode, lock.flags) : lock.mode)) {
    wrong("NPG", "in another mode than asked for");
  }
  const auto place = std::find(resource.waiting.begin(), resource.waiting.end(), name);
  const bool waited = place != resource.waiting.end();
  const bool passes = adopts || (lock.flags & (no_order | expedite)) != 0;
  if (!passes && !resource.converting.empty()) {
    wrong("FIFO", "ahead of the conversion of " + text(resource.converting.front()));
  }
  const bool at_head = !waited && (lock.flags & head_of_queue) != 0;
  if (!passes && !at_head && !resource.waiting.empty() && place != resource.waiting.begin()) {
    wrong("FIFO", "ahead of " + text(resource.waiting.front()));
  }
  if (waited) resource.waiting.erase(place);
  lock.granted = true;
  lock.session_had_ended = sessions_[name.session].ended;
  enter(applied, ordered.effect);
  transfer_value(applied, ordered.effect, std::nullopt, std::nullopt);
}

// A lock has a mode from now on, by a grant or a conversion.
void LockChecker::Impl::enter(const Applied& applied, const dlm::Effect& effect) {
  const LockName name = effect.lock;
  const Mode mode = effect.mode;
  Lock& lock = locks_[name];
  Resource& resource = resources_[lock.granted_on];
  const auto wrong = [&](const char* property, const std::string& what) {
    report(property, text(applied.at) + text(name) + " is granted by " + text(applied.place) +
                         " with " + text(effect.token) + " " + what);
  };
  // Those that one command grants may be told in any order.
  if (effect.token <= highest_before_) wrong("TM", "after " + text(highest_before_));
  if (effect.token == highest_ordered_) wrong("TM", "which was granted before");
  highest_ordered_ = std::max(highest_ordered_, effect.token);

  for (std::size_t other = 0; other < kModes; ++other) {
    if (!conflict(other, number(mode))) continue;
    // Who lets its mode go rather than wait for ever may have done so.
    const std::vector<LockName> holders = resource.holders[other];
    for (const LockName holder : holders) {
      const bool demotes = (locks_[holder].ordered_flags & demote_on_deadlock) != 0 &&
                           std::find(resource.converting.begin(), resource.converting.end(),
                                     holder) != resource.converting.end();
      if (holder != name && demotes) demote(holder);
    }
    if (!resource.holders[other].empty()) {
      wrong("ME", "in " + text(mode) + " beside " + text(resource.holders[other].front()) + " in " +
                      std::string(mode_name(other)));
    }
    std::erase_if(resource.ghosts[other], [&](LockName ghost) {
      return locks_[ghost].over || sessions_[ghost.session].closed;
    });
    for (const LockName ghost : resource.ghosts[other]) {
      if (!clocks_hold_ || possible_until(ghost) < applied.at) continue;
      wrong("RX", "while the client of " + text(ghost) + " may still believe in it");
      break;
    }
  }
  lock.held = true;
  if (mode != Mode::nl) resource.granted_since_cold = true;
  lock.granted_mode = mode;
  lock.token = effect.token;
  lock.granted_by = effect.request != RequestId{} ? effect.request : name.acquired_by;
  lock.notes = effect.notes;
  lock.told_of.reset();
  lock.demoted = false;
  resource.holders[number(mode)].push_back(name);
}

void LockChecker::Impl::free(const Applied& applied, const dlm::Effect& effect) {
  const LockName name = effect.lock;
  Lock& lock = locks_[name];
  Resource& resource = resources_[lock.granted_on];
  lock.gone = true;
  drop_from_queues(name);
  const auto wrong = [&](const char* property, const std::string& what) {
    report(property,
           text(applied.at) + text(name) + " is freed by " + text(applied.place) + ", " + what);
  };
  const bool waited = effect.kind == dlm::Effect::Kind::cancelled || effect.token == Token{};
  if (waited) {
    if (lock.held) wrong("NLR", "as if it waited, but holds");
    return forget_if_empty(resource);
  }
  if (!lock.held) return wrong("NLR", "but does not hold");
  if (effect.token != lock.token) wrong("NLR", "under another token than it was granted");
  const Session& session = sessions_[name.session];
  if (session.closed && session.ended_by == applied.place &&
      (lock.ordered_flags & persistent) != 0) {
    wrong("ORPHAN", "with its process, which it should outlive");
  }
  value_of_released(name);
  lock.held = false;
  erase(resource.holders[number(lock.granted_mode)], name);
  forget_if_empty(resource);
  if (lock.over || session.closed) return;
  if (!session.ended) wrong("RX", "but its client has not finished and its session has not ended");
  resource.ghosts[number(lock.granted_mode)].push_back(name);
}

}  // namespace sim
