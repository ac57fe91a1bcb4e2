// What can be read of a barrier table.
#include <algorithm>
#include <utility>

#include "barrier/table.h"

namespace barrier {
namespace {

constexpr std::size_t kAll = static_cast<std::size_t>(-1);

}  // namespace

BarrierView Table::view(const Name& name, const Barrier& barrier) const {
  BarrierView view{name, barrier.config, barrier.auto_delete, barrier.patience, {}, {}};
  if (barrier.entering) {
    const Round& round = *barrier.entering;
    RoundView& entering = view.entering.emplace();
    entering.generation = round.generation();
    entering.participants = round.participants().size();
    entering.arrived = counted_in(barrier.config.unit, round);
    entering.replacements = static_cast<std::size_t>(round.replacements());
    if (barrier.config.dynamic()) {
      const Membership absent = this->absent(name, barrier, kAll);
      entering.missing = absent.nodes.size() + absent.sessions.size() + entering.replacements;
    } else {
      entering.missing =
          barrier.config.parties - std::min<std::size_t>(barrier.config.parties, entering.arrived);
    }
  }
  if (barrier.inside) {
    const Round& round = *barrier.inside;
    const std::size_t there = round.participants().size();
    view.inside = RoundView{round.generation(), there, round.left(), there - round.left(), 0};
  }
  return view;
}

std::optional<BarrierView> Table::find(const Name& name) const {
  const auto found = barriers_.find(name);
  if (found == barriers_.end()) return std::nullopt;
  return view(name, found->second);
}

void Table::visit(const Name& from, std::size_t most,
                  const std::function<void(const BarrierView&)>& visit) const {
  for (auto at = barriers_.lower_bound(from); at != barriers_.end() && most > 0; ++at, --most) {
    visit(view(at->first, at->second));
  }
}

const Round* Table::find_round(OutcomeKey key) const {
  const auto open = open_.find(key.generation);
  if (open == open_.end()) return nullptr;
  const Barrier& barrier = barriers_.at(open->second);
  const std::optional<Round>& round = key.step == Step::enter ? barrier.entering : barrier.inside;
  return round && round->generation() == key.generation ? &*round : nullptr;
}

std::vector<Member> Table::participants(OutcomeKey key) const {
  std::vector<Member> members;
  const Round* round = find_round(key);
  if (!round) return members;
  for (const auto& [session, participant] : round->participants()) {
    members.push_back({session, participant.at, participant.value});
  }
  return members;
}

Membership Table::awaited(const Name& name) const {
  const auto found = barriers_.find(name);
  if (found == barriers_.end() || !found->second.config.dynamic()) return {};
  return absent(name, found->second, kAll);
}

std::vector<OpenStep> Table::open_steps() const {
  std::vector<OpenStep> steps;
  for (const auto& [generation, name] : open_) {
    for (const Step step : {Step::enter, Step::leave}) {
      if (auto open = find_open_step({generation, step})) steps.push_back(std::move(*open));
    }
  }
  return steps;
}

std::optional<OpenStep> Table::find_open_step(OutcomeKey key) const {
  const Round* round = find_round(key);
  if (!round || (key.step == Step::leave && round->left() == 0)) return std::nullopt;
  const Name& name = open_.at(key.generation);
  return OpenStep{key, name, barriers_.at(name).patience};
}

bool Table::takes_part(SessionId session) const {
  const auto record = sessions_.find(session);
  return record != sessions_.end() && !record->second.at.empty();
}

std::vector<SessionId> Table::sessions() const {
  std::vector<SessionId> sessions;
  for (const auto& [session, record] : sessions_) sessions.push_back(session);
  return sessions;
}

std::vector<Standing> Table::standing_of(SessionId session) const {
  std::vector<Standing> standings;
  const auto record = sessions_.find(session);
  if (record == sessions_.end()) return standings;
  for (const Name& name : record->second.at) {
    const Barrier& barrier = barriers_.at(name);
    if (const Participant* there = barrier.entering ? barrier.entering->find(session) : nullptr) {
      const OutcomeKey key{barrier.entering->generation(), Step::enter};
      standings.push_back({Standing::Kind::arrived, key, there->request});
    }
    if (const Participant* there = barrier.inside ? barrier.inside->find(session) : nullptr) {
      const bool left = there->request != RequestId{};
      const OutcomeKey key{barrier.inside->generation(), Step::leave};
      standings.push_back(
          {left ? Standing::Kind::arrived : Standing::Kind::inside, key, there->request});
    }
  }
  for (const OutcomeKey& key : record->second.owed) {
    if (const auto request = outcomes_.request_of(session, key)) {
      standings.push_back({Standing::Kind::owed, key, *request});
    }
  }
  std::sort(standings.begin(), standings.end(),
            [](const Standing& a, const Standing& b) { return a.key < b.key; });
  return standings;
}

}  // namespace barrier
