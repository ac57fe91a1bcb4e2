// Who is at a barrier, and what the members of its lockspace and their deaths mean for it.
#include <algorithm>

#include "tests/sim/barrier_checker_impl.h"

namespace sim {

void BarrierChecker::Impl::Round::lose(SessionId session, const Processor& at) {
  if (lost.size() < liblock::protocol::kBarrierLostMax) lost.push_back({session, at});
  ++losses;
}

bool BarrierChecker::Impl::Round::has_left(SessionId session) const {
  const auto found = participants.find(session);
  return found != participants.end() && found->second.request != RequestId{};
}

bool BarrierChecker::Impl::Round::all_left() const {
  return std::all_of(participants.begin(), participants.end(),
                     [](const auto& one) { return one.second.request != RequestId{}; });
}

bool BarrierChecker::Impl::Round::someone_at(const Processor& at) const {
  return std::any_of(participants.begin(), participants.end(),
                     [&](const auto& one) { return one.second.at == at; });
}

bool BarrierChecker::Impl::Round::someone_inside_at(const Processor& at) const {
  return std::any_of(participants.begin(), participants.end(), [&](const auto& one) {
    return one.second.at == at && one.second.request == RequestId{};
  });
}

// All who have to be there have arrived.
bool BarrierChecker::Impl::complete(const Table& table, const BarrierName& name,
                                    const Barrier& barrier) const {
  const Round& round = *barrier.entering;
  if (!barrier.dynamic()) {
    std::set<base::NodeId> nodes;
    for (const auto& [session, one] : round.participants) nodes.insert(one.at.node);
    return (barrier.of_nodes() ? nodes.size() : round.participants.size()) >=
           barrier.config.parties;
  }
  if (round.replacements > 0) return false;
  const auto members = table.members.find(name.lockspace);
  if (members == table.members.end()) return true;
  if (barrier.of_nodes()) {
    const auto& nodes = members->second.nodes;
    return std::all_of(nodes.begin(), nodes.end(),
                       [&](const Processor& node) { return round.someone_at(node); });
  }
  const auto& sessions = members->second.sessions;
  return std::all_of(sessions.begin(), sessions.end(),
                     [&](SessionId session) { return round.participants.contains(session); });
}

// A session has ended.
void BarrierChecker::Impl::bury(Barrier& barrier, SessionId session, const Processor& last,
                                bool was_member) {
  if (barrier.inside && barrier.inside->participants.contains(session)) {
    Round& inside = *barrier.inside;
    const bool had_left = inside.has_left(session);
    const Processor at = inside.participants.at(session).at;
    inside.participants.erase(session);
    if (inside.participants.empty()) {
      barrier.inside.reset();
      barrier.over = true;
    } else if (!had_left) {
      inside.lose(session, at);
      if (barrier.breaks()) inside.due = BarrierEnding::participant_died;
    }
  }
  if (!barrier.entering) return;
  Round& entering = *barrier.entering;
  const auto found = entering.participants.find(session);
  const bool awaited = was_member && barrier.dynamic() && !barrier.of_nodes();
  if (found == entering.participants.end() && !awaited) return;
  const Processor at = found == entering.participants.end() ? last : found->second.at;
  entering.participants.erase(session);
  if (entering.participants.empty()) {
    barrier.entering.reset();
    barrier.over = true;
    return;
  }
  entering.lose(session, at);
  if (barrier.breaks()) {
    entering.due = BarrierEnding::participant_died;
  } else if (barrier.config.on_death == BarrierOnDeath::wait && awaited) {
    ++entering.replacements;
  }
}

void BarrierChecker::Impl::change_members(Command& command) {
  std::map<std::string, Members> now;
  for (const BarrierMembers& told : command.barriers.members) {
    Members& members = now[told.lockspace];
    members.generation = told.generation;
    members.nodes.insert(told.nodes.begin(), told.nodes.end());
    for (const SessionId session : told.sessions) {
      if (!command.table.ended.contains(session)) members.sessions.insert(session);
    }
  }
  // One that has gone with its last member is not heard of again.
  for (const auto& [lockspace, members] : command.table.members) {
    now.try_emplace(lockspace, Members{members.generation, {}, {}});
  }
  for (auto& [lockspace, members] : now) change_members(command, lockspace, std::move(members));
}

// Who has failed counts before who has joined.
void BarrierChecker::Impl::change_members(Command& command, const std::string& lockspace,
                                          Members now) {
  Members& members = command.table.members[lockspace];
  command.generations.try_emplace(lockspace, members.generation);
  const Members before = std::exchange(members, std::move(now));
  std::vector<Processor> lost;
  if (command.barriers.departures) {
    std::set_difference(before.nodes.begin(), before.nodes.end(), members.nodes.begin(),
                        members.nodes.end(), std::back_inserter(lost));
  }
  for (auto& [name, barrier] : command.table.barriers) {
    if (name.lockspace != lockspace) continue;
    for (const Processor& node : lost) {
      if (!barrier.of_nodes()) break;
      if (barrier.inside && barrier.breaks() && barrier.inside->someone_inside_at(node)) {
        barrier.inside->lose(SessionId{}, node);
        barrier.inside->due = BarrierEnding::participant_died;
      }
      if (!barrier.entering) continue;
      Round& round = *barrier.entering;
      if (!barrier.dynamic() && !(barrier.breaks() && round.someone_at(node))) continue;
      round.lose(SessionId{}, node);
      if (barrier.breaks()) round.due = BarrierEnding::participant_died;
      if (barrier.dynamic() && barrier.config.on_death == BarrierOnDeath::wait) {
        ++round.replacements;
      }
    }
    if (!barrier.entering) continue;
    std::uint64_t joined = 0;
    if (barrier.of_nodes()) {
      for (const Processor& node : members.nodes) joined += before.nodes.contains(node) ? 0 : 1;
    } else {
      for (const SessionId session : members.sessions) {
        joined += before.sessions.contains(session) ? 0 : 1;
      }
    }
    std::uint64_t& awaited = barrier.entering->replacements;
    awaited -= std::min(awaited, joined);
  }
}

}  // namespace sim
