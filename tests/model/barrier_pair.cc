#include "tests/model/barrier_pair.h"

#include <algorithm>
#include <vector>

namespace barrier_model {
namespace {

using barrier::Generation;
using barrier::OutcomeKey;
using barrier::Step;

constexpr const char* kKinds[] = {"create",   "change",  "arrive", "leave",
                                  "withdraw", "cancel",  "remove", "acknowledge",
                                  "time out", "members", "end"};

base::Processor processor(const Node& node) {
  return {base::NodeId{node.first}, base::Incarnation{node.second}};
}

barrier::Name name_of(const Name& name) {
  return {name.first, name.second};
}

barrier::By by(const Command& command) {
  return {base::SessionId{command.session}, base::RequestId{command.request}};
}

base::Buffer buffer(const std::string& text) {
  const base::Bytes bytes = base::bytes_of(text);
  return {bytes.begin(), bytes.end()};
}

std::string text(const base::Processor& at) {
  return std::to_string(base::value(at.node)) + ":" + std::to_string(base::value(at.incarnation));
}

std::string text(OutcomeKey key) {
  return " g" + std::to_string(base::value(key.generation)) +
         (key.step == Step::leave ? " leave" : " enter");
}

std::string text(base::SessionId session, base::RequestId request) {
  return std::to_string(base::value(session)) + "/" + std::to_string(base::value(request));
}

std::string text(const barrier::Effect& effect) {
  std::string all(to_string(effect.kind));
  if (effect.session != base::SessionId{}) all += " " + text(effect.session, effect.request);
  if (effect.kind == barrier::Effect::Kind::refused) {
    return all + ": " + std::string(to_string(effect.status));
  }
  if (effect.key.generation != Generation{}) all += text(effect.key);
  return all;
}

barrier::Membership members_of(const Command& command) {
  barrier::Membership members;
  members.generation = command.members_generation;
  for (const Node& node : command.nodes) members.nodes.push_back(processor(node));
  for (const Session session : command.sessions) {
    members.sessions.push_back(base::SessionId{session});
  }
  return members;
}

void create(barrier::Table& table, const Command& command, barrier::Effects& effects) {
  barrier::Create create;
  create.by = by(command);
  create.name = name_of(command.name);
  create.config.parties = command.parties;
  create.config.unit = command.of_nodes ? barrier::Unit::node : barrier::Unit::session;
  create.config.on_death = command.death == Death::break_it ? barrier::OnDeath::break_it
                           : command.death == Death::shrink ? barrier::OnDeath::shrink
                                                            : barrier::OnDeath::wait;
  create.config.two_steps = command.two_steps;
  create.auto_delete = command.auto_delete;
  create.patience = command.patience;
  create.members = members_of(command);
  table.create(create, effects);
}

void change(barrier::Table& table, const Command& command, barrier::Effects& effects) {
  const barrier::Attribute attribute =
      command.attribute == Attribute::auto_delete ? barrier::Attribute::auto_delete
      : command.attribute == Attribute::parties   ? barrier::Attribute::parties
      : command.attribute == Attribute::patience  ? barrier::Attribute::patience
                                                  : barrier::Attribute::enabled;
  table.change(
      {by(command), processor(command.at), name_of(command.name), attribute, command.number},
      effects);
}

std::vector<std::string> execute(barrier::Table& table, const Command& command) {
  barrier::Effects effects;
  std::vector<std::string> said;
  const OutcomeKey key{Generation{command.generation}, command.leaving ? Step::leave : Step::enter};
  table.set_ring({command.ring, base::NodeId{1}, 5});
  switch (command.kind) {
    case Kind::create:
      create(table, command, effects);
      break;
    case Kind::change:
      change(table, command, effects);
      break;
    case Kind::arrive:
      table.arrive(
          {by(command), processor(command.at), name_of(command.name), buffer(command.value)},
          effects);
      break;
    case Kind::leave:
      table.leave({by(command), Generation{command.generation}, buffer(command.value)}, effects);
      break;
    case Kind::withdraw:
      table.withdraw({by(command), name_of(command.name), base::RequestId{command.arrival}},
                     effects);
      break;
    case Kind::cancel:
      table.cancel({by(command), name_of(command.name)}, effects);
      break;
    case Kind::remove:
      table.remove({by(command), name_of(command.name), command.force}, effects);
      break;
    case Kind::acknowledge:
      said.emplace_back(to_string(table.acknowledge(base::SessionId{command.session}, key)));
      break;
    case Kind::time_out:
      table.time_out(key, effects);
      break;
    case Kind::members: {
      barrier::MembersChanged change{command.name.first, members_of(command), {}};
      for (const Node& node : command.failed) change.failed.push_back(processor(node));
      table.change_members(change, effects);
      break;
    }
    case Kind::end_session:
      table.end_session(base::SessionId{command.session}, processor(command.at), effects);
      break;
  }
  for (const barrier::Effect& effect : effects) said.push_back(text(effect));
  return said;
}

std::string text(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) all += "  " + line + "\n";
  return all;
}

// Requests are answered first; the order of the rest is the table's own.
std::vector<std::string> in_order(const Command& command, std::vector<std::string> said) {
  const bool answered = command.kind < Kind::time_out && !said.empty();
  std::sort(said.begin() + (answered ? 1 : 0), said.end());
  return said;
}

std::string state_of(const barrier::Table& table, const barrier::BarrierView& view) {
  std::string all = view.name.lockspace + "/" + view.name.barrier + " parties " +
                    std::to_string(view.config.parties);
  const bool of_nodes = view.config.unit == barrier::Unit::node;
  all += of_nodes ? " nodes" : " sessions";
  all += " death " + std::to_string(static_cast<int>(view.config.on_death));
  if (view.config.two_steps) all += " two";
  if (view.auto_delete) all += " auto";
  all += " patience " + std::to_string(view.patience) + "\n";
  for (const Step step : {Step::enter, Step::leave}) {
    const auto& round = step == Step::enter ? view.entering : view.inside;
    if (!round) continue;
    const OutcomeKey key{round->generation, step};
    all += text(key) + ":";
    for (const barrier::Member& member : table.participants(key)) {
      base::RequestId request{};
      for (const barrier::Standing& standing : table.standing_of(member.session)) {
        if (standing.key == key) request = standing.request;
      }
      all += " " + text(member.session, request) + " at " + text(member.at) + " '" +
             base::text_of(member.value) + "'";
    }
    if (step == Step::enter) all += " replacements " + std::to_string(round->replacements);
    all += "\n";
  }
  if (!view.config.dynamic()) return all;
  all += " awaits";
  const barrier::Membership awaited = table.awaited(view.name);
  for (const base::Processor& node : awaited.nodes) all += " " + text(node);
  for (const base::SessionId session : awaited.sessions) {
    all += " " + std::to_string(base::value(session));
  }
  return all + "\n";
}

std::string state_of(const barrier::Table& table, const barrier::Outcome& outcome) {
  std::string all = "kept" + text(outcome.key) + " " +
                    std::string(base::to_string(outcome.ending)) + " " + outcome.name.lockspace +
                    "/" + outcome.name.barrier + " ring " + std::to_string(outcome.ring.sequence) +
                    " members " + std::to_string(outcome.membership) + ":";
  for (const barrier::Member& member : outcome.members) {
    all += " " + std::to_string(base::value(member.session)) + " at " + text(member.at);
    if (outcome.released()) all += " '" + base::text_of(member.value) + "'";
    if (!outcome.released() && !member.value.empty()) all += " a value though broken";
  }
  for (const barrier::Lost& lost : outcome.lost) {
    all += ", lost " + std::to_string(base::value(lost.session)) + " at " + text(lost.at);
  }
  all += " of " + std::to_string(outcome.losses) + " owed";
  for (const base::SessionId session : table.owed(outcome.key)) {
    for (const barrier::Standing& standing : table.standing_of(session)) {
      if (standing.kind == barrier::Standing::Kind::owed && standing.key == outcome.key) {
        all += " " + text(session, standing.request);
      }
    }
  }
  return all + "\n";
}

base::Buffer image_of(const barrier::Table& table) {
  base::Buffer image;
  base::ByteWriter out(image);
  table.serialize(out);
  return image;
}

// What a test wants to have seen, beside what was said.
void count(const barrier::Table& table, std::map<std::string, std::uint64_t>& seen) {
  for (std::uint64_t generation = 1; generation < table.next_generation(); ++generation) {
    for (const Step step : {Step::enter, Step::leave}) {
      const barrier::Outcome* outcome = table.find_outcome({Generation{generation}, step});
      if (!outcome) continue;
      const std::string what = std::string(base::to_string(outcome->ending)) +
                               (step == Step::leave ? " from inside" : "") +
                               (outcome->losses > 0 ? ", deaths" : "");
      ++seen["kept: " + what];
    }
  }
  table.visit({}, static_cast<std::size_t>(-1), [&](const barrier::BarrierView& view) {
    if (view.entering && view.inside) ++seen["entering behind inside"];
    if (view.entering && view.entering->replacements > 0) ++seen["waits for a replacement"];
  });
}

barrier::Limits limits_of(const Limits& limits) {
  barrier::Limits same;
  same.barriers = limits.barriers;
  same.barriers_per_lockspace = limits.barriers_per_lockspace;
  same.lockspaces = limits.lockspaces;
  same.participants = limits.participants;
  same.places = limits.places;
  same.outcomes_per_session = limits.outcomes_per_session;
  same.value_bytes = limits.value_bytes;
  return same;
}

}  // namespace

std::string text(const Command& command) {
  std::string all = kKinds[static_cast<int>(command.kind)];
  all += " " + std::to_string(command.session) + "/" + std::to_string(command.request) + " at " +
         text(processor(command.at)) + " " + command.name.first + "/" + command.name.second;
  switch (command.kind) {
    case Kind::create:
      all += " parties " + std::to_string(command.parties) +
             (command.of_nodes ? " nodes" : " sessions") + " death " +
             std::to_string(static_cast<int>(command.death)) + (command.two_steps ? " two" : "") +
             (command.auto_delete ? " auto" : "");
      break;
    case Kind::change:
      all += " attribute " + std::to_string(static_cast<int>(command.attribute)) + " = " +
             std::to_string(command.number);
      break;
    case Kind::withdraw:
      all += " of " + std::to_string(command.arrival);
      break;
    case Kind::remove:
      all += command.force ? " by force" : "";
      break;
    case Kind::leave:
    case Kind::acknowledge:
    case Kind::time_out:
      all += " g" + std::to_string(command.generation) + (command.leaving ? " leave" : "");
      break;
    default:
      break;
  }
  if (command.kind == Kind::create || command.kind == Kind::members) {
    all += " members " + std::to_string(command.members_generation) + ":";
    for (const Node& node : command.nodes) all += " " + text(processor(node));
    for (const Session session : command.sessions) all += " " + std::to_string(session);
    for (const Node& node : command.failed) all += " failed " + text(processor(node));
  }
  if (!command.value.empty()) all += " '" + command.value + "'";
  return all;
}

std::string state_of(const barrier::Table& table) {
  std::string all;
  table.visit({}, static_cast<std::size_t>(-1),
              [&](const barrier::BarrierView& view) { all += state_of(table, view); });
  for (const Step step : {Step::enter, Step::leave}) {
    for (std::uint64_t generation = 1; generation < table.next_generation(); ++generation) {
      const barrier::Outcome* outcome = table.find_outcome({Generation{generation}, step});
      if (outcome) all += state_of(table, *outcome);
    }
  }
  return all + "places " + std::to_string(table.places()) + " bytes " +
         std::to_string(table.value_bytes()) + "\n";
}

BarrierPair::BarrierPair(const Limits& limits)
    : limits_(limits_of(limits)), model_(limits), table_(limits_), again_(limits_) {}

std::string BarrierPair::execute(const Command& command, bool reload) {
  if (reload) {
    const std::string wrong = this->reload();
    if (!wrong.empty()) return wrong;
  }
  const std::vector<std::string> expected = in_order(command, model_.execute(command));
  const std::vector<std::string> raw = barrier_model::execute(table_, command);
  const std::vector<std::string> said = in_order(command, raw);
  for (const std::string& line : said) {
    std::string what = line.substr(0, line.find(' '));
    if (what == "refused") what += line.substr(line.find(':'));
    ++seen_[what];
  }
  count(table_, seen_);
  if (said != expected) return "the model says\n" + text(expected) + "the table\n" + text(said);
  if (barrier_model::execute(again_, command) != raw) return "the two tables speak differently";
  if (table_.digest() != again_.digest()) return "the two tables have different digests";
  const std::string state = state_of(table_);
  if (state != model_.state()) return "the model is\n" + model_.state() + "the table\n" + state;
  return "";
}

std::string BarrierPair::reload() {
  const base::Buffer image = image_of(table_);
  if (image_of(again_) != image) return "the two tables have different images";
  auto loaded = barrier::Table::deserialize(image, limits_);
  if (!loaded) return "an image is refused: " + std::string(to_string(loaded.error()));
  if (loaded->digest() != table_.digest()) return "a table that was loaded has another digest";
  if (state_of(*loaded) != state_of(table_)) return "a table that was loaded is different";
  again_ = std::move(*loaded);
  std::swap(table_, again_);
  ++seen_["reload"];
  return "";
}

}  // namespace barrier_model
