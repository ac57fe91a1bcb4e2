#include "tests/model/barrier_history.h"

#include <algorithm>

namespace barrier_model {
namespace {

std::string wrong_in(const std::vector<Move>& moves, const Limits& limits) {
  BarrierPair pair(limits);
  for (std::size_t i = 0; i < moves.size(); ++i) {
    const std::string wrong = pair.execute(moves[i].first, moves[i].second);
    if (!wrong.empty()) return i + 1 == moves.size() ? wrong : "";
  }
  return "";
}

}  // namespace

Setting setting_of(base::Random& random) {
  Setting setting;
  setting.sessions = random.between(1, 6);
  setting.nodes = random.between(1, 4);
  setting.barriers = random.between(1, 3);
  setting.lockspaces = random.between(1, 2);
  Limits& limits = setting.limits;
  if (random.chance(1, 8)) limits.barriers = random.between(1, 3);
  if (random.chance(1, 8)) limits.barriers_per_lockspace = random.between(1, 2);
  if (random.chance(1, 8)) limits.lockspaces = 1;
  if (random.chance(1, 4)) limits.participants = random.between(1, 4);
  if (random.chance(1, 4)) limits.places = random.between(2, 8);
  if (random.chance(1, 4)) limits.outcomes_per_session = random.between(2, 4);
  if (random.chance(1, 4)) limits.value_bytes = random.between(1, 6);
  return setting;
}

CommandSource::CommandSource(base::Random random, const Setting& setting)
    : random_(random), setting_(setting) {
  for (std::uint64_t i = 1; i <= setting.nodes; ++i) {
    lives_.emplace_back(static_cast<std::uint32_t>(i), 1);
  }
  for (std::uint64_t i = 0; i < setting.sessions; ++i) alive_.push_back(++last_session_);
  for (std::uint64_t i = 0; i < setting.lockspaces; ++i) {
    Members& members = members_["space" + std::to_string(i)];
    for (const Node& node : lives_) {
      if (random_.chance(3, 4)) members.nodes.push_back(node);
    }
    for (const Session session : alive_) {
      if (random_.chance(3, 4)) members.sessions.push_back(session);
    }
  }
}

Command CommandSource::next(const barrier::Table& table) {
  if (random_.chance(1, 12)) ++ring_;
  there_.clear();
  table.visit({}, 16, [&](const barrier::BarrierView& view) {
    there_.emplace_back(view.name.lockspace, view.name.barrier);
  });
  Command command;
  const std::uint64_t drawn = there_.empty() ? random_.below(14) : 8 + random_.below(92);
  if (!sent_.empty() && random_.chance(1, 12)) {
    command = sent_[random_.below(sent_.size())];  // Once more, late perhaps.
  } else if (drawn < 12) {
    command = create();
  } else if (drawn < 50) {
    command = arrive();
  } else if (drawn < 64) {
    command = leave(table);
  } else if (drawn < 68) {
    command = withdraw(table);
  } else if (drawn < 70) {
    command = asked(Kind::cancel);
  } else if (drawn < 73) {
    command = asked(Kind::remove);
    command.force = random_.chance(1, 2);
  } else if (drawn < 77) {
    command = change();
  } else if (drawn < 84) {
    command = acknowledge(table);
  } else if (drawn < 87) {
    command = time_out(table);
  } else if (drawn < 95) {
    command = change_members();
  } else {
    command = end_session();
  }
  if (command.request != 0) sent_.push_back(command);
  command.ring = ring_;
  return command;
}

std::uint64_t CommandSource::session() {
  return alive_[random_.below(alive_.size())];
}

Name CommandSource::name() {
  if (random_.chance(1, 200)) return {"space0", ""};
  if (!there_.empty() && random_.chance(7, 8)) return there_[random_.below(there_.size())];
  return {"space" + std::to_string(random_.below(setting_.lockspaces)),
          std::string(1, static_cast<char>('a' + random_.below(setting_.barriers)))};
}

Node CommandSource::node_of(Session session) const {
  return lives_[session % lives_.size()];
}

Command CommandSource::asked(Kind kind) {
  Command command;
  command.kind = kind;
  command.session = session();
  command.request = ++requests_[command.session];
  command.at = node_of(command.session);
  command.name = name();
  return command;
}

void CommandSource::add_members(Command& command, const Members& members) const {
  command.members_generation = members.generation;
  command.nodes = members.nodes;
  command.sessions = members.sessions;
}

Command CommandSource::create() {
  if (random_.chance(3, 4)) there_.clear();  // Rather a new one.
  Command command = asked(Kind::create);
  command.parties = static_cast<std::uint32_t>(random_.chance(1, 2) ? 0 : random_.between(1, 4));
  command.of_nodes = random_.chance(1, 2);
  command.death = static_cast<Death>(random_.below(3));
  if (command.parties > 0 && command.death == Death::shrink && random_.chance(7, 8)) {
    command.death = Death::break_it;
  }
  command.two_steps = random_.chance(1, 2);
  command.auto_delete = random_.chance(1, 4);
  command.patience = static_cast<std::uint32_t>(random_.below(3));
  add_members(command, members_[command.name.first]);
  return command;
}

Command CommandSource::change() {
  Command command = asked(Kind::change);
  command.attribute = static_cast<Attribute>(random_.below(4));
  command.number = static_cast<std::uint32_t>(random_.below(3));
  return command;
}

std::string CommandSource::value() {
  if (random_.chance(1, 2)) return "";
  if (random_.chance(1, 100)) return std::string(257, 'x');
  return std::string(random_.between(1, 2), static_cast<char>('a' + random_.below(26)));
}

Command CommandSource::arrive() {
  Command command = asked(Kind::arrive);
  command.value = value();
  if (random_.chance(1, 10)) command.at = lives_[random_.below(lives_.size())];
  return command;
}

Command CommandSource::leave(const barrier::Table& table) {
  Command command = asked(Kind::leave);
  command.value = value();
  std::vector<std::pair<Session, std::uint64_t>> inside;
  for (const Session session : alive_) {
    for (const auto& standing : table.standing_of(base::SessionId{session})) {
      if (standing.key.step != barrier::Step::leave) continue;
      inside.emplace_back(session, base::value(standing.key.generation));
    }
  }
  if (inside.empty()) return arrive();
  const auto& [session, generation] = inside[random_.below(inside.size())];
  if (random_.chance(7, 8)) {
    command.session = session;
    command.request = ++requests_[session];
  }
  command.generation = generation;
  return command;
}

Command CommandSource::withdraw(const barrier::Table& table) {
  Command command = asked(Kind::withdraw);
  command.arrival = random_.between(1, command.request);
  for (const Session session : alive_) {
    for (const auto& standing : table.standing_of(base::SessionId{session})) {
      if (standing.key.step != barrier::Step::enter || random_.chance(1, 2)) continue;
      command.session = session;
      command.request = ++requests_[session];
      command.arrival = base::value(standing.request);
    }
  }
  return command;
}

Command CommandSource::acknowledge(const barrier::Table& table) {
  Command command;
  command.kind = Kind::acknowledge;
  command.session = session();
  command.generation = random_.below(table.next_generation() + 1);
  command.leaving = random_.chance(1, 2);
  if (random_.chance(1, 8)) return command;
  for (const Session session : alive_) {
    for (const auto& standing : table.standing_of(base::SessionId{session})) {
      if (standing.kind != barrier::Standing::Kind::owed || random_.chance(1, 2)) continue;
      command.session = session;
      command.generation = base::value(standing.key.generation);
      command.leaving = standing.key.step == barrier::Step::leave;
    }
  }
  return command;
}

Command CommandSource::time_out(const barrier::Table& table) {
  Command command;
  command.kind = Kind::time_out;
  command.generation = random_.below(table.next_generation() + 1);
  command.leaving = random_.chance(1, 2);
  const auto open = table.open_steps();
  if (open.empty() || random_.chance(1, 3)) return command;
  const auto& step = open[random_.below(open.size())];
  command.generation = base::value(step.key.generation);
  command.leaving = step.key.step == barrier::Step::leave;
  return command;
}

Command CommandSource::change_members() {
  Command command;
  command.kind = Kind::members;
  command.name.first = "space" + std::to_string(random_.below(setting_.lockspaces));
  Members& members = members_[command.name.first];
  for (std::uint64_t changes = random_.between(1, 3); changes > 0; --changes) {
    const std::uint64_t drawn = random_.below(6);
    Node& life = lives_[random_.below(lives_.size())];
    const auto there = std::find(members.nodes.begin(), members.nodes.end(), life);
    if (drawn < 3 && there != members.nodes.end()) {
      members.nodes.erase(there);
      if (drawn < 2) {
        command.failed.push_back(life);
        if (random_.chance(1, 2)) ++life.second;
        if (random_.chance(1, 3)) members.nodes.push_back(life);
      }
    } else if (drawn < 4 && there == members.nodes.end()) {
      members.nodes.push_back(life);
    } else {
      const Session who = session();
      const auto user = std::find(members.sessions.begin(), members.sessions.end(), who);
      if (user == members.sessions.end()) {
        members.sessions.push_back(who);
      } else if (drawn == 5) {
        members.sessions.erase(user);
      }
    }
  }
  ++members.generation;
  add_members(command, members);
  return command;
}

Command CommandSource::end_session() {
  Command command;
  command.kind = Kind::end_session;
  Session& slot = alive_[random_.below(alive_.size())];
  command.session = slot;
  command.at = node_of(slot);
  for (auto& [name, members] : members_) std::erase(members.sessions, slot);
  std::erase_if(sent_, [&](const Command& sent) { return sent.session == command.session; });
  slot = ++last_session_;
  return command;
}

std::optional<Divergence> run_history(std::uint64_t seed, std::uint64_t steps,
                                      std::map<std::string, std::uint64_t>& seen) {
  base::Random random(seed);
  const Setting setting = setting_of(random);
  BarrierPair pair(setting.limits);
  CommandSource source(random.fork(), setting);
  std::vector<Move> moves;
  for (std::uint64_t i = 0; i < steps; ++i) {
    moves.emplace_back(source.next(pair.table()), random.chance(1, 5));
    const std::string wrong = pair.execute(moves.back().first, moves.back().second);
    if (!wrong.empty()) return shrunk({std::move(moves), wrong}, setting.limits);
  }
  for (const auto& [what, times] : pair.seen()) seen[what] += times;
  return std::nullopt;
}

Divergence shrunk(Divergence found, const Limits& limits) {
  for (bool shorter = true; shorter;) {
    shorter = false;
    for (std::size_t i = 0; i + 1 < found.moves.size(); ++i) {
      std::vector<Move> fewer = found.moves;
      fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
      const std::string wrong = wrong_in(fewer, limits);
      if (wrong.empty()) continue;
      found = {std::move(fewer), wrong};
      shorter = true;
      break;
    }
  }
  return found;
}

std::string text(const Divergence& found) {
  std::string all;
  for (const auto& [command, reload] : found.moves) {
    all += (reload ? "(loaded) " : "") + text(command) + "\n";
  }
  return all + found.what + "\n";
}

}  // namespace barrier_model
