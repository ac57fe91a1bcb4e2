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

protocol::Mode mode_of(dlm::Mode mode) {
  return static_cast<protocol::Mode>(mode);
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
    item.mode = std::max(item.mode, mode_of(lock.mode));
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
  table->locks().visit_locks(name, query.skip, protocol::kShowLocksMax,
                             [&](const dlm::LockView& lock) {
                               protocol::ShowLock shown;
                               shown.granted = lock.granted;
                               shown.mode = mode_of(lock.mode);
                               shown.token = lock.token;
                               shown.session = lock.lock.session;
                               shown.request = lock.lock.acquired_by;
                               if (const Session* session = table->find(lock.lock.session)) {
                                 shown.node = session->at.node;
                                 shown.orphaned = session->orphaned();
                                 shown.pid = session->pid;
                                 shown.uid = session->uid;
                                 shown.command = session->program;
                               }
                               page.locks.push_back(std::move(shown));
                             });
  page.more = query.skip + page.locks.size() < resource->holders + resource->waiters;
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
