// What clients believe to hold, and what they did with it: ME, ME-T, TM, NPG, LF, NFE, NLW, NLO.
#include "tests/sim/lock_checker_impl.h"

namespace sim {

void LockChecker::Impl::client_acquires(LockName name, std::string_view resource, Mode mode) {
  Lock& lock = locks_[name];
  if (lock.asked) return;  // A retry is the same request.
  lock.asked = true;
  lock.resource = resource_of(resource);
  lock.mode = mode;
  lock.highest_before = highest_ok_;
}

void LockChecker::Impl::client_ok(TrueTime at, LockName name, Token token) {
  Lock& lock = locks_[name];
  Session& session = sessions_[name.session];
  const auto wrong = [&](const char* property, const std::string& what) {
    report(property, text(at) + text(name) + " with " + text(token) + " " + what);
  };
  if (!lock.asked) return wrong("NPG", "was granted, but nobody had asked for it");
  if (lock.ok) return wrong("NPG", "was granted to its client twice");
  if (lock.over) return wrong("NPG", "was granted after its client had been told that it was over");
  if (session.deadline < at) wrong("NPG", "was granted after the client's deadline");
  if (!lock.granted) {
    wrong("NPG", "was granted, but no such grant is in the order");
  } else {
    if (lock.token != token) wrong("NPG", "has " + text(lock.token) + " in the order");
    if (lock.granted_mode != lock.mode || lock.granted_on != lock.resource) {
      wrong("NPG", "was asked for in another mode or on another resource");
    }
    if (lock.session_had_ended) wrong("NPG", "was granted when its session had ended");
  }
  if (token <= lock.highest_before) {
    wrong("TM", "follows " + text(lock.highest_before) +
                    ", which a client had before this one was asked for");
  }
  highest_ok_ = std::max(highest_ok_, token);
  const auto other = believer_against(lock.resource, lock.mode, at);
  if (other && clocks_hold_) {
    wrong("ME", "in " + text(lock.mode) + " overlaps the belief in " + text(*other) + " in " +
                    text(locks_[*other].mode));
  }
  lock.ok = true;
  lock.ok_at = at;
  resources_[lock.resource].believers[number(lock.mode)].push_back(name);
  session.believed.push_back(name);
}

// Forgets, on the way, those whose belief is over; so each is looked at once in vain.
std::optional<LockName> LockChecker::Impl::believer_against(std::size_t resource, Mode mode,
                                                            TrueTime at) {
  for (std::size_t other = 0; other < kModes; ++other) {
    if (!conflict(other, number(mode))) continue;
    auto& believers = resources_[resource].believers[other];
    while (!believers.empty() && !believed(believers.back(), at)) believers.pop_back();
    if (!believers.empty()) return believers.back();
  }
  return std::nullopt;
}

void LockChecker::Impl::client_ended(LockName name) {
  locks_[name].over = true;
  erase(sessions_[name.session].believed, name);
}

void LockChecker::Impl::client_released(TrueTime at, LockName name) {
  if (!locks_[name].held) return;
  report("NLR",
         text(at) + text(name) + " is released, its client was told, but the order has it held");
}

void LockChecker::Impl::client_not_released(TrueTime at, LockName name) {
  if (sessions_[name.session].ended) return;
  report("LIN", text(at) + text(name) +
                    " was held by its client, who is told now that it gave back nothing");
}

void LockChecker::Impl::client_lost(TrueTime at, LockName name) {
  client_ended(name);
  if (!undisturbed_from_ || locks_[name].ok_at < *undisturbed_from_) return;
  report("NFE", text(at) + text(name) + " is lost, undisturbed " + text(*undisturbed_from_) +
                    "and ever since");
}

void LockChecker::Impl::settled(TrueTime at) {
  std::vector<LockName> waiting;
  for (const auto& [name, lock] : locks_) {
    const Session& session = sessions_[name.session];
    const bool open = lock.asked && !lock.ok && !lock.over;
    if (open && !session.closed && !session.ended) waiting.push_back(name);
  }
  std::sort(waiting.begin(), waiting.end());
  for (const LockName name : waiting) {
    report("NLW", text(at) + text(name) + " was asked for, and is neither granted nor refused");
  }
  for (const Resource& resource : resources_) {
    for (const auto& holders : resource.holders) {
      for (const LockName name : holders) {
        const Session& session = sessions_[name.session];
        if (!locks_[name].over && !session.closed && !session.ended) continue;
        report("NLO", text(at) + text(name) + " is held for nobody, and is not freed");
      }
    }
  }
}

void LockChecker::Impl::client_closed(SessionId id) {
  Session& session = sessions_[id];
  session.closed = true;
  session.deadline = kNever;
  session.believed.clear();
}

void LockChecker::Impl::client_deadline(TrueTime at, SessionId id, TrueTime until) {
  Session& session = sessions_[id];
  if (session.closed) return;
  if (clocks_hold_ && session.deadline < at && !session.believed.empty()) {
    report("LF", text(at) + text(session.believed.front()) +
                     " came back to life: its deadline had passed when a new one came");
  }
  session.deadline = until;
}

void LockChecker::Impl::client_uses(TrueTime at, LockName name) {
  if (sessions_[name.session].deadline >= at) return;
  report("LF", text(at) + text(name) + " is used by its client, whose deadline has passed");
}

void LockChecker::Impl::access(TrueTime at, std::string_view resource, LockName name, Mode mode,
                               Token token, bool accepted) {
  const std::size_t on = resource_of(resource);
  if (!accepted) {
    locks_.try_emplace(name);
    sessions_.try_emplace(name.session);
    if (clocks_hold_ && believed(name, at)) {
      report("ME-T", text(at) + text(name) + " with " + text(token) +
                         " was refused by the resource while its client holds it");
    }
    return;
  }
  for (std::size_t other = 0; other < kModes; ++other) {
    const Token seen = resources_[on].accepted[other];
    if (!conflict(other, number(mode)) || seen <= token) continue;
    report("ME-T", text(at) + text(name) + " with " + text(token) + " was accepted after " +
                       text(seen) + " of a conflicting mode");
  }
  Token& highest = resources_[on].accepted[number(mode)];
  highest = std::max(highest, token);
}

}  // namespace sim
