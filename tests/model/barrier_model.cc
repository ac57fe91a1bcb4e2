#include "tests/model/barrier_model.h"

#include <algorithm>

namespace barrier_model {
namespace {

std::string step_text(std::uint64_t generation, bool leaving) {
  return " g" + std::to_string(generation) + (leaving ? " leave" : " enter");
}

std::string text(Session session, Request request) {
  return std::to_string(session) + "/" + std::to_string(request);
}

std::string text(const Node& node) {
  return std::to_string(node.first) + ":" + std::to_string(node.second);
}

std::string by(const Command& command) {
  return text(command.session, command.request);
}

std::string refused(const Command& command, const std::string& why) {
  return "refused " + by(command) + ": " + why;
}

std::string done(const Command& command) {
  return "done " + by(command);
}

}  // namespace

std::vector<std::string> BarrierModel::execute(const Command& command) {
  commands_.push_back(command);
  told_.clear();
  over_.clear();
  std::string answer;
  switch (command.kind) {
    case Kind::create:
      answer = create(command);
      break;
    case Kind::change:
      answer = change(command);
      break;
    case Kind::arrive:
      answer = arrive(command);
      break;
    case Kind::leave:
      answer = leave(command);
      break;
    case Kind::withdraw:
      answer = withdraw(command);
      break;
    case Kind::cancel:
      answer = cancel(command);
      break;
    case Kind::remove:
      answer = remove(command);
      break;
    case Kind::acknowledge:
      answer = acknowledge(command);
      break;
    case Kind::time_out:
      time_out(command);
      break;
    case Kind::members:
      change_members(command);
      break;
    case Kind::end_session:
      end_session(command);
      break;
  }
  settle();
  std::vector<std::string> all = told_;
  if (!answer.empty()) all.insert(all.begin(), answer);
  return all;
}

// ---- What the facts say.

std::map<Name, std::size_t> BarrierModel::barriers() const {
  std::map<Name, std::size_t> there;
  for (std::size_t i = 0; i < facts_.size(); ++i) {
    const Fact& fact = facts_[i];
    if (fact.what == What::created) there[commands_[fact.index].name] = i;
    if (fact.what == What::deleted) there.erase(commands_[facts_[fact.barrier].index].name);
  }
  return there;
}

std::optional<std::size_t> BarrierModel::barrier(const Name& name) const {
  const auto there = barriers();
  const auto found = there.find(name);
  return found == there.end() ? std::nullopt : std::optional(found->second);
}

BarrierModel::Config BarrierModel::config(std::size_t barrier) const {
  const Command& created = commands_[facts_[barrier].index];
  Config config{created.name,      created.parties,     created.of_nodes, created.death,
                created.two_steps, created.auto_delete, created.patience};
  for (const Fact& fact : facts_) {
    if (fact.what != What::changed || fact.barrier != barrier) continue;
    const Command& change = commands_[fact.index];
    if (change.attribute == Attribute::auto_delete) config.auto_delete = change.number == 1;
    if (change.attribute == Attribute::parties) config.parties = change.number;
    if (change.attribute == Attribute::patience) config.patience = change.number;
  }
  return config;
}

// The generation that is entering or inside; 0 if there is none.
std::uint64_t BarrierModel::open(std::size_t barrier, bool leaving) const {
  std::uint64_t open = 0;
  for (const Fact& fact : facts_) {
    if (fact.leaving != leaving) continue;
    if (fact.what == What::opened && fact.barrier == barrier) open = fact.generation;
    const bool over = fact.what == What::over || fact.what == What::outcome;
    if (over && fact.generation == open) open = 0;
  }
  return open;
}

// Who takes part in a step that is not over.
BarrierModel::People BarrierModel::people(std::uint64_t generation, bool leaving) const {
  People people;
  for (const Fact& fact : facts_) {
    if (fact.what == What::ended) people.erase(fact.session);
    if (fact.generation != generation || fact.leaving != leaving) continue;
    if (fact.what == What::came) people[fact.session] = {fact.at, fact.request, fact.value};
    if (fact.what == What::withdrew) people.erase(fact.session);
    if (fact.what == What::asked) {
      people[fact.session].request = fact.request;
      people[fact.session].value = fact.value;
    }
  }
  return people;
}

BarrierModel::Members BarrierModel::members(const std::string& lockspace) const {
  Members members;
  std::size_t barriers = 0;
  const auto take = [&](const Command& command) {
    members.generation = command.members_generation;
    members.nodes = {command.nodes.begin(), command.nodes.end()};
    members.sessions = {command.sessions.begin(), command.sessions.end()};
  };
  for (const Fact& fact : facts_) {
    if (fact.what == What::ended) members.sessions.erase(fact.session);
    if (fact.what == What::created && commands_[fact.index].name.first == lockspace) {
      if (barriers++ == 0) take(commands_[fact.index]);
    }
    if (fact.what == What::deleted &&
        commands_[facts_[fact.barrier].index].name.first == lockspace) {
      if (--barriers == 0) members = {};
    }
    if (fact.what == What::members && commands_[fact.index].name.first == lockspace) {
      take(commands_[fact.index]);
    }
  }
  return members;
}

std::size_t BarrierModel::replacements(std::uint64_t generation) const {
  std::size_t replacements = 0;
  for (const Fact& fact : facts_) {
    if (fact.generation != generation) continue;
    if (fact.what == What::waited_for) ++replacements;
    if (fact.what == What::replaced && replacements > 0) --replacements;
  }
  return replacements;
}

std::set<Session> BarrierModel::owed(std::size_t outcome) const {
  std::set<Session> owed;
  for (const Fact& fact : facts_) {
    if (fact.what == What::outcome && fact.index == outcome) {
      for (const auto& [session, person] : outcomes_[outcome].people) owed.insert(session);
    }
    if (fact.what == What::ended) owed.erase(fact.session);
    if (fact.what == What::acknowledged && fact.generation == outcomes_[outcome].generation &&
        fact.leaving == outcomes_[outcome].leaving) {
      owed.erase(fact.session);
    }
  }
  return owed;
}

std::vector<std::size_t> BarrierModel::kept() const {
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < outcomes_.size(); ++i) {
    if (!owed(i).empty()) kept.push_back(i);
  }
  return kept;
}

std::size_t BarrierModel::places() const {
  std::size_t places = 0;
  for (const auto& [name, id] : barriers()) {
    places += people(open(id, false), false).size() * (config(id).two_steps ? 2 : 1);
    places += people(open(id, true), true).size();
  }
  for (const std::size_t outcome : kept()) places += outcomes_[outcome].people.size();
  return places;
}

std::size_t BarrierModel::bytes() const {
  std::size_t bytes = 0;
  const auto add = [&](const People& people) {
    for (const auto& [session, person] : people) bytes += person.value.size();
  };
  for (const auto& [name, id] : barriers()) {
    add(people(open(id, false), false));
    add(people(open(id, true), true));
  }
  for (const std::size_t outcome : kept()) {
    if (outcomes_[outcome].ending == "released") add(outcomes_[outcome].people);
  }
  return bytes;
}

// Its outcomes, to come and kept.
std::size_t BarrierModel::load(Session session) const {
  std::size_t load = 0;
  for (const auto& [name, id] : barriers()) {
    if (people(open(id, false), false).count(session)) load += config(id).two_steps ? 2 : 1;
    if (people(open(id, true), true).count(session)) ++load;
  }
  for (const std::size_t outcome : kept()) load += owed(outcome).count(session);
  return load;
}

std::size_t BarrierModel::counted(const Config& config, const People& people) const {
  std::set<std::uint64_t> units;
  for (const auto& [session, person] : people) {
    units.insert(config.of_nodes ? person.at.first : session);
  }
  return units.size();
}

bool BarrierModel::complete(const Config& config, std::uint64_t generation) const {
  const People people = this->people(generation, false);
  if (config.parties > 0) return counted(config, people) >= config.parties;
  if (replacements(generation) > 0) return false;
  const Members members = this->members(config.name.first);
  if (!config.of_nodes) {
    return std::all_of(members.sessions.begin(), members.sessions.end(),
                       [&](Session session) { return people.count(session) != 0; });
  }
  return std::all_of(members.nodes.begin(), members.nodes.end(), [&](const Node& node) {
    return std::any_of(people.begin(), people.end(),
                       [&](const auto& entry) { return entry.second.at == node; });
  });
}

// ---- Requests.

std::string BarrierModel::legal(std::uint32_t parties, Death death) const {
  if (parties > limits_.participants) return "bad config";
  if (death == Death::shrink && parties != 0) return "bad config";
  return "";
}

std::string BarrierModel::create(const Command& command) {
  const auto& [lockspace, name] = command.name;
  if (lockspace.empty() || lockspace.size() > 64 || name.empty() || name.size() > 255) {
    return refused(command, "bad name");
  }
  const std::string wrong = legal(command.parties, command.death);
  if (!wrong.empty()) return refused(command, wrong);
  const auto there = barriers();
  if (there.count(command.name)) {
    const Config old = config(there.at(command.name));
    const bool same = old.parties == command.parties && old.of_nodes == command.of_nodes &&
                      old.death == command.death && old.two_steps == command.two_steps;
    return same ? done(command) : refused(command, "different");
  }
  std::set<std::string> lockspaces;
  std::size_t beside = 0;
  for (const auto& [other, id] : there) {
    lockspaces.insert(other.first);
    if (other.first == lockspace) ++beside;
  }
  if (beside == 0 && lockspaces.size() >= limits_.lockspaces) {
    return refused(command, "too many lockspaces");
  }
  if (there.size() >= limits_.barriers || beside >= limits_.barriers_per_lockspace) {
    return refused(command, "too many barriers");
  }
  Fact fact;
  fact.what = What::created;
  fact.index = commands_.size() - 1;
  note(fact);
  return done(command);
}

std::string BarrierModel::change(const Command& command) {
  if (command.attribute == Attribute::enabled && command.number == 1) {
    Command arrival = command;
    arrival.value.clear();
    return arrive(arrival);
  }
  const auto id = barrier(command.name);
  if (!id) return refused(command, "unknown barrier");
  if (command.attribute == Attribute::enabled) return refused(command, "bad attribute");
  if (command.attribute == Attribute::auto_delete) {
    if (command.number > 1) return refused(command, "bad attribute");
  } else {
    if (open(*id, false) != 0 || open(*id, true) != 0) return refused(command, "in use");
    if (command.attribute == Attribute::parties) {
      const std::string wrong = legal(command.number, config(*id).death);
      if (!wrong.empty()) return refused(command, wrong);
    }
  }
  Fact fact;
  fact.what = What::changed;
  fact.barrier = *id;
  fact.index = commands_.size() - 1;
  note(fact);
  return done(command);
}

// The outcome of *enter* that this arrival has led to, if it is owed to the session.
std::optional<std::string> BarrierModel::kept_answer(const Command& command,
                                                     Request arrival) const {
  for (const std::size_t i : kept()) {
    const Outcome& outcome = outcomes_[i];
    if (outcome.leaving || !owed(i).count(command.session)) continue;
    if (outcome.people.at(command.session).request != arrival) continue;
    return "ended " + by(command) + step_text(outcome.generation, false);
  }
  return std::nullopt;
}

std::string BarrierModel::arrive(const Command& command) {
  if (command.value.size() > 256) return refused(command, "bad value");
  if (const auto kept = kept_answer(command, command.request)) return *kept;
  const auto id = barrier(command.name);
  if (!id) return refused(command, "unknown barrier");
  const Config config = this->config(*id);
  std::uint64_t generation = open(*id, false);
  const People there = people(generation, false);
  if (there.count(command.session)) {
    if (there.at(command.session).request != command.request) {
      return refused(command, "already arrived");
    }
    return "arrived " + by(command) + step_text(generation, false);
  }
  const People inside = people(open(*id, true), true);
  if (inside.count(command.session) && inside.at(command.session).request == 0) {
    return refused(command, "inside");
  }
  if (config.parties == 0) {
    const Members members = this->members(command.name.first);
    const bool member = config.of_nodes ? members.nodes.count(command.at) != 0
                                        : members.sessions.count(command.session) != 0;
    if (!member) return refused(command, "not member");
  }
  const std::size_t steps = config.two_steps ? 2 : 1;
  if (load(command.session) + steps > limits_.outcomes_per_session) {
    return refused(command, "session full");
  }
  People with = there;
  with[command.session] = {command.at, command.request, command.value};
  if (with.size() > limits_.participants) return refused(command, "barrier full");
  if (config.parties > 0 && counted(config, with) > config.parties) {
    return refused(command, "barrier full");
  }
  if (places() + steps > limits_.places) return refused(command, "too many places");
  if (bytes() + command.value.size() > limits_.value_bytes) {
    return refused(command, "too many bytes");
  }
  Fact fact;
  if (generation == 0) {
    generation = 1;
    for (const Fact& old : facts_) {
      if (old.what == What::opened && !old.leaving) ++generation;
    }
    fact.what = What::opened;
    fact.barrier = *id;
    fact.generation = generation;
    note(fact);
    told_.push_back("opened" + step_text(generation, false));
  }
  fact.what = What::came;
  fact.generation = generation;
  fact.session = command.session;
  fact.request = command.request;
  fact.at = command.at;
  fact.value = command.value;
  note(fact);
  return "arrived " + by(command) + step_text(generation, false);
}

std::string BarrierModel::leave(const Command& command) {
  if (command.value.size() > 256) return refused(command, "bad value");
  for (const std::size_t i : kept()) {
    const Outcome& outcome = outcomes_[i];
    if (outcome.leaving && outcome.generation == command.generation &&
        owed(i).count(command.session)) {
      return "ended " + by(command) + step_text(command.generation, true);
    }
  }
  for (const auto& [name, id] : barriers()) {
    if (command.generation == 0 || open(id, true) != command.generation) continue;
    const People inside = people(command.generation, true);
    const auto found = inside.find(command.session);
    if (found == inside.end()) break;
    const std::string arrived = "arrived " + by(command) + step_text(command.generation, true);
    if (found->second.request == command.request) return arrived;
    if (found->second.request != 0) return refused(command, "already arrived");
    if (bytes() + command.value.size() > limits_.value_bytes) {
      return refused(command, "too many bytes");
    }
    const bool first = std::all_of(inside.begin(), inside.end(),
                                   [](const auto& entry) { return entry.second.request == 0; });
    if (first) told_.push_back("opened" + step_text(command.generation, true));
    Fact fact;
    fact.what = What::asked;
    fact.generation = command.generation;
    fact.leaving = true;
    fact.session = command.session;
    fact.request = command.request;
    fact.value = command.value;
    note(fact);
    return arrived;
  }
  return refused(command, "unknown generation");
}

std::string BarrierModel::withdraw(const Command& command) {
  if (const auto kept = kept_answer(command, command.arrival)) return *kept;
  const auto id = barrier(command.name);
  if (!id) return refused(command, "unknown arrival");
  const std::uint64_t generation = open(*id, false);
  const People there = people(generation, false);
  const auto found = there.find(command.session);
  if (found == there.end() || found->second.request != command.arrival) {
    return refused(command, "unknown arrival");
  }
  Fact fact;
  fact.what = What::withdrew;
  fact.generation = generation;
  fact.session = command.session;
  note(fact);
  return done(command);
}

std::string BarrierModel::cancel(const Command& command) {
  const auto id = barrier(command.name);
  if (!id) return refused(command, "unknown barrier");
  if (open(*id, false) == 0 && open(*id, true) == 0) return refused(command, "not open");
  end(*id, true, "cancelled");
  end(*id, false, "cancelled");
  return done(command);
}

std::string BarrierModel::remove(const Command& command) {
  const auto id = barrier(command.name);
  if (!id) return refused(command, "unknown barrier");
  const bool idle = open(*id, false) == 0 && open(*id, true) == 0;
  if (!idle && !command.force) return refused(command, "in use");
  end(*id, true, "deleted");
  end(*id, false, "deleted");
  Fact fact;
  fact.what = What::deleted;
  fact.barrier = *id;
  note(fact);
  return done(command);
}

std::string BarrierModel::acknowledge(const Command& command) {
  for (const std::size_t i : kept()) {
    const Outcome& outcome = outcomes_[i];
    if (outcome.generation != command.generation || outcome.leaving != command.leaving) continue;
    if (!owed(i).count(command.session)) continue;
    Fact fact;
    fact.what = What::acknowledged;
    fact.generation = command.generation;
    fact.leaving = command.leaving;
    fact.session = command.session;
    note(fact);
    return "ok";
  }
  return "unknown outcome";
}

// ---- What nobody asks for.

void BarrierModel::time_out(const Command& command) {
  for (const auto& [name, id] : barriers()) {
    if (command.generation == 0 || open(id, command.leaving) != command.generation) continue;
    const People there = people(command.generation, command.leaving);
    const bool somebody_left = std::any_of(
        there.begin(), there.end(), [](const auto& entry) { return entry.second.request != 0; });
    if (!command.leaving || somebody_left) end(id, command.leaving, "timed out");
  }
}

void BarrierModel::change_members(const Command& command) {
  const std::string& lockspace = command.name.first;
  bool watched = false;
  for (const auto& [name, id] : barriers()) watched = watched || name.first == lockspace;
  if (!watched) return;
  const Members before = members(lockspace);
  Fact fact;
  fact.what = What::members;
  fact.index = commands_.size() - 1;
  note(fact);
  const Members now = members(lockspace);
  std::set<Node> lost;
  for (const Node& node : command.failed) {
    if (before.nodes.count(node) && !now.nodes.count(node)) lost.insert(node);
  }
  std::size_t nodes_joined = 0;
  std::size_t sessions_joined = 0;
  for (const Node& node : now.nodes) nodes_joined += before.nodes.count(node) ? 0 : 1;
  for (const Session session : now.sessions) {
    sessions_joined += before.sessions.count(session) ? 0 : 1;
  }
  for (const auto& [name, id] : barriers()) {
    if (name.first != lockspace) continue;
    const Config config = this->config(id);
    const bool breaks = config.death == Death::break_it;
    Fact death;
    death.what = What::died;
    if (config.of_nodes && breaks && open(id, true) != 0) {
      const People inside = people(open(id, true), true);
      bool any = false;
      for (const Node& node : lost) {
        if (std::none_of(inside.begin(), inside.end(), [&](const auto& entry) {
              return entry.second.at == node && entry.second.request == 0;
            })) {
          continue;
        }
        death.generation = open(id, true);
        death.leaving = true;
        death.at = node;
        note(death);
        any = true;
      }
      if (any) end(id, true, "participant died");
    }
    const std::uint64_t generation = open(id, false);
    if (generation == 0) continue;
    death.generation = generation;
    death.leaving = false;
    if (config.of_nodes) {
      const People there = people(generation, false);
      bool any = false;
      for (const Node& node : lost) {
        const bool arrived = std::any_of(
            there.begin(), there.end(), [&](const auto& entry) { return entry.second.at == node; });
        const bool concerned = config.parties == 0 || (breaks && arrived);
        if (!concerned) continue;
        death.at = node;
        note(death);
        any = true;
        if (config.death == Death::wait) {
          Fact wait;
          wait.what = What::waited_for;
          wait.generation = generation;
          note(wait);
        }
      }
      if (any && breaks) {
        end(id, false, "participant died");
        continue;
      }
    }
    Fact replaced;
    replaced.what = What::replaced;
    replaced.generation = generation;
    const std::size_t joined = config.of_nodes ? nodes_joined : sessions_joined;
    for (std::size_t i = 0; i < joined; ++i) note(replaced);
  }
}

void BarrierModel::end_session(const Command& command) {
  struct Before {
    People entering;
    People inside;
    bool member = false;
  };
  std::map<std::size_t, Before> before;
  for (const auto& [name, id] : barriers()) {
    before[id] = {people(open(id, false), false), people(open(id, true), true),
                  members(name.first).sessions.count(command.session) != 0};
  }
  Fact fact;
  fact.what = What::ended;
  fact.session = command.session;
  note(fact);
  for (const auto& [name, id] : barriers()) {
    const Config config = this->config(id);
    const Before& was = before[id];
    Fact death;
    death.what = What::died;
    death.session = command.session;
    const std::uint64_t inside = open(id, true);
    const auto there = was.inside.find(command.session);
    if (there != was.inside.end() && there->second.request == 0 && !people(inside, true).empty()) {
      death.generation = inside;
      death.leaving = true;
      death.at = there->second.at;
      note(death);
      if (config.death == Death::break_it) end(id, true, "participant died");
    }
    const std::uint64_t entering = open(id, false);
    const auto arrived = was.entering.find(command.session);
    const bool member = was.member && config.parties == 0 && !config.of_nodes;
    const bool concerned = arrived != was.entering.end() || member;
    if (entering == 0 || !concerned || people(entering, false).empty()) continue;
    death.generation = entering;
    death.leaving = false;
    death.at = arrived != was.entering.end() ? arrived->second.at : command.at;
    note(death);
    if (config.death == Death::break_it) {
      end(id, false, "participant died");
    } else if (config.death == Death::wait && member) {
      death.what = What::waited_for;
      note(death);
    }
  }
}

// ---- How steps end.

// A step that is open and in which somebody is: with this outcome.
void BarrierModel::end(std::size_t barrier, bool leaving, const std::string& ending) {
  const std::uint64_t generation = open(barrier, leaving);
  if (generation == 0) return;
  const Config config = this->config(barrier);
  Outcome outcome;
  outcome.generation = generation;
  outcome.leaving = leaving;
  outcome.ending = ending;
  outcome.people = people(generation, leaving);
  outcome.told = ending + " " + config.name.first + "/" + config.name.second + " ring " +
                 std::to_string(commands_.back().ring) + " members " +
                 std::to_string(members(config.name.first).generation) + ":";
  for (const auto& [session, person] : outcome.people) {
    outcome.told += " " + std::to_string(session) + " at " + text(person.at);
    if (ending == "released") outcome.told += " '" + person.value + "'";
    told_.push_back("ended " + text(session, person.request) + step_text(generation, leaving));
  }
  std::size_t losses = 0;
  for (const Fact& fact : facts_) {
    if (fact.what != What::died || fact.generation != generation || fact.leaving != leaving) {
      continue;
    }
    if (++losses <= 64) {
      outcome.told += ", lost " + std::to_string(fact.session) + " at " + text(fact.at);
    }
  }
  outcome.told += " of " + std::to_string(losses);
  Fact fact;
  fact.what = What::outcome;
  fact.generation = generation;
  fact.leaving = leaving;
  fact.index = outcomes_.size();
  outcomes_.push_back(outcome);
  note(fact);
  if (ending != "released" || leaving || !config.two_steps) {
    over_.insert(barrier);
    return;
  }
  Fact inside;
  inside.what = What::opened;
  inside.barrier = barrier;
  inside.generation = generation;
  inside.leaving = true;
  note(inside);
  for (const auto& [session, person] : outcome.people) {
    inside.what = What::came;
    inside.session = session;
    inside.at = person.at;
    note(inside);
  }
}

void BarrierModel::settle() {
  for (const auto& [name, id] : barriers()) {
    const Config config = this->config(id);
    Fact over;
    over.what = What::over;
    if (const std::uint64_t generation = open(id, true)) {
      const People inside = people(generation, true);
      over.generation = generation;
      over.leaving = true;
      if (inside.empty()) {
        note(over);
        over_.insert(id);
      } else if (std::all_of(inside.begin(), inside.end(),
                             [](const auto& entry) { return entry.second.request != 0; })) {
        end(id, true, "released");
      }
    }
    if (const std::uint64_t generation = open(id, false)) {
      over.generation = generation;
      over.leaving = false;
      if (people(generation, false).empty()) {
        note(over);
        over_.insert(id);
      } else if (open(id, true) == 0 && complete(config, generation)) {
        end(id, false, "released");
      }
    }
    const bool idle = open(id, false) == 0 && open(id, true) == 0;
    if (idle && over_.count(id) && config.auto_delete) {
      over.what = What::deleted;
      over.barrier = id;
      over.generation = 0;
      note(over);
    }
  }
}

// ---- All there is.

std::string BarrierModel::state() const {
  std::string all;
  for (const auto& [name, id] : barriers()) {
    const Config config = this->config(id);
    all += name.first + "/" + name.second + " parties " + std::to_string(config.parties) +
           (config.of_nodes ? " nodes" : " sessions") + " death " +
           std::to_string(static_cast<int>(config.death)) + (config.two_steps ? " two" : "") +
           (config.auto_delete ? " auto" : "") + " patience " + std::to_string(config.patience) +
           "\n";
    for (const bool leaving : {false, true}) {
      const std::uint64_t generation = open(id, leaving);
      if (generation == 0) continue;
      all += step_text(generation, leaving) + ":";
      for (const auto& [session, person] : people(generation, leaving)) {
        all += " " + text(session, person.request) + " at " + text(person.at) + " '" +
               person.value + "'";
      }
      if (!leaving) all += " replacements " + std::to_string(replacements(generation));
      all += "\n";
    }
    if (config.parties > 0) continue;
    const Members members = this->members(name.first);
    const People people = this->people(open(id, false), false);
    all += " awaits";
    if (config.of_nodes) {
      for (const Node& node : members.nodes) {
        const bool here = std::any_of(people.begin(), people.end(),
                                      [&](const auto& entry) { return entry.second.at == node; });
        if (!here) all += " " + text(node);
      }
    } else {
      for (const Session session : members.sessions) {
        if (!people.count(session)) all += " " + std::to_string(session);
      }
    }
    all += "\n";
  }
  for (const bool leaving : {false, true}) {
    std::map<std::uint64_t, std::size_t> in_order;
    for (const std::size_t i : kept()) {
      if (outcomes_[i].leaving == leaving) in_order[outcomes_[i].generation] = i;
    }
    for (const auto& [generation, i] : in_order) {
      all += "kept" + step_text(generation, leaving) + " " + outcomes_[i].told + " owed";
      for (const Session session : owed(i)) {
        all += " " + text(session, outcomes_[i].people.at(session).request);
      }
      all += "\n";
    }
  }
  return all + "places " + std::to_string(places()) + " bytes " + std::to_string(bytes()) + "\n";
}

}  // namespace barrier_model
