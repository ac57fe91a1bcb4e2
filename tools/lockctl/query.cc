#include "tools/lockctl/query.h"

#include <liblock/barrier.h>
#include <liblock/query.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <ctime>
#include <string_view>
#include <tuple>

#include "tools/lockctl/name.h"

namespace tools::lockctl {
namespace {

std::string text(const lock_bytes& bytes) {
  return std::string(bytes.data, bytes.len);
}

std::string mode_name(lock_mode mode) {
  switch (mode) {
    case LOCK_MODE_NL:
      return "NL";
    case LOCK_MODE_CR:
      return "CR";
    case LOCK_MODE_CW:
      return "CW";
    case LOCK_MODE_PR:
      return "PR";
    case LOCK_MODE_PW:
      return "PW";
    case LOCK_MODE_EX:
      return "EX";
  }
  return "?";
}

std::string state_name(lock_member_state state) {
  switch (state) {
    case LOCK_MEMBER_ABSENT:
      return "absent";
    case LOCK_MEMBER_IN_RING:
      return "in ring";
    case LOCK_MEMBER_LOADING:
      return "loading";
    case LOCK_MEMBER_ACTIVE:
      return "active";
  }
  return "?";
}

int add_listed(const lock_list_item* item, void* arg) {
  auto& listing = *static_cast<Listing*>(arg);
  ListedLock lock;
  lock.lockspace = text(item->lockspace);
  lock.name = text(item->name);
  lock.mode = item->granted > 0 ? mode_name(item->mode) : "";
  lock.granted = item->granted;
  lock.waiting = item->waiting;
  lock.token = item->token;
  lock.node = item->node;
  lock.orphaned = item->orphaned != 0;
  lock.command = text(item->command);
  listing.locks.push_back(std::move(lock));
  return 0;
}

int add_shown(const lock_show_item* item, void* arg) {
  auto& showing = *static_cast<Showing*>(arg);
  ShownLock lock;
  lock.granted = item->granted != 0;
  lock.mode = mode_name(item->mode);
  lock.token = item->token;
  lock.session = item->session;
  lock.node = item->node;
  lock.pid = item->pid;
  lock.uid = item->uid;
  lock.orphaned = item->orphaned != 0;
  lock.command = text(item->command);
  lock.waiting = item->waiting != 0;
  if (lock.waiting) lock.wants = mode_name(item->wants);
  lock.flags = item->flags;
  lock.position = item->position;
  lock.since = item->since;
  lock.request = item->request;
  lock.owner = item->owner;
  lock.orphan = item->orphan != 0;
  showing.locks.push_back(std::move(lock));
  if (item->has_value != 0) {
    showing.value.emplace();
    std::memcpy(showing.value->data(), item->value, sizeof item->value);
  }
  showing.value_invalid = item->value_invalid != 0;
  return 0;
}

DeadlockedLock deadlocked(const lock_deadlock_lock& from) {
  return {from.session, from.id, from.node, from.pid, from.command};
}

std::vector<ListedLockspace::Member> members_of(const lock_lockspace_member* from,
                                                std::size_t count) {
  std::vector<ListedLockspace::Member> members;
  for (std::size_t i = 0; i < count; ++i) members.push_back({from[i].node, from[i].slot});
  return members;
}

int add_lockspace(const lock_lockspace_item* item, void* arg) {
  ListedLockspace lockspace;
  lockspace.name = text(item->name);
  lockspace.generation = item->generation;
  lockspace.recovered = item->recovered != 0;
  lockspace.members = members_of(item->members, item->members_len);
  lockspace.failed = members_of(item->failed, item->failed_len);
  lockspace.uid = item->uid;
  lockspace.gid = item->gid;
  lockspace.permissions = item->permissions;
  static_cast<Lockspaces*>(arg)->lockspaces.push_back(std::move(lockspace));
  return 0;
}

const char* name_of(lock_barrier_on_death on_death) {
  switch (on_death) {
    case LOCK_BARRIER_BREAK:
      return "break";
    case LOCK_BARRIER_SHRINK:
      return "shrink";
    case LOCK_BARRIER_WAIT:
      return "wait";
  }
  return "?";
}

ListedBarrier::Round round_of(const lock_barrier_round& from) {
  return {from.generation, from.arrived, from.missing};
}

int add_barrier(const lock_barrier_item* item, void* arg) {
  const lock_barrier& about = item->about;
  ListedBarrier barrier;
  barrier.lockspace = about.lockspace;
  barrier.name.assign(static_cast<const char*>(about.name), about.name_len);
  barrier.parties = about.parties;
  barrier.nodes = about.unit == LOCK_BARRIER_NODES;
  barrier.on_death = name_of(about.on_death);
  barrier.two_steps = (about.flags & LOCK_BARRIER_TWO_STEPS) != 0;
  barrier.kept = (about.flags & LOCK_BARRIER_KEEP) != 0;
  barrier.patience = std::chrono::milliseconds(about.patience_ms);
  barrier.entering = round_of(item->entering);
  barrier.inside = round_of(item->inside);
  static_cast<BarrierListing*>(arg)->barriers.push_back(std::move(barrier));
  return 0;
}

int add_member(const lock_member* item, void* arg) {
  Member member;
  member.node = item->node;
  member.incarnation = item->incarnation;
  member.votes = item->votes;
  member.witness = item->witness != 0;
  member.self = item->self != 0;
  member.state = state_name(item->state);
  member.address = text(item->address);
  static_cast<std::vector<Member>*>(arg)->push_back(std::move(member));
  return 0;
}

std::string state_name(lock_ring_state state) {
  switch (state) {
    case LOCK_RING_OPERATIONAL:
      return "operational";
    case LOCK_RING_GATHER:
      return "gather";
    case LOCK_RING_COMMIT:
      return "commit";
    case LOCK_RING_RECOVERY:
      return "recovery";
    case LOCK_RING_LEFT:
      return "left";
  }
  return "?";
}

base::Duration duration(std::uint64_t nanoseconds) {
  return base::Duration(static_cast<std::int64_t>(nanoseconds));
}

int add_event(const lock_ring_event* from, void* arg) {
  static_cast<RingLog*>(arg)->events.push_back(
      {from->number,
       duration(from->ago_ns),
       duration(from->lasted_ns),
       from->times,
       text(from->event),
       {from->ring_sequence, from->ring_representative, from->ring_nonce},
       from->node,
       text(from->text)});
  return 0;
}

// More than a daemon keeps.
constexpr std::uint32_t kChangesMax = 512;
constexpr std::uint32_t kDeadlocksMax = 64;

Why why_of(const lock_why_info& from) {
  Why why;
  why.ring = {from.ring_sequence, from.ring_representative, from.ring_nonce};
  why.ago = duration(from.ago_ns);
  why.took = duration(from.took_ns);
  why.trigger = text(from.trigger);
  why.nodes.assign(from.nodes, from.nodes + from.nodes_len);
  for (std::size_t i = 0; i < from.changes_len; ++i) {
    const lock_why_member& change = from.changes[i];
    why.changes.push_back({{change.node, change.incarnation}, change.came != 0, text(change.why)});
  }
  return why;
}

RingStatus ring_of(const lock_ring_info& from) {
  RingStatus ring;
  ring.state = state_name(from.state);
  ring.id = {from.ring_sequence, from.ring_representative, from.ring_nonce};
  ring.rotation = duration(from.rotation_ns);
  ring.rotation_average = duration(from.rotation_average_ns);
  ring.rotation_longest = duration(from.rotation_longest_ns);
  ring.highest = from.highest;
  ring.received = from.received;
  ring.stable = from.stable;
  ring.delivered = from.delivered;
  ring.stored = from.stored;
  ring.waiting_messages = from.waiting_messages;
  ring.waiting_bytes = from.waiting_bytes;
  ring.waiting_bytes_max = from.waiting_bytes_max;
  ring.waiting_datagrams = from.waiting_datagrams;
  ring.personal_window = from.personal_window;
  ring.rotation_window = from.rotation_window;
  ring.accelerated_window = from.accelerated_window;
  ring.outstanding_max = from.outstanding_max;
  for (std::size_t i = 0; i < from.peers_len; ++i) {
    const lock_ring_peer& peer = from.peers[i];
    ring.peers.push_back({peer.node, peer.self != 0, peer.incarnation, peer.acknowledged,
                          peer.heard != 0, duration(peer.heard_ago_ns), peer.barred != 0,
                          peer.key});
  }
  return ring;
}

const char* or_null(const std::string& text) {
  return text.empty() ? nullptr : text.c_str();
}

}  // namespace

base::Result<Query, Failure> Query::connect(const std::string& socket) {
  lock_options options{};
  options.size = sizeof options;
  options.socket_path = socket.c_str();
  options.query_only = 1;
  lock_client* client = nullptr;
  const int error = lock_connect(&options, &client);
  if (error != 0) return base::error(failure_of(error, nullptr, socket));
  return Query(Client(client), socket);
}

base::Result<Listing, Failure> Query::list(const std::string& lockspace,
                                           const std::string& prefix) {
  Listing listing;
  const int error = lock_list(client_.get(), or_null(lockspace), prefix.data(), prefix.size(),
                              &add_listed, &listing);
  if (error != 0) return base::error(failure(error));
  const auto stale = is_stale();
  if (!stale) return base::error(stale.error());
  listing.stale = *stale;
  std::sort(listing.locks.begin(), listing.locks.end(),
            [](const ListedLock& a, const ListedLock& b) {
              return std::tie(a.lockspace, a.name) < std::tie(b.lockspace, b.name);
            });
  return listing;
}

base::Result<Showing, Failure> Query::show(const std::string& lockspace, const std::string& name) {
  Showing showing;
  showing.lockspace = lockspace.empty() ? "default" : lockspace;
  showing.name = name;
  const int error =
      lock_show(client_.get(), or_null(lockspace), name.data(), name.size(), &add_shown, &showing);
  if (error != 0) return base::error(failure(error));
  const auto stale = is_stale();
  if (!stale) return base::error(stale.error());
  showing.stale = *stale;
  showing.now = static_cast<std::uint32_t>(std::time(nullptr));
  return showing;
}

base::Result<Deadlocks, Failure> Query::deadlocks() {
  Deadlocks all;
  std::vector<lock_deadlock_step> steps(LOCK_DEADLOCK_STEPS_MAX);
  for (std::uint32_t back = 0; back < kDeadlocksMax; ++back) {
    steps[0].size = sizeof steps[0];
    Deadlock deadlock;
    const int answer = lock_past_deadlock(client_.get(), back, &deadlock.session, &deadlock.request,
                                          steps.data(), steps.size());
    if (answer == LOCK_ERROR_NOT_FOUND) break;
    if (answer < 0) return base::error(failure(answer));
    deadlock.steps_in_all = static_cast<std::size_t>(answer);
    for (std::size_t i = 0; i < std::min(deadlock.steps_in_all, steps.size()); ++i) {
      const lock_deadlock_step& step = steps[i];
      deadlock.steps.push_back({deadlocked(step.waits), mode_name(step.wants),
                                deadlocked(step.blocker), mode_name(step.has), step.lockspace,
                                std::string(step.name, std::min(step.name_len, kNameBytesMax))});
    }
    all.deadlocks.push_back(std::move(deadlock));
  }
  return all;
}

base::Result<Lockspaces, Failure> Query::lockspaces() {
  Lockspaces lockspaces;
  const int error = lock_lockspaces(client_.get(), &add_lockspace, &lockspaces);
  if (error != 0) return base::error(failure(error));
  const auto stale = is_stale();
  if (!stale) return base::error(stale.error());
  lockspaces.stale = *stale;
  return lockspaces;
}

base::Result<BarrierListing, Failure> Query::barriers(const std::string& lockspace,
                                                      const std::string& prefix) {
  BarrierListing listing;
  const int error = lock_barriers(client_.get(), or_null(lockspace), &add_barrier, &listing);
  if (error != 0) return base::error(failure(error));
  const auto stale = is_stale();
  if (!stale) return base::error(stale.error());
  listing.stale = *stale;
  std::erase_if(listing.barriers,
                [&](const ListedBarrier& one) { return !one.name.starts_with(prefix); });
  return listing;
}

base::Result<Waits, Failure> Query::waits() {
  const auto listing = list("", "");
  if (!listing) return base::error(listing.error());
  Waits waits;
  for (const ListedLock& lock : listing->locks) {
    if (lock.waiting == 0) continue;
    if (waits.resources.size() == kWaitsMax) {
      ++waits.left_out;
      continue;
    }
    auto showing = show(lock.lockspace, lock.name);
    if (!showing) return base::error(showing.error());
    waits.resources.push_back(std::move(*showing));
  }
  return waits;
}

base::Result<bool, Failure> Query::is_stale() {
  const auto answer = status();
  if (!answer) return base::error(answer.error());
  return !answer->primary;
}

base::Result<Status, Failure> Query::status() {
  lock_status_info info{};
  info.size = sizeof info;
  const int error = lock_status(client_.get(), &info);
  if (error != 0) return base::error(failure(error));
  Status status;
  status.cluster = text(info.cluster);
  status.daemon = text(info.daemon);
  status.state = text(info.state);
  status.node = info.node;
  status.primary = info.primary != 0;
  status.voter = info.voter != 0;
  status.epoch = info.epoch;
  status.ring_sequence = info.ring_sequence;
  status.ring_representative = info.ring_representative;
  status.ring_nonce = info.ring_nonce;
  status.votes = info.votes;
  status.quorum = info.quorum;
  status.votes_configured = info.votes_configured;
  status.holders = info.holders;
  status.lease = base::Duration(static_cast<std::int64_t>(info.lease_ns));
  status.sessions = info.sessions;
  status.resources = info.resources;
  status.locks = info.locks;
  status.waiting = info.waiting;
  status.orphaned = info.orphaned;
  for (std::size_t i = 0; i < info.counters_len; ++i) {
    status.counters.emplace_back(text(info.counters[i].name), info.counters[i].value);
  }
  return status;
}

base::Result<FullStatus, Failure> Query::full_status() {
  auto status = this->status();
  if (!status) return base::error(status.error());
  lock_ring_info info{};
  info.size = sizeof info;
  const int error = lock_ring_status(client_.get(), &info);
  if (error != 0) return base::error(failure(error));
  FullStatus full;
  full.status = std::move(*status);
  full.ring = ring_of(info);
  return full;
}

base::Result<RingLog, Failure> Query::ring_log() {
  RingLog log;
  const int error = lock_ring_log(client_.get(), 0, &add_event, &log);
  if (error != 0) return base::error(failure(error));
  return log;
}

base::Result<Reasons, Failure> Query::why(bool all) {
  Reasons reasons;
  reasons.all = all;
  for (std::uint32_t back = 0; back == 0 || (all && back < kChangesMax); ++back) {
    lock_why_info info{};
    info.size = sizeof info;
    const int error = lock_why(client_.get(), back, &info);
    if (error != 0) return base::error(failure(error));
    if (info.changed == 0) break;
    reasons.changes.push_back(why_of(info));
  }
  return reasons;
}

base::Result<std::vector<Member>, Failure> Query::members() {
  std::vector<Member> members;
  const int error = lock_members(client_.get(), &add_member, &members);
  if (error != 0) return base::error(failure(error));
  return members;
}

// Part of the status, among the counters.
base::Result<KeyUse, Failure> Query::key_use() {
  constexpr std::string_view kOfNode = "key_of_node_";
  const auto answer = status();
  if (!answer) return base::error(answer.error());
  KeyUse use;
  for (const auto& [name, value] : answer->counters) {
    const auto key = static_cast<std::uint16_t>(value);
    if (name == "key_in_use") {
      use.nodes.push_back({answer->node, true, key});
    } else if (name.starts_with(kOfNode)) {
      std::uint32_t node = 0;
      const char* end = name.data() + name.size();
      if (std::from_chars(name.data() + kOfNode.size(), end, node).ptr != end) continue;
      use.nodes.push_back({node, false, key});
    }
  }
  std::ranges::sort(use.nodes, {}, &KeyUse::Node::node);
  return use;
}

}  // namespace tools::lockctl
