// What the ordered commands mean for barriers, and whether each step ends when it has to, and how.
#include <algorithm>

#include "tests/sim/barrier_checker_impl.h"

namespace sim {
namespace {

std::string text(base::SessionId session) {
  return "session " + std::to_string(base::value(session));
}

// For which a time-out may be late in a cluster that is whole.
constexpr base::Duration kGrace = std::chrono::milliseconds(1200);

// A request that came too late, which is not what the outcome was kept for.
bool answers_again(const OrderedBarriers& command, const StepEnded& ended) {
  return command.asked && command.asked_by == ended.session &&
         command.asked->request == ended.request &&
         (command.asked->kind == BarrierAsked::Kind::leave ||
          command.asked->kind == BarrierAsked::Kind::withdraw);
}

bool agree(const BarrierConfig& a, const BarrierConfig& b) {
  return a.parties == b.parties && a.unit == b.unit && a.on_death == b.on_death &&
         a.two_steps == b.two_steps;
}

}  // namespace

void BarrierChecker::Impl::report(std::string property, std::string explanation) {
  if (violations.size() < LockChecker::kViolationsMax) {
    violations.push_back({"barrier " + property, std::move(explanation)});
  }
}

void BarrierChecker::Impl::wrong(const Command& command, const char* property,
                                 const std::string& what) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(command.applied.at);
  report(property, "at " + std::to_string(us.count()) + " us: by epoch " +
                       std::to_string(command.applied.place.epoch) + " " +
                       std::to_string(command.applied.place.sequence) + "." +
                       std::to_string(command.applied.place.index) + " " + what);
}

void BarrierChecker::Impl::ordered(const Applied& applied) {
  if (!applied.barriers) return;
  auto at = tables_.upper_bound(applied.place.epoch);
  if (at == tables_.begin()) return report("PRM", "a command before the first active epoch");
  const bool late = at != tables_.end();
  const OrderedBarriers& barriers = *applied.barriers;
  Command command{applied, barriers, std::prev(at)->second, late, {}, {}, {}};
  check_tokens(command);
  if (barriers.departures) change_members(command);
  for (const BarrierHappening& happening : barriers.happened) {
    std::visit([&](const auto& one) { on(command, one); }, happening);
  }
  change_members(command);
  check_due(command);
  check_patience(command);
  check_views(command);
}

// Generations lie in the order of the tokens.
void BarrierChecker::Impl::check_tokens(const Command& command) {
  if (command.late) return;
  for (const auto& [effect, resource] : command.applied.effects) {
    if (effect.kind != dlm::Effect::Kind::granted) continue;
    if (base::value(effect.token) <= base::value(last_generation_)) {
      wrong(command, "GEN",
            "a lock is granted with token " + std::to_string(base::value(effect.token)) +
                ", but there is generation " + std::to_string(base::value(last_generation_)));
    }
    last_token_ = std::max(last_token_, effect.token);
  }
}

void BarrierChecker::Impl::on(Command& command, const SessionOver& over) {
  check_due(command);
  Table& table = command.table;
  if (!table.ended.insert(over.session).second) return;
  if (over.forced) forced_.insert(over.session);
  std::set<std::string> member_of;
  for (auto& [lockspace, members] : table.members) {
    if (members.sessions.erase(over.session) != 0) member_of.insert(lockspace);
  }
  for (auto& [name, barrier] : table.barriers) {
    bury(barrier, over.session, over.at, member_of.contains(name.lockspace));
  }
  std::erase_if(table.owed, [&](const auto& owed) { return owed.first == over.session; });
}

void BarrierChecker::Impl::on(Command& command, const RequestAnswered& answered) {
  check_due(command);
  if (!command.barriers.departures) change_members(command);
  const auto& asked = command.barriers.asked;
  if (!asked || !answered.taken) return;
  if (!command.table.taken.emplace(command.barriers.asked_by, asked->request).second) return;
  check_asked(command, command.barriers.asked_by, *asked);
  take(command, *asked);
}

void BarrierChecker::Impl::check_asked(const Command& command, SessionId session,
                                       const BarrierAsked& asked) {
  const bool withdraws = asked.kind == BarrierAsked::Kind::withdraw;
  const Asked* own = asked_by(session, withdraws ? asked.arrival : asked.request);
  const std::string who =
      text(session) + " has request " + std::to_string(base::value(asked.request)) + " taken";
  const bool made = own != nullptr && (withdraws ? own->withdraws && own->what.name == asked.name
                                                 : own->what == asked);
  if (!made) {
    wrong(command, "EXO", who + ", which its client did not make");
  } else if (own->withdrawn) {
    wrong(command, "NER", who + ", which its client was told is withdrawn");
  }
}

BarrierChecker::Impl::Asked* BarrierChecker::Impl::asked_by(SessionId session, RequestId request) {
  const auto owner = owners_.find(session);
  if (owner == owners_.end()) return nullptr;
  const auto found = asked_.find({owner->second, request});
  return found == asked_.end() ? nullptr : &found->second;
}

void BarrierChecker::Impl::take(Command& command, const BarrierAsked& asked) {
  using Kind = BarrierAsked::Kind;
  if (asked.kind == Kind::leave) return take_leave(command, asked);
  if (asked.kind == Kind::create || asked.config) take_create(command, asked.name, *asked.config);
  const auto found = command.table.barriers.find(asked.name);
  if (found == command.table.barriers.end()) {
    return wrong(command, "CFG",
                 "something is done at " + text(asked.name) + ", which is not there");
  }
  Barrier& barrier = found->second;
  switch (asked.kind) {
    case Kind::change:
      return take_change(command, barrier, asked);
    case Kind::arrive:
      return take_arrival(command, barrier, asked);
    case Kind::withdraw:
      return take_withdrawal(command, barrier, asked);
    case Kind::cancel:
    case Kind::remove: {
      const bool removes = asked.kind == Kind::remove;
      const BarrierEnding ending = removes ? BarrierEnding::deleted : BarrierEnding::cancelled;
      if (removes && !barrier.idle() && !asked.force) {
        wrong(command, "CFG", text(asked.name) + " is deleted though somebody is there");
      }
      if (barrier.entering) barrier.entering->due = ending;
      if (barrier.inside) barrier.inside->due = ending;
      if (removes && barrier.idle()) command.table.barriers.erase(found);
      return;
    }
    case Kind::create:
    case Kind::leave:
      return;
  }
}

void BarrierChecker::Impl::take_create(Command& command, const BarrierName& name,
                                       const BarrierConfig& config) {
  const auto [at, is_new] = command.table.barriers.try_emplace(name);
  if (is_new) at->second.config = config;
  if (!agree(at->second.config, config)) {
    wrong(command, "CFG", text(name) + " is taken for one that was created otherwise");
  }
}

void BarrierChecker::Impl::take_change(Command& command, Barrier& barrier,
                                       const BarrierAsked& asked) {
  using Attribute = liblock::protocol::BarrierAttribute;
  if (asked.attribute == Attribute::auto_delete) {
    barrier.config.auto_delete = asked.number != 0;
    return;
  }
  if (!barrier.idle()) {
    wrong(command, "CFG", text(asked.name) + " is changed though somebody is there");
  }
  (asked.attribute == Attribute::parties ? barrier.config.parties : barrier.config.patience) =
      asked.number;
}

void BarrierChecker::Impl::take_arrival(Command& command, Barrier& barrier,
                                        const BarrierAsked& asked) {
  const SessionId session = command.barriers.asked_by;
  const auto inside = [&] {
    return barrier.inside && barrier.inside->participants.contains(session) &&
           !barrier.inside->has_left(session);
  };
  if (!barrier.entering) {
    barrier.entering = Round{};
    command.opening = asked.name;
  }
  const Participant one{asked.request, command.applied.sender, asked.value};
  const bool twice = !barrier.entering->participants.emplace(session, one).second;
  if (twice || inside()) {
    wrong(command, "EXO",
          text(session) + " arrives at " + text(asked.name) + ", where it is already");
  }
}

void BarrierChecker::Impl::take_leave(Command& command, const BarrierAsked& asked) {
  const SessionId session = command.barriers.asked_by;
  for (auto& [name, barrier] : command.table.barriers) {
    if (!barrier.inside || barrier.inside->generation != asked.generation) continue;
    const auto found = barrier.inside->participants.find(session);
    if (found == barrier.inside->participants.end() || found->second.request != RequestId{}) break;
    found->second.request = asked.request;
    found->second.value = asked.value;
    return;
  }
  // It came too late, and is answered with the outcome.
  const auto ended = ended_.find({asked.generation, BarrierStep::leave});
  if (ended != ended_.end() && ended->second.requests.contains(session)) return;
  wrong(command, "EXO",
        text(session) + " leaves generation " + std::to_string(base::value(asked.generation)) +
            ", in which it is not inside");
}

void BarrierChecker::Impl::take_withdrawal(Command& command, Barrier& barrier,
                                           const BarrierAsked& asked) {
  const SessionId session = command.barriers.asked_by;
  const auto withdrawn = [&](const auto& one) {
    return one.first == session && one.second.request == asked.arrival;
  };
  if (!barrier.entering || std::erase_if(barrier.entering->participants, withdrawn) == 0) {
    return wrong(command, "EXO",
                 text(session) + " withdraws from " + text(asked.name) +
                     " an arrival that does not count there");
  }
  if (!barrier.entering->participants.empty()) return;
  barrier.entering.reset();
  barrier.over = true;
}

void BarrierChecker::Impl::on(Command& command, const StepOpened& opened) {
  const BarrierGeneration generation = opened.key.generation;
  if (opened.key.step == BarrierStep::leave) return;
  const auto at = command.table.barriers.find(command.opening);
  if (at == command.table.barriers.end() || !at->second.entering) {
    return wrong(command, "GEN", text(opened.key) + " opens, where nobody has come first");
  }
  at->second.entering->generation = generation;
  const std::string number = "generation " + std::to_string(base::value(generation));
  if (!generations_.insert(generation).second) wrong(command, "GEN", number + " is used twice");
  if (command.late) return;
  if (generation <= last_generation_) {
    wrong(command, "GEN", number + " opens after " + std::to_string(base::value(last_generation_)));
  }
  if (base::value(generation) <= base::value(last_token_)) {
    wrong(command, "GEN",
          number + " opens after token " + std::to_string(base::value(last_token_)));
  }
  last_generation_ = std::max(last_generation_, generation);
}

void BarrierChecker::Impl::on(Command& command, const StepEnded& ended) {
  if (const auto before = ended_.find(ended.key); before != ended_.end()) {
    // Told again, or told to the next participant.
    const auto request = before->second.requests.find(ended.session);
    if (request == before->second.requests.end()) {
      wrong(command, "NER",
            text(ended.session) + " is owed the outcome of " + text(ended.key) +
                ", where it has not arrived");
    } else if (request->second != ended.request && !answers_again(command.barriers, ended)) {
      wrong(command, "EXO",
            text(ended.session) + " is owed the outcome of " + text(ended.key) +
                " for another request than it has arrived by");
    }
    return;
  }
  if (command.ends.contains(ended.key)) return;
  // A lockspace can go with a session that has ended, or has come back elsewhere.
  if (!command.barriers.answers()) change_members(command);
  for (auto& [name, barrier] : command.table.barriers) {
    auto& round = ended.key.step == BarrierStep::enter ? barrier.entering : barrier.inside;
    if (!round || round->generation != ended.key.generation) continue;
    return end_step(command, ended, name, barrier);
  }
  wrong(command, "ONE", text(ended.key) + " ends, in which nobody waits");
}

void BarrierChecker::Impl::end_step(Command& command, const StepEnded& ended,
                                    const BarrierName& name, Barrier& barrier) {
  const BarrierKey key = ended.key;
  command.ends.insert(key);
  const bool enters = key.step == BarrierStep::enter;
  auto& open = enters ? barrier.entering : barrier.inside;
  const auto outcome = std::find_if(
      command.barriers.outcomes.begin(), command.barriers.outcomes.end(), [&](const auto& one) {
        return BarrierKey{one.outcome.generation, one.outcome.step} == key;
      });
  const bool known = outcome != command.barriers.outcomes.end();
  // All who are owed it may have ended by the same command: then nobody will know.
  BarrierEnding ending = open->due.value_or(BarrierEnding::released);
  if (known) {
    ending = outcome->outcome.ending;
    if (outcome->name != name) wrong(command, "ONE", text(key) + " ends as another barrier's");
    judge(command, key, name, barrier, *open, outcome->outcome);
    Ended& record = ended_[key];
    record.name = name;
    record.outcome = outcome->outcome;
    for (const auto& [session, one] : open->participants) {
      record.requests.emplace(session, one.request);
      command.table.owed.emplace(session, key);
    }
    on(command, ended);
  }
  Round round = std::move(*open);
  open.reset();
  if (enters && ending == BarrierEnding::released && barrier.config.two_steps) {
    barrier.inside = Round{};
    barrier.inside->generation = key.generation;
    for (const auto& [session, one] : round.participants) {
      barrier.inside->participants.emplace(session, Participant{{}, one.at, {}});
    }
  } else {
    barrier.over = true;
  }
}

void BarrierChecker::Impl::judge(const Command& command, BarrierKey key, const BarrierName& name,
                                 const Barrier& barrier, const Round& round,
                                 const BarrierOutcome& outcome) {
  const std::string what = text(key) + " of " + text(name) + " ";
  if (outcome.ring != command.applied.place.ring) {
    wrong(command, "PRM", what + "names a ring in which it was not completed");
  }
  if (!is_generation_of(command, name.lockspace, outcome.membership)) {
    wrong(command, "ONE",
          what + "names generation " + std::to_string(outcome.membership) +
              " of the members, which there was not");
  }
  if (outcome.lost != round.lost || outcome.losses != round.losses) {
    wrong(command, "DTH",
          what + "names " + std::to_string(outcome.losses) + " deaths, and not the " +
              std::to_string(round.losses) + " that concerned it");
  }
  judge_members(command, name, key, round, outcome);
  judge_ending(command, name, key, barrier, round, outcome.ending);
}

// Before what the command did, or after it. One that has gone since then had one more without its
// last member.
bool BarrierChecker::Impl::is_generation_of(const Command& command, const std::string& lockspace,
                                            std::uint64_t generation) const {
  const auto before = command.generations.find(lockspace);
  const auto now = command.table.members.find(lockspace);
  const std::uint64_t last = now == command.table.members.end() ? 0 : now->second.generation;
  if (before != command.generations.end() && before->second == generation) return true;
  const auto& there = command.barriers.members;
  const bool gone = std::none_of(there.begin(), there.end(),
                                 [&](const auto& one) { return one.lockspace == lockspace; });
  return generation == last || (gone && (generation == 0 || generation == last + 1));
}

void BarrierChecker::Impl::judge_members(const Command& command, const BarrierName& name,
                                         BarrierKey key, const Round& round,
                                         const BarrierOutcome& outcome) {
  const std::string what = text(key) + " of " + text(name);
  std::set<SessionId> seen;
  for (const auto& member : outcome.members) {
    const std::string who = text(member.session);
    if (!seen.insert(member.session).second)
      wrong(command, "EXO", what + " names " + who + " twice");
    const auto found = round.participants.find(member.session);
    if (found == round.participants.end()) {
      wrong(command, "NER", what + " counts " + who + ", which is not there");
      continue;
    }
    const Participant& one = found->second;
    const Asked* own = asked_by(member.session, one.request);
    if (own != nullptr && own->withdrawn) {
      wrong(command, "NER", what + " counts " + who + ", which was told that it has withdrawn");
    }
    if (member.at != one.at) wrong(command, "ONE", what + " has " + who + " at another node");
    const bool released = outcome.ending == BarrierEnding::released;
    if (member.value != (released ? one.value : std::string())) {
      wrong(command, "VAL", what + " has another value of " + who + " than it brought");
    }
  }
  for (const auto& [session, one] : round.participants) {
    if (!seen.contains(session)) wrong(command, "NLB", what + " leaves out " + text(session));
  }
}

void BarrierChecker::Impl::judge_ending(const Command& command, const BarrierName& name,
                                        BarrierKey key, const Barrier& barrier, const Round& round,
                                        BarrierEnding ending) {
  const std::string what = text(key) + " of " + text(name) + " ";
  if (round.due && ending != *round.due) {
    const bool died = *round.due == BarrierEnding::participant_died;
    return wrong(command, died ? "DTH" : "ONE",
                 what + "ends as " + std::string(base::to_string(ending)) + ", not as " +
                     std::string(base::to_string(*round.due)));
  }
  switch (ending) {
    case BarrierEnding::released:
      if (key.step == BarrierStep::leave) {
        if (!round.all_left()) wrong(command, "NER", what + "is released before all have left");
      } else if (barrier.inside) {
        wrong(command, "NER", what + "is released while somebody is inside");
      } else if (!complete(command.table, name, barrier)) {
        wrong(command, "NER", what + "is released before all have arrived");
      }
      return;
    case BarrierEnding::participant_died:
      if (!round.due) return wrong(command, "DTH", what + "is broken by no death");
      // Without a fault only who is made to end does.
      for (const auto& lost : round.lost) {
        if (faultless_ && !forced_.contains(lost.session)) {
          wrong(command, "DTH", what + "is broken by a death where nobody fails");
        }
      }
      return;
    case BarrierEnding::timed_out:
      return judge_time_out(command, name, key, barrier, round);
    case BarrierEnding::cancelled:
    case BarrierEnding::deleted:
      if (!round.due) wrong(command, "ONE", what + "is broken though nobody asked for it");
      return;
  }
}

// Whoever orders it has seen the step open, or has been told of it later.
void BarrierChecker::Impl::judge_time_out(const Command& command, const BarrierName& name,
                                          BarrierKey key, const Barrier& barrier,
                                          const Round& round) {
  const std::string what = text(key) + " of " + text(name) + " ";
  if (command.barriers.timed_out != key) {
    return wrong(command, "TMO", what + "is timed out by what is not its time-out");
  }
  if (barrier.config.patience == 0) return wrong(command, "TMO", what + "has no patience to lose");
  const bool left = std::any_of(round.participants.begin(), round.participants.end(),
                                [](const auto& one) { return one.second.request != RequestId{}; });
  const auto opened = opened_.find(key);
  if (!left || opened == opened_.end()) {
    return wrong(command, "TMO", what + "is timed out before anybody waits");
  }
  const base::Duration patience = std::chrono::milliseconds(barrier.config.patience);
  // Less what virtual clocks round off, when they are read and when they are waited for.
  const base::Duration least =
      patience * 1'000'000 / (1'000'000 + fastest_ppm_) - std::chrono::microseconds(1);
  if (command.applied.at - opened->second < least) {
    wrong(command, "TMO",
          what + "is timed out after " +
              std::to_string((command.applied.at - opened->second).count() / 1000) +
              " us, before its patience of " + std::to_string(barrier.config.patience) +
              " ms is over");
  }
}

// Nothing that has to follow from what has happened so far is left to do.
void BarrierChecker::Impl::check_due(Command& command) {
  for (auto at = command.table.barriers.begin(); at != command.table.barriers.end();) {
    const auto here = at++;
    const auto& [name, barrier] = *here;
    for (auto* open : {&here->second.entering, &here->second.inside}) {
      if (!*open || !(*open)->due) continue;
      const bool died = (*open)->due == BarrierEnding::participant_died;
      wrong(command, died ? "DTH" : "ONE",
            "generation " + std::to_string(base::value((*open)->generation)) + " of " + text(name) +
                " is not broken, as " + std::string(base::to_string(*(*open)->due)));
      (*open)->due.reset();
    }
    if (barrier.inside && barrier.inside->all_left()) {
      wrong(command, "NLB", "all have left " + text(name) + ", and wait");
    }
    if (barrier.entering && !barrier.inside && complete(command.table, name, barrier)) {
      wrong(command, "NLB", "all have arrived at " + text(name) + ", and wait");
    }
    if (barrier.entering && barrier.entering->generation == BarrierGeneration{}) {
      wrong(command, "GEN", text(name) + " has opened without a number");
    }
    const bool asked = command.barriers.asked &&
                       command.barriers.asked->kind == BarrierAsked::Kind::remove &&
                       command.barriers.asked->name == name;
    const bool over = std::exchange(here->second.over, false);
    if (over && barrier.idle() && (barrier.config.auto_delete || asked)) {
      command.table.barriers.erase(here);
    }
  }
}

// Where nothing hinders it, a time-out comes.
void BarrierChecker::Impl::check_patience(const Command& command) {
  if (!whole_since_ || command.late) return;
  for (const auto& entry : command.table.barriers) {
    const BarrierName& name = entry.first;
    const Barrier& barrier = entry.second;
    if (barrier.config.patience == 0) continue;
    const auto check = [&](const std::optional<Round>& round, BarrierStep step) {
      if (!round) return;
      const auto opened = opened_.find({round->generation, step});
      if (opened == opened_.end()) return;
      const TrueTime since = std::max(opened->second, *whole_since_);
      const TrueTime most = 2 * std::chrono::milliseconds(barrier.config.patience) + kGrace;
      if (command.applied.at - since <= most) return;
      wrong(command, "TMO", text(opened->first) + " of " + text(name) + " is not timed out");
    };
    check(barrier.entering, BarrierStep::enter);
    check(barrier.inside, BarrierStep::leave);
  }
}

// What is there and what is kept, as the order leaves it.
void BarrierChecker::Impl::check_views(Command& command) {
  Table& table = command.table;
  const auto& there = command.barriers.barriers;
  for (const auto& [name, config] : there) {
    const auto found = table.barriers.find(name);
    if (found == table.barriers.end()) {
      wrong(command, "CFG", text(name) + " is there, and should not be");
    } else if (found->second.config != config) {
      wrong(command, "CFG", text(name) + " is not as it was created or changed");
    }
  }
  if (there.size() < table.barriers.size()) {
    wrong(command, "CFG", "a barrier is gone that nobody has deleted");
  }
  const std::set<std::pair<SessionId, BarrierKey>> owed(command.barriers.owed.begin(),
                                                        command.barriers.owed.end());
  for (const auto& receipt : command.barriers.acknowledged) {
    if (owed.contains(receipt) || table.owed.erase(receipt) == 0) continue;
    // The second step can be known to the library before it tells of the first.
    if (receipt.second.step == BarrierStep::enter && !told_.contains(receipt)) {
      wrong(command, "KPT",
            "the outcome of " + text(receipt.second) + " is acknowledged for " +
                text(receipt.first) + ", whose client does not have it");
    }
  }
  for (const auto& [session, key] : table.owed) {
    if (owed.contains({session, key})) continue;
    wrong(command, "KPT", "the outcome of " + text(key) + " is not kept for " + text(session));
  }
  for (const auto& [session, key] : owed) {
    if (table.owed.contains({session, key})) continue;
    wrong(command, "KPT",
          "the outcome of " + text(key) + " is kept for " + text(session) +
              ", which has it or never had a right to it");
  }
}

}  // namespace sim
