// What clients ask and are told: each outcome the one that the order has, once, and by a daemon of
// the active primary.
#include "tests/sim/barrier_checker_impl.h"

namespace sim {
namespace {

std::string when(TrueTime at) {
  return "at " + std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(at).count()) +
         " us: ";
}

std::string text(std::uint64_t client, base::RequestId request) {
  return "request " + std::to_string(base::value(request)) + " of client " + std::to_string(client);
}

bool is_answered_at_once(const BarrierAsked& asked) {
  return asked.kind != BarrierAsked::Kind::arrive && asked.kind != BarrierAsked::Kind::leave;
}

}  // namespace

std::string text(BarrierKey key) {
  return (key.step == BarrierStep::enter ? "enter" : "leave") + std::string(" of generation ") +
         std::to_string(base::value(key.generation));
}

std::string text(const BarrierName& name) {
  return "barrier " + name.lockspace + "/" + name.barrier;
}

void BarrierChecker::Impl::told(TrueTime at, const Processor& by, SessionId session, BarrierKey key,
                                bool active) {
  if (active) return;
  report("PRM", when(at) + "session " + std::to_string(base::value(session)) + " was told of " +
                    text(key) + " by " + base::to_string(by) +
                    ", which is not in a regular configuration of an active primary");
}

void BarrierChecker::Impl::client_asks(std::uint64_t client, const BarrierAsked& asked) {
  asked_[{client, asked.request}].what = asked;
}

void BarrierChecker::Impl::client_withdraws(std::uint64_t client, RequestId arrival) {
  asked_[{client, arrival}].withdraws = true;
}

void BarrierChecker::Impl::client_ended(TrueTime at, std::uint64_t client, RequestId request,
                                        SessionId self, const BarrierOutcome& outcome) {
  const auto found = asked_.find({client, request});
  if (found == asked_.end() || found->second.answered) {
    report("EXO", when(at) + text(client, request) + " has an outcome" +
                      (found == asked_.end() ? ", and was never made" : " after its end"));
    return;
  }
  found->second.answered = true;
  compare_told(at, self, outcome);
  const BarrierKey key{outcome.generation, outcome.step};
  const auto ended = ended_.find(key);
  if (ended == ended_.end()) return;
  const BarrierAsked& what = found->second.what;
  const bool arrival = what.kind == BarrierAsked::Kind::arrive;
  const bool fits = arrival ? ended->second.name == what.name : key.generation == what.generation;
  if (!fits || arrival != (key.step == BarrierStep::enter)) {
    report("EXO", when(at) + text(client, request) + " is told of " + text(key) +
                      ", for which it did not ask");
  }
  const auto by = ended->second.requests.find(self);
  if (arrival && by != ended->second.requests.end() && by->second != request) {
    report("EXO", when(at) + text(client, request) + " is told of " + text(key) +
                      ", where it has arrived by another request");
  }
}

void BarrierChecker::Impl::client_broken(TrueTime at, std::uint64_t client, SessionId self,
                                         const BarrierOutcome& outcome) {
  if (outcome.step != BarrierStep::leave || outcome.ending == BarrierEnding::released) {
    report("ONE", when(at) + "client " + std::to_string(client) +
                      " is told that it was broken inside, and was not");
  }
  compare_told(at, self, outcome);
}

// It is what the order has, for one who takes part.
void BarrierChecker::Impl::compare_told(TrueTime at, SessionId self,
                                        const BarrierOutcome& outcome) {
  const BarrierKey key{outcome.generation, outcome.step};
  const auto wrong = [&](const char* property, const std::string& what) {
    report(property, when(at) + "session " + std::to_string(base::value(self)) + " is told of " +
                         text(key) + " " + what);
  };
  const auto found = ended_.find(key);
  if (found == ended_.end()) return wrong("ONE", "which has not ended in the order");
  told_.emplace(self, key);
  const BarrierOutcome& ordered = found->second.outcome;
  if (!found->second.requests.contains(self)) wrong("NER", "where it had not arrived");
  if (outcome.ending != ordered.ending) wrong("ONE", "another ending than the order has");
  if (outcome.ring != ordered.ring || outcome.membership != ordered.membership) {
    wrong("ONE", "another configuration than the order has");
  }
  if (outcome.lost != ordered.lost || outcome.losses != ordered.losses) {
    wrong("ONE", "other deaths than the order has");
  }
  if (outcome.members.size() != ordered.members.size()) {
    return wrong("ONE", "other participants than the order has");
  }
  for (std::size_t i = 0; i < outcome.members.size(); ++i) {
    const auto& one = outcome.members[i];
    const auto& other = ordered.members[i];
    if (one.session != other.session || one.at != other.at) {
      return wrong("ONE", "other participants than the order has");
    }
    if (one.value != other.value) wrong("VAL", "other values than the order has");
  }
}

void BarrierChecker::Impl::client_failed(TrueTime at, std::uint64_t client, RequestId request,
                                         bool withdrawn) {
  const auto found = asked_.find({client, request});
  if (found == asked_.end() || found->second.answered) {
    report("EXO", when(at) + text(client, request) + " has failed after its end");
    return;
  }
  found->second.answered = true;
  found->second.withdrawn = withdrawn;
  if (!withdrawn) return;
  const auto counted = [&](const auto& requests) {
    for (const auto& [session, one] : requests) {
      const auto owner = owners_.find(session);
      if (owner != owners_.end() && owner->second == client && one == request) return true;
    }
    return false;
  };
  for (const auto& [key, ended] : ended_) {
    if (key.step != BarrierStep::enter || !counted(ended.requests)) continue;
    report("NER", when(at) + text(client, request) + " was withdrawn, but counts in " + text(key));
  }
}

void BarrierChecker::Impl::client_answered(TrueTime at, std::uint64_t client, RequestId request) {
  const auto found = asked_.find({client, request});
  if (found == asked_.end()) return;  // It is not about barriers.
  if (found->second.answered) {
    report("EXO", when(at) + text(client, request) + " is answered twice");
  }
  found->second.answered = true;
}

void BarrierChecker::Impl::client_gone(std::uint64_t client) {
  for (auto& [name, asked] : asked_) {
    if (name.first == client) asked.answered = true;
  }
}

void BarrierChecker::Impl::settled(TrueTime at) {
  for (const auto& [name, asked] : asked_) {
    if (asked.answered) continue;
    report("NLB", when(at) + text(name.first, name.second) + " waits for " +
                      (is_answered_at_once(asked.what) ? "an answer" : "an outcome"));
  }
  if (tables_.empty()) return;
  for (const auto& [session, key] : tables_.rbegin()->second.owed) {
    report("KPT",
           when(at) + "the outcome of " + text(key) + " is kept for session " +
               std::to_string(base::value(session)) +
               (told_.contains({session, key}) ? ", which has it" : ", which does not hear"));
  }
}

}  // namespace sim
