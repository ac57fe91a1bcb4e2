#include "lockd/queries.h"

#include <algorithm>
#include <utility>

#include "lockd/state.h"

namespace lockd {

namespace protocol = liblock::protocol;

namespace {

// A listing visits this many resources for one page at most, so that a filter that matches nothing
// costs a client pages, not the ring its turn.
constexpr std::size_t kVisitedPerPage = 2048;

// And so many at a time, since a visit cannot be cut short.
constexpr std::size_t kVisitedPerStep = 16;

// The mode of a resource is the strongest of at most so many holders.
constexpr std::size_t kHoldersLookedAt = 64;

std::string as_text(base::Bytes bytes) {
  return base::text_of(bytes);
}

std::string_view state_word(const ReplicaStatus& status) {
  return status.cold && status.phase == ReplicaPhase::active ? "cold" : to_string(status.phase);
}

void add(std::vector<protocol::Counter>& counters, const ReplicaStatistics& of) {
  const std::pair<const char*, std::uint64_t> values[] = {
      {"activations", of.activations},
      {"activations_in_transition", of.activations_in_transition},
      {"cold_starts", of.cold_starts},
      {"snapshots_served", of.snapshots_served},
      {"snapshots_loaded", of.snapshots_loaded},
      {"commands_applied", of.applied},
      {"commands_resent", of.resent},
      {"outcomes_held", of.held_told},
      {"outcomes_discarded", of.held_discarded},
      {"orphans_marked", of.orphans_marked},
      {"orphans_expired", of.orphans_expired},
      {"orphans_resumed", of.orphans_resumed},
      {"digests_compared", of.digest_comparisons},
      {"lease_renewals", of.renewals},
      {"messages_malformed", of.malformed},
  };
  for (const auto& [name, value] : values) counters.push_back({name, value});
}

protocol::ShowLock shown(const State& table, const dlm::LockView& lock) {
  protocol::ShowLock shown;
  shown.granted = lock.granted;
  shown.waiting = lock.waiting;
  shown.mode = lock.mode;
  shown.wants = lock.wants;
  shown.token = lock.token;
  shown.flags = lock.flags;
  shown.position = static_cast<std::uint32_t>(lock.position);
  shown.since = lock.since;
  shown.owner = base::value(lock.owner);
  shown.orphan = lock.orphan;
  shown.session = lock.lock.session;
  shown.request = lock.lock.acquired_by;
  if (const Session* session = table.find(lock.lock.session)) {
    shown.node = session->at.node;
    shown.orphaned = session->orphaned();
    shown.pid = session->pid;
    shown.uid = session->uid;
    shown.command = session->program;
  }
  return shown;
}

std::optional<protocol::BarrierRound> round_of(const std::optional<barrier::RoundView>& round) {
  if (!round) return std::nullopt;
  return protocol::BarrierRound{round->generation, static_cast<std::uint32_t>(round->arrived),
                                static_cast<std::uint32_t>(round->missing)};
}

protocol::BarrierItem barrier_item_of(const barrier::BarrierView& view) {
  return {view.name.lockspace,
          view.name.barrier,
          {view.config.parties, view.config.unit, view.config.on_death, view.config.two_steps,
           view.auto_delete, view.patience},
          round_of(view.entering),
          round_of(view.inside)};
}

}  // namespace

Queries::Queries(QueriesConfig config, base::Processor self, const Replica& replica)
    : config_(std::move(config)), self_(self), replica_(replica) {}

protocol::ListItem Queries::item_of(const State& table, const dlm::ResourceView& resource) const {
  protocol::ListItem item;
  item.lockspace = as_text(resource.name.lockspace);
  item.resource = as_text(resource.name.resource);
  item.granted = static_cast<std::uint32_t>(resource.holders);
  item.waiting = static_cast<std::uint32_t>(resource.waiters);
  bool first = true;
  const std::size_t holders = std::min(resource.holders, kHoldersLookedAt);
  table.locks().visit_locks(resource.name, 0, holders, [&](const dlm::LockView& lock) {
    item.mode = std::max(item.mode, lock.mode);
    if (!std::exchange(first, false)) return;
    item.token = lock.token;
    if (const Session* session = table.find(lock.lock.session)) {
      item.node = session->at.node;
      item.orphaned = session->orphaned();
      item.command = session->program;
    }
  });
  return item;
}

protocol::ListPage Queries::answer(Instant, const protocol::List& query) const {
  protocol::ListPage page;
  page.query = query.query;
  const State* table = replica_.last_table();
  page.stale = replica_.table() == nullptr;
  if (table == nullptr) return page;

  dlm::Table::Cursor cursor{query.cursor, false};
  for (std::size_t visited = 0; visited < kVisitedPerPage && !cursor.end;
       visited += kVisitedPerStep) {
    // A step may visit a few more than it was asked to.
    if (page.items.size() + 2 * kVisitedPerStep > protocol::kListItemsMax) break;
    cursor = table->locks().visit_resources(
        cursor, kVisitedPerStep, [&](const dlm::ResourceView& resource) {
          const std::string lockspace = as_text(resource.name.lockspace);
          const std::string name = as_text(resource.name.resource);
          if (!query.lockspace.empty() && lockspace != query.lockspace) return;
          if (name.compare(0, query.prefix.size(), query.prefix) != 0) return;
          if (page.items.size() < protocol::kListItemsMax)
            page.items.push_back(item_of(*table, resource));
        });
  }
  page.more = !cursor.end;
  page.cursor = cursor.position;
  return page;
}

protocol::ShowPage Queries::answer(Instant, const protocol::Show& query) const {
  protocol::ShowPage page;
  page.query = query.query;
  const State* table = replica_.last_table();
  page.stale = replica_.table() == nullptr;
  if (table == nullptr) return page;

  const dlm::ResourceName name{base::bytes_of(query.lockspace), base::bytes_of(query.resource)};
  const auto resource = table->locks().find(name);
  if (!resource) return page;
  page.has_value = resource->value != nullptr;
  page.value_invalid = resource->value_invalid;
  if (resource->value) page.value = *resource->value;
  table->locks().visit_locks(
      name, query.skip, protocol::kShowLocksMax,
      [&](const dlm::LockView& lock) { page.locks.push_back(shown(*table, lock)); });
  page.more = query.skip + page.locks.size() < table->locks().count_on(name);
  return page;
}

protocol::LockRef Queries::ref_to(const dlm::LockName& lock) const {
  protocol::LockRef ref;
  ref.session = lock.session;
  ref.acquire = lock.acquired_by;
  const State* table = replica_.last_table();
  if (const Session* session = table ? table->find(lock.session) : nullptr) {
    ref.node = session->at.node;
    ref.pid = session->pid;
    ref.command = session->program;
  }
  return ref;
}

std::vector<protocol::DeadlockStep> Queries::steps_of(const dlm::Deadlock& deadlock) const {
  std::vector<protocol::DeadlockStep> steps;
  for (const dlm::DeadlockStep& step : deadlock.steps) {
    if (steps.size() == protocol::kDeadlockStepsMax) break;
    steps.push_back({ref_to(step.waits), step.wants, ref_to(step.blocker), step.has, step.lockspace,
                     step.resource});
  }
  return steps;
}

protocol::Deadlock Queries::describe(const dlm::Deadlock& deadlock) const {
  return {deadlock.request, steps_of(deadlock)};
}

protocol::DeadlockAnswer Queries::answer(Instant, const protocol::DeadlockQuery& query) const {
  protocol::DeadlockAnswer answer;
  answer.query = query.query;
  const State* table = replica_.last_table();
  if (table == nullptr || query.back >= table->deadlocks().size()) return answer;
  const dlm::Deadlock& deadlock = table->deadlocks()[table->deadlocks().size() - 1 - query.back];
  answer.found = true;
  answer.victim = deadlock.victim.session;
  answer.request = deadlock.request;
  answer.steps = steps_of(deadlock);
  return answer;
}

protocol::LockspaceState state_of(const std::string& name, const Lockspace& lockspace) {
  protocol::LockspaceState state;
  state.lockspace = name;
  state.generation = lockspace.generation;
  state.recovered = lockspace.gone.empty();
  const auto add = [](std::vector<protocol::LockspaceMember>& to,
                      const std::vector<LockspaceMember>& members) {
    for (const LockspaceMember& member : members) {
      if (to.size() < protocol::kMembersMax) to.push_back({member.processor.node, member.slot});
    }
  };
  add(state.members, lockspace.members);
  add(state.failed, lockspace.gone);
  return state;
}

protocol::LockspacesPage Queries::answer(Instant, const protocol::LockspacesQuery& query) const {
  protocol::LockspacesPage page;
  page.query = query.query;
  page.stale = replica_.table() == nullptr;
  const State* table = replica_.last_table();
  if (table == nullptr) return page;
  const auto& all = table->lockspaces().all();
  auto at = all.upper_bound(query.after);
  for (; at != all.end() && page.items.size() < protocol::kLockspacesMax; ++at) {
    const Lockspace& lockspace = at->second;
    page.items.push_back(
        {state_of(at->first, lockspace), lockspace.uid, lockspace.gid, lockspace.permissions});
  }
  page.more = at != all.end();
  return page;
}

protocol::BarriersPage Queries::answer(Instant, const protocol::BarriersQuery& query) const {
  protocol::BarriersPage page;
  page.query = query.query;
  page.primary = replica_.table() != nullptr;
  const State* table = replica_.last_table();
  if (table == nullptr) return page;
  const bool begins = query.after_barrier.empty() && query.after_lockspace.empty();
  // The first name behind it, as bytes go.
  barrier::Name from{query.after_lockspace,
                     query.after_barrier + (begins ? "" : std::string(1, 0))};
  if (begins) from.lockspace = query.lockspace;
  table->barriers().visit(from, protocol::kBarriersMax + 1, [&](const barrier::BarrierView& view) {
    if (!query.lockspace.empty() && view.name.lockspace != query.lockspace) return;
    if (page.items.size() == protocol::kBarriersMax) {
      page.more = true;
    } else {
      page.items.push_back(barrier_item_of(view));
    }
  });
  return page;
}

protocol::Status Queries::answer(Instant now, const protocol::StatusQuery& query) const {
  const ReplicaStatus status = replica_.status(now);
  protocol::Status answer;
  answer.query = query.query;
  answer.node = self_.node;
  answer.cluster = config_.cluster;
  answer.daemon = config_.version;
  answer.state = state_word(status);
  answer.primary = replica_.table() != nullptr;
  answer.voter = !status.amnesiac && !status.observer;
  answer.epoch = status.epoch ? status.epoch->number : 0;
  answer.ring = status.configuration.id;
  answer.votes = status.votes_present;
  answer.quorum = status.votes_needed;
  for (const QueriesConfig::Node& node : config_.nodes) answer.votes_configured += node.votes;
  answer.holders = static_cast<std::uint32_t>(status.holders);
  answer.lease = config_.lease;
  if (const State* table = replica_.last_table()) {
    const StateCounts counts = table->counts();
    answer.sessions = counts.sessions;
    answer.resources = counts.resources;
    answer.locks = counts.locks;
    answer.waiting = counts.waiting;
    answer.orphaned = counts.orphans;
  }
  add(answer.counters, replica_.statistics());
  if (config_.more_counters) config_.more_counters(answer.counters);
  return answer;
}

protocol::Members Queries::answer(Instant now, const protocol::MembersQuery& query) const {
  const ReplicaStatus status = replica_.status(now);
  const std::vector<base::Processor>& members = status.configuration.members;
  const bool all_hold = replica_.table() != nullptr && status.holders == members.size();

  protocol::Members answer;
  answer.query = query.query;
  answer.ring = status.configuration.id;
  for (const QueriesConfig::Node& node : config_.nodes) {
    protocol::Member shown;
    shown.node = node.id;
    shown.votes = node.votes;
    shown.witness = node.witness;
    shown.self = node.id == self_.node;
    shown.address = node.address;
    const auto member =
        std::find_if(members.begin(), members.end(),
                     [&](const base::Processor& one) { return one.node == node.id; });
    if (member != members.end()) {
      shown.incarnation = base::value(member->incarnation);
      shown.state = protocol::MemberState::member;
      if (all_hold || (shown.self && status.phase == ReplicaPhase::active)) {
        shown.state = protocol::MemberState::active;
      } else if (shown.self && status.phase == ReplicaPhase::loading) {
        shown.state = protocol::MemberState::loading;
      }
    }
    answer.members.push_back(std::move(shown));
  }
  return answer;
}

}  // namespace lockd
