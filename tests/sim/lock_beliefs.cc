// What clients believe to hold, and what they did with it: ME, ME-T, TM, NPG, LF, NFE, NLW, NLO.
#include "tests/sim/lock_checker_impl.h"

namespace sim {

namespace {

unsigned bit(Mode mode) {
  return 1u << number(mode);
}

// Whether who relies on what all of `a` exclude is in the way of who relies on all of `b`.
bool all_conflict(unsigned a, unsigned b) {
  for (std::size_t i = 0; i < kModes; ++i) {
    for (std::size_t j = 0; j < kModes; ++j) {
      if ((a >> i & 1) != 0 && (b >> j & 1) != 0 && !conflict(i, j)) return false;
    }
  }
  return true;
}

unsigned modes_of(Mode mode, LockFlags flags) {
  unsigned modes = bit(mode);
  if ((flags & base::lock_flag::or_pr) != 0) modes |= bit(Mode::pr);
  if ((flags & base::lock_flag::or_cw) != 0) modes |= bit(Mode::cw);
  return modes;
}

std::string text(unsigned modes) {
  std::string names;
  for (std::size_t i = 0; i < kModes; ++i) {
    if ((modes >> i & 1) != 0) names += (names.empty() ? "" : "/") + std::string(mode_name(i));
  }
  return names;
}

}  // namespace

void LockChecker::Impl::client_asks(LockName name, const Asked& asked) {
  Lock& lock = locks_[name];
  if (lock.asked) return;  // A retry is the same request.
  lock.asked = true;
  lock.resource = resource_of(asked.resource);
  lock.mode = asked.mode;
  lock.flags = asked.flags;
  lock.owner = asked.owner;
  lock.first = asked.first;
  lock.parts = asked.parts;
  lock.highest_before = highest_ok_;
}

void LockChecker::Impl::client_granted(TrueTime at, LockName name, const Told& told) {
  const Token token = told.token;
  Lock& lock = locks_[name];
  Session& session = sessions_[name.session];
  if (session.forced) return;
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
    const bool mode = (modes_of(lock.mode, lock.flags) & bit(told.mode)) != 0;
    if (!mode || lock.granted_mode != told.mode || lock.granted_on != lock.resource) {
      wrong("NPG", "was asked for in another mode or on another resource");
    }
    if (lock.session_had_ended) wrong("NPG", "was granted when its session had ended");
    compare_told(at, name, told);
  }
  if (token <= lock.highest_before) {
    wrong("TM", "follows " + text(lock.highest_before) +
                    ", which a client had before this one was asked for");
  }
  lock.ok = true;
  highest_ok_ = std::max(highest_ok_, token);
  session.believed.push_back(name);
  lock.told_mode = told.mode;
  believe(at, name, bit(told.mode));
}

// From now on, and for certain until the deadline.
void LockChecker::Impl::believe(TrueTime at, LockName name, unsigned modes) {
  Lock& lock = locks_[name];
  highest_ok_ = std::max(highest_ok_, lock.token);
  lock.belief = modes;
  lock.ok_at = at;
  const auto other = believer_against(name, at);
  if (other && clocks_hold_) {
    report("ME", text(at) + text(name) + " with " + text(lock.token) + " in " + text(modes) +
                     " overlaps the belief in " + text(*other) + " in " +
                     text(locks_[*other].belief));
  }
  auto& believers = resources_[lock.resource].believers;
  if (!contains(believers, name)) believers.push_back(name);
}

// Forgets, on the way, those whose belief is over; so each is looked at once in vain.
std::optional<LockName> LockChecker::Impl::believer_against(LockName name, TrueTime at) {
  auto& believers = resources_[locks_[name].resource].believers;
  std::erase_if(believers, [&](LockName other) { return !believed(other, at); });
  for (const LockName other : believers) {
    if (other != name && all_conflict(locks_[other].belief, locks_[name].belief)) return other;
  }
  return std::nullopt;
}

// What was read, and whether it is marked: as the order has it. An answer that is repeated is made
// from the table, which tells the value as it is.
void LockChecker::Impl::compare_told(TrueTime at, LockName name, const Told& told) {
  const Lock& lock = locks_[name];
  const Resource& resource = resources_[lock.granted_on];
  const auto wrong = [&](const std::string& what) {
    report("LVB", text(at) + text(name) + " with " + text(told.token) + " " + what);
  };
  if (lock.read && !told.value) wrong("is told no value, but the order has read one");
  if (told.mode < Mode::pr || !told.value) return;
  if (*told.value != resource.value) wrong("is told another value than the last that was written");
  const bool marked = (told.notes & base::grant_note::value_invalid) != 0;
  if (lock.read && resource.marked && *resource.marked != marked) {
    wrong(marked ? "is told of a mark that is none" : "is not told that the last writer was lost");
  }
}

void LockChecker::Impl::client_releases(LockName name, LockFlags flags,
                                        const std::optional<ValueBlock>& value) {
  Lock& lock = locks_[name];
  lock.release = AskedConversion{{}, Mode::nl, flags, value};
  if (!lock.over) client_ended(name);
}

void LockChecker::Impl::client_converts(LockName name, const AskedConversion& asked) {
  Lock& lock = locks_[name];
  lock.conversions.push_back(asked);
  lock.belief |= modes_of(asked.mode, asked.flags);
  if ((asked.flags & base::lock_flag::demote_on_deadlock) != 0) lock.belief |= bit(Mode::nl);
}

void LockChecker::Impl::client_converted(TrueTime at, LockName name, RequestId operation,
                                         const Told& told) {
  if (sessions_[name.session].forced) return;
  Lock& lock = locks_[name];
  const auto wrong = [&](const char* property, const std::string& what) {
    report(property, text(at) + text(name) + " is converted by request " +
                         std::to_string(base::value(operation)) + " with " + text(told.token) +
                         ", " + what);
  };
  if (!lock.ok || lock.over) return wrong("NPG", "but its client does not have it");
  if (lock.granted_by != operation || lock.token != told.token || lock.granted_mode != told.mode) {
    wrong("NLR", "but the order has it in " + text(lock.granted_mode) + " with " +
                     text(lock.token) + " by request " +
                     std::to_string(base::value(lock.granted_by)));
  }
  compare_told(at, name, told);
  lock.told_mode = told.mode;
  believe(at, name, bit(told.mode));
}

void LockChecker::Impl::client_not_converted(TrueTime at, LockName name, RequestId operation,
                                             const Told& told) {
  if (sessions_[name.session].forced) return;
  Lock& lock = locks_[name];
  const auto wrong = [&](const char* property, const std::string& what) {
    report(property, text(at) + text(name) + " is not converted by request " +
                         std::to_string(base::value(operation)) + ", " + what);
  };
  if (!lock.ok || lock.over) return wrong("NPG", "but its client does not have it");
  if (lock.granted_by == operation) wrong("NLR", "but it is in the order");
  const Mode held = lock.demoted ? Mode::nl : lock.granted_mode;
  if (lock.token != told.token) wrong("NLR", "and keeps another token than in the order");
  if (told.mode != held) {
    wrong("NLR", "and keeps " + text(told.mode) + ", but the order has " + text(held));
  }
  lock.told_mode = told.mode;
  believe(at, name, bit(told.mode));
}

void LockChecker::Impl::client_blocks(TrueTime at, LockName name, Token token, Mode mode) {
  const Lock& lock = locks_[name];
  if (lock.token != token) return;  // Converted meanwhile: the word is late.
  if (!lock.told_of) {
    report("BLK", text(at) + text(name) + " is told that it stands against " + text(mode) +
                      ", but nobody waited");
  }
}

void LockChecker::Impl::client_operates(std::uint64_t client, RequestId operation) {
  operations_.insert({client, operation});
}

void LockChecker::Impl::client_answered(TrueTime at, std::uint64_t client, RequestId operation) {
  if (operations_.erase({client, operation}) != 0) return;
  report("ONE", text(at) + "request " + std::to_string(base::value(operation)) + " of client " +
                    std::to_string(client) + " is answered, but is none or was answered before");
}

void LockChecker::Impl::client_gone(std::uint64_t client) {
  std::erase_if(operations_, [&](const auto& operation) { return operation.first == client; });
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
  locks_[name].lost = true;
  if (sessions_[name.session].forced) return;
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
  for (const auto& [client, operation] : operations_) {
    report("NLW", text(at) + "request " + std::to_string(base::value(operation)) + " of client " +
                      std::to_string(client) + " has no answer");
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
  const Session& session = sessions_[name.session];
  if (session.deadline >= at || session.forced) return;
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
