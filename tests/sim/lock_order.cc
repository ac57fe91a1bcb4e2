// What was done to locks, in the one order that there is: LIN, NLR, RX, FIFO, E11, E12.
#include "tests/sim/lock_checker_impl.h"

namespace sim {

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
  for (const OrderedEnd& end : applied.ended) end_session(applied, end);
  for (const OrderedEffect& ordered : applied.effects) {
    switch (ordered.effect.kind) {
      case dlm::Effect::Kind::queued:
        queue(applied, ordered);
        break;
      case dlm::Effect::Kind::granted:
        grant(applied, ordered);
        break;
      case dlm::Effect::Kind::released:
      case dlm::Effect::Kind::cancelled:
        free(applied, ordered.effect);
        break;
      case dlm::Effect::Kind::refused:
        refuse(applied, ordered.effect);
        break;
    }
  }
}

// By a node of an epoch that nobody inherited: a cold start was waited out for the sake of such
// grants.
void LockChecker::Impl::apply_after_cold(const Applied& applied) {
  order_.emplace(applied.place, outcome_of(applied));
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
  session.ended = true;
  if (session.closed || end.how == OrderedEnd::How::fenced || !clocks_hold_) return;
  if (end.how == OrderedEnd::How::closed) {
    report("RX", text(applied.at) + text(end.session) + " is closed by " + text(applied.place) +
                     ", but its client has not closed it");
  } else if (std::max(session.deadline, session.promised) >= applied.at) {
    report("RX", text(applied.at) + text(end.session) + " is expired by " + text(applied.place) +
                     ", but its last promise has not run out");
  }
}

void LockChecker::Impl::queue(const Applied& applied, const OrderedEffect& ordered) {
  const LockName name = ordered.effect.lock;
  Lock& lock = locks_[name];
  lock.granted_on = resource_of(ordered.resource);
  Resource& resource = resources_[lock.granted_on];
  if (!must_wait(resource, ordered.effect.mode)) {
    report("LIN", text(applied.at) + text(name) + " has to wait by " + text(applied.place) +
                      ", with nothing in its way");
  }
  resource.waiting.push_back(name);
}

void LockChecker::Impl::refuse(const Applied& applied, const dlm::Effect& effect) {
  const auto lock = locks_.find(effect.lock);
  if (effect.status != dlm::Status::would_block || lock == locks_.end() || !lock->second.asked ||
      must_wait(resources_[lock->second.resource], lock->second.mode)) {
    return;
  }
  report("LIN", text(applied.at) + text(effect.lock) + " is refused by " + text(applied.place) +
                    ", with nothing in its way");
}

bool LockChecker::Impl::must_wait(const Resource& resource, Mode mode) const {
  if (!resource.granted_since_cold || !resource.waiting.empty()) return true;
  for (std::size_t other = 0; other < kModes; ++other) {
    if (conflict(other, number(mode)) && !resource.holders[other].empty()) return true;
  }
  return false;
}

void LockChecker::Impl::grant(const Applied& applied, const OrderedEffect& ordered) {
  const LockName name = ordered.effect.lock;
  const Mode mode = ordered.effect.mode;
  const Token token = ordered.effect.token;
  Lock& lock = locks_[name];
  const std::size_t on = resource_of(ordered.resource);
  Resource& resource = resources_[on];
  const auto wrong = [&](const char* property, const std::string& what) {
    report(property, text(applied.at) + text(name) + " is granted by " + text(applied.place) +
                         " with " + text(token) + " " + what);
  };
  if (lock.granted) wrong("NPG", "a second time");
  if (lock.gone) wrong("NPG", "after it was cancelled or released");
  if (token <= highest_ordered_) wrong("TM", "after " + text(highest_ordered_));
  highest_ordered_ = std::max(highest_ordered_, token);

  const auto place = std::find(resource.waiting.begin(), resource.waiting.end(), name);
  if (!resource.waiting.empty() && place != resource.waiting.begin()) {
    wrong("FIFO", "ahead of " + text(resource.waiting.front()));
  }
  if (place != resource.waiting.end()) resource.waiting.erase(place);

  for (std::size_t other = 0; other < kModes; ++other) {
    if (!conflict(other, number(mode))) continue;
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
  lock.granted = true;
  lock.held = true;
  resource.granted_since_cold = true;
  lock.session_had_ended = sessions_[name.session].ended;
  lock.granted_on = on;
  lock.granted_mode = mode;
  lock.token = token;
  resource.holders[number(mode)].push_back(name);
}

void LockChecker::Impl::free(const Applied& applied, const dlm::Effect& effect) {
  const LockName name = effect.lock;
  Lock& lock = locks_[name];
  Resource& resource = resources_[lock.granted_on];
  lock.gone = true;
  if (effect.kind == dlm::Effect::Kind::cancelled) {
    std::erase(resource.waiting, name);
    return;
  }
  const auto wrong = [&](const char* property, const std::string& what) {
    report(property,
           text(applied.at) + text(name) + " is freed by " + text(applied.place) + ", " + what);
  };
  if (!lock.held) return wrong("NLR", "but does not hold");
  if (effect.token != lock.token) wrong("NLR", "under another token than it was granted");
  lock.held = false;
  erase(resource.holders[number(lock.granted_mode)], name);
  const Session& session = sessions_[name.session];
  if (lock.over || session.closed) return;
  if (!session.ended) wrong("RX", "but its client has not finished and its session has not ended");
  resource.ghosts[number(lock.granted_mode)].push_back(name);
}

}  // namespace sim
