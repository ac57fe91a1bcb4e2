// Who is in a lockspace, and what comes of it when members join, leave or die. The rules are
// docs/barriers.md, "Deaths".
#include <algorithm>

#include "barrier/digest.h"
#include "barrier/table.h"
#include "base/mutant.h"

namespace barrier {
namespace {

std::uint64_t digest_of_user(std::uint64_t lockspace, SessionId session) {
  return base::mix(base::mix(lockspace, 24), base::value(session));
}

}  // namespace

std::uint64_t Table::digest_of_name(const std::string& lockspace) {
  return base::hash_bytes(23, base::bytes_of(lockspace));
}

std::uint64_t Table::digest_of_header(const std::string& name, const Lockspace& lockspace) {
  const std::uint64_t seed = digest_of_name(name);
  std::uint64_t digest = base::mix(seed, lockspace.generation);
  for (const Processor& node : lockspace.nodes) digest = digest_of(digest, node);
  return digest;
}

void Table::watch(const Create& request) {
  const auto [at, added] = lockspaces_.try_emplace(request.name.lockspace);
  if (!added) return;
  digest_ += digest_of_header(at->first, at->second);
  set_members(at, request.members);
}

void Table::set_members(Lockspaces::iterator at, const Membership& now) {
  Lockspace& lockspace = at->second;
  const std::uint64_t seed = digest_of_name(at->first);
  digest_ -= digest_of_header(at->first, lockspace);
  for (const SessionId session : lockspace.sessions) digest_ -= digest_of_user(seed, session);
  lockspace.generation = now.generation;
  lockspace.nodes = {now.nodes.begin(), now.nodes.end()};
  lockspace.sessions = {now.sessions.begin(), now.sessions.end()};
  for (const SessionId session : lockspace.sessions) digest_ += digest_of_user(seed, session);
  digest_ += digest_of_header(at->first, lockspace);
}

bool Table::is_member(const Name& name, Unit unit, SessionId session, const Processor& at) const {
  const Lockspace& lockspace = lockspaces_.at(name.lockspace);
  return unit == Unit::node ? lockspace.nodes.count(at) != 0
                            : lockspace.sessions.count(session) != 0;
}

// The members that have not arrived, at most `most` of them.
Membership Table::absent(const Name& name, const Barrier& barrier, std::size_t most) const {
  Membership absent;
  const Lockspace& lockspace = lockspaces_.at(name.lockspace);
  absent.generation = lockspace.generation;
  if (barrier.config.unit == Unit::node) {
    for (const Processor& node : lockspace.nodes) {
      if (absent.nodes.size() == most) break;
      if (!barrier.entering || !barrier.entering->someone_at(node)) absent.nodes.push_back(node);
    }
  } else {
    for (const SessionId session : lockspace.sessions) {
      if (absent.sessions.size() == most) break;
      if (!barrier.entering || !barrier.entering->find(session)) {
        absent.sessions.push_back(session);
      }
    }
  }
  return absent;
}

void Table::change_members(const MembersChanged& change, Effects& effects) {
  const auto lockspace = lockspaces_.find(change.lockspace);
  if (lockspace == lockspaces_.end()) return;
  const std::set<Processor> nodes = lockspace->second.nodes;
  const std::set<SessionId> sessions = lockspace->second.sessions;
  set_members(lockspace, change.now);
  const std::set<Processor> failed{change.failed.begin(), change.failed.end()};
  std::vector<Processor> lost;
  for (const Processor& node : failed) {
    if (nodes.count(node) != 0 && lockspace->second.nodes.count(node) == 0) lost.push_back(node);
  }
  const auto joined = [](const auto& now, const auto& before) {
    return static_cast<std::size_t>(std::count_if(
        now.begin(), now.end(), [&](const auto& member) { return before.count(member) == 0; }));
  };
  const std::size_t joined_nodes = joined(lockspace->second.nodes, nodes);
  const std::size_t joined_sessions = joined(lockspace->second.sessions, sessions);
  for (auto at = barriers_.lower_bound(Name{change.lockspace, {}});
       at != barriers_.end() && at->first.lockspace == change.lockspace;) {
    const auto here = at++;  // It may be deleted by what follows.
    execute(here, effects, [&] {
      const bool of_nodes = here->second.config.unit == Unit::node;
      const bool told = of_nodes && !MUTANT("barrier_failed_node_has_left");
      const bool over = told && lose_nodes(here, lost, effects);
      replace(here, of_nodes ? joined_nodes : joined_sessions);
      return over;
    });
  }
}

// The death of nodes. True if a generation is over by it.
bool Table::lose_nodes(Barriers::iterator at, const std::vector<Processor>& lost,
                       Effects& effects) {
  Barrier& barrier = at->second;
  const Config& config = barrier.config;
  const bool breaks = config.on_death == OnDeath::break_it && !MUTANT("barrier_death_ignored");
  bool over = false;
  if (breaks && barrier.inside) {
    const std::uint64_t before = barrier.inside->losses();
    for (const Processor& node : lost) {
      if (barrier.inside->someone_inside_at(node)) barrier.inside->lose({SessionId{}, node});
    }
    if (barrier.inside->losses() > before) {
      end_inside(at, Ending::participant_died, effects);
      over = true;
    }
  }
  if (!barrier.entering) return over;
  const std::uint64_t before = barrier.entering->losses();
  for (const Processor& node : lost) {
    if (config.dynamic() || (breaks && barrier.entering->someone_at(node))) {
      barrier.entering->lose({SessionId{}, node});
    }
  }
  return mourn(at, barrier.entering->losses() - before, barrier.entering->losses() - before,
               effects) ||
         over;
}

// Who has joined takes the place of one who died.
void Table::replace(Barriers::iterator at, std::size_t joined) {
  if (!at->second.entering || MUTANT("barrier_replaced_by_nobody")) return;
  Round& round = *at->second.entering;
  round.set_replacements(round.replacements() - std::min(round.replacements(), joined));
}

// After `deaths` were named that concern the generation which is entering, `members` of them of
// members. True if it is over.
bool Table::mourn(Barriers::iterator at, std::uint64_t deaths, std::uint64_t members,
                  Effects& effects) {
  if (deaths == 0) return false;
  const Config& config = at->second.config;
  Round& round = *at->second.entering;
  if (config.on_death == OnDeath::break_it && !MUTANT("barrier_death_ignored")) {
    end_entering(at, Ending::participant_died, effects);
    return true;
  }
  if (config.on_death == OnDeath::wait && config.dynamic()) {
    round.set_replacements(round.replacements() + members);
  }
  return false;
}

void Table::end_session(SessionId session, Processor at, Effects& effects) {
  std::set<Name> names;
  std::set<std::string> member_of;
  for (auto& [name, lockspace] : lockspaces_) {
    if (lockspace.sessions.erase(session) == 0) continue;
    digest_ -= digest_of_user(digest_of_name(name), session);
    member_of.insert(name);
    for (auto it = barriers_.lower_bound(Name{name, {}});
         it != barriers_.end() && it->first.lockspace == name; ++it) {
      const Config& config = it->second.config;
      if (config.dynamic() && config.unit == Unit::session) names.insert(it->first);
    }
  }
  const auto record = sessions_.find(session);
  if (record != sessions_.end()) names.insert(record->second.at.begin(), record->second.at.end());
  for (const Name& name : names) {
    const auto found = barriers_.find(name);
    execute(found, effects, [&] {
      const bool over = bury_inside(found, session, effects);
      const bool was_member = member_of.count(name.lockspace) != 0;
      return bury_entering(found, session, at, was_member, effects) || over;
    });
  }
  const auto owing = sessions_.find(session);
  if (owing == sessions_.end()) return;
  for (const OutcomeKey& key : owing->second.owed) outcomes_.settle(session, key);
  owing->second.owed.clear();
  if (owing->second.empty()) sessions_.erase(owing);
}

bool Table::bury_entering(Barriers::iterator at, SessionId session, Processor last, bool was_member,
                          Effects& effects) {
  Barrier& barrier = at->second;
  if (!barrier.entering) return false;
  const Participant* participant = barrier.entering->find(session);
  const Config& config = barrier.config;
  const bool awaited = was_member && config.dynamic() && config.unit == Unit::session;
  if (!participant && !awaited) return false;
  if (participant) {
    last = participant->at;
    if (!MUTANT("barrier_dead_among_participants")) remove_entering(at, session);
  }
  if (barrier.entering->empty()) return false;
  barrier.entering->lose({session, last});
  return mourn(at, 1, awaited ? 1 : 0, effects);
}

bool Table::bury_inside(Barriers::iterator at, SessionId session, Effects& effects) {
  Barrier& barrier = at->second;
  const Participant* participant = barrier.inside ? barrier.inside->find(session) : nullptr;
  if (!participant) return false;
  const bool left = participant->request != RequestId{};
  const Lost lost{session, participant->at};
  if (left || !MUTANT("barrier_dead_is_waited_for_inside")) remove_inside(at, session);
  const bool harmless = left && !MUTANT("barrier_death_after_leaving_breaks");
  if (harmless || barrier.inside->empty()) return false;
  barrier.inside->lose(lost);
  if (barrier.config.on_death != OnDeath::break_it) return false;
  end_inside(at, Ending::participant_died, effects);
  return true;
}

}  // namespace barrier
