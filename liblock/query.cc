#include <liblock/query.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "liblock/copy_steps.h"
#include "liblock/handle.h"

namespace {

using namespace liblock::protocol;

lock_bytes bytes_of(const std::string& text) {
  return {text.c_str(), text.size()};
}

std::string string_of(const void* bytes, size_t len) {
  return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), len);
}

lock_mode mode_of(Mode mode) {
  return static_cast<lock_mode>(mode);
}

// Asks, and gives the answer to `take` if it is one to this kind of question.
template <typename Answer, typename Take>
int ask(lock_client* client, const Request& question, Take take) {
  const auto answer = client->client.query(question);
  if (!answer) return answer.error();
  const auto* expected = std::get_if<Answer>(&*answer);
  return expected == nullptr ? LOCK_ERROR_PROTOCOL : take(*expected);
}

int list(lock_client* client, List question, lock_list_fn* callback, void* arg) {
  for (;;) {
    bool more = false;
    const int error = ask<ListPage>(client, question, [&](const ListPage& page) {
      more = page.more;
      // A listing that does not move on would never end.
      if (more && page.cursor == question.cursor) return int{LOCK_ERROR_PROTOCOL};
      question.cursor = page.cursor;
      for (const ListItem& from : page.items) {
        lock_list_item item{};
        item.lockspace = bytes_of(from.lockspace);
        item.name = bytes_of(from.resource);
        item.granted = from.granted;
        item.waiting = from.waiting;
        item.mode = mode_of(from.mode);
        item.token = base::value(from.token);
        item.node = base::value(from.node);
        item.orphaned = from.orphaned;
        item.command = bytes_of(from.command);
        item.stale = page.stale;
        if (const int stop = callback(&item, arg)) return stop;
      }
      return 0;
    });
    if (error != 0 || !more) return error;
  }
}

int show(lock_client* client, Show question, lock_show_fn* callback, void* arg) {
  for (;;) {
    bool more = false;
    const int error = ask<ShowPage>(client, question, [&](const ShowPage& page) {
      more = page.more;
      if (more && page.locks.empty()) return int{LOCK_ERROR_PROTOCOL};
      question.skip += static_cast<std::uint32_t>(page.locks.size());
      for (const ShowLock& from : page.locks) {
        lock_show_item item{};
        item.granted = from.granted;
        item.mode = mode_of(from.mode);
        item.token = base::value(from.token);
        item.session = base::value(from.session);
        item.request = base::value(from.request);
        item.node = base::value(from.node);
        item.orphaned = from.orphaned;
        item.pid = from.pid;
        item.uid = from.uid;
        item.command = bytes_of(from.command);
        item.stale = page.stale;
        item.waiting = from.waiting;
        item.wants = mode_of(from.wants);
        item.flags = from.flags;
        item.position = from.position;
        item.since = from.since;
        item.owner = from.owner;
        item.orphan = from.orphan;
        item.has_value = page.has_value;
        item.value_invalid = page.value_invalid;
        static_assert(sizeof item.value == sizeof page.value);
        std::memcpy(item.value, page.value.data(), sizeof item.value);
        if (const int stop = callback(&item, arg)) return stop;
      }
      return 0;
    });
    if (error != 0 || !more) return error;
  }
}

std::vector<lock_lockspace_member> members_of(const std::vector<LockspaceMember>& from) {
  std::vector<lock_lockspace_member> members;
  for (const LockspaceMember& member : from) {
    members.push_back({base::value(member.node), member.slot});
  }
  return members;
}

int lockspaces(lock_client* client, LockspacesQuery question, lock_lockspaces_fn* callback,
               void* arg) {
  for (;;) {
    bool more = false;
    const int error = ask<LockspacesPage>(client, question, [&](const LockspacesPage& page) {
      more = page.more;
      if (more && page.items.empty()) return int{LOCK_ERROR_PROTOCOL};
      for (const LockspaceItem& from : page.items) {
        // A listing that does not move on would never end.
        if (from.state.lockspace <= question.after) return int{LOCK_ERROR_PROTOCOL};
        question.after = from.state.lockspace;
        const auto members = members_of(from.state.members);
        const auto failed = members_of(from.state.failed);
        lock_lockspace_item item{};
        item.name = bytes_of(from.state.lockspace);
        item.generation = from.state.generation;
        item.recovered = from.state.recovered;
        item.members = members.data();
        item.members_len = members.size();
        item.failed = failed.data();
        item.failed_len = failed.size();
        item.uid = from.uid;
        item.gid = from.gid;
        item.permissions = from.permissions;
        item.stale = page.stale;
        if (const int stop = callback(&item, arg)) return stop;
      }
      return 0;
    });
    if (error != 0 || !more) return error;
  }
}

void fill(lock_status_info& info, const Status& from) {
  info.node = base::value(from.node);
  info.primary = from.primary;
  info.voter = from.voter;
  info.epoch = from.epoch;
  info.ring_sequence = from.ring.sequence;
  info.ring_representative = base::value(from.ring.representative);
  info.ring_nonce = from.ring.nonce;
  info.votes = from.votes;
  info.quorum = from.quorum;
  info.votes_configured = from.votes_configured;
  info.holders = from.holders;
  info.lease_ns = static_cast<uint64_t>(from.lease.count());
  info.sessions = from.sessions;
  info.resources = from.resources;
  info.locks = from.locks;
  info.waiting = from.waiting;
  info.orphaned = from.orphaned;
  info.cluster = bytes_of(from.cluster);
  info.daemon = bytes_of(from.daemon);
  info.state = bytes_of(from.state);
}

std::uint64_t nanoseconds(base::Duration duration) {
  return static_cast<std::uint64_t>(duration.count());
}

lock_ring_peer peer_of(const RingPeer& from) {
  lock_ring_peer peer{};
  peer.node = base::value(from.node);
  peer.self = from.self;
  peer.incarnation = from.incarnation;
  peer.acknowledged = from.acknowledged;
  peer.heard = from.heard;
  peer.heard_ago_ns = nanoseconds(from.heard_ago);
  peer.barred = from.barred;
  peer.key = from.key;
  return peer;
}

void fill(lock_ring_info& info, const RingStatus& from) {
  info.state = static_cast<lock_ring_state>(from.state);
  info.ring_sequence = from.ring.sequence;
  info.ring_representative = base::value(from.ring.representative);
  info.ring_nonce = from.ring.nonce;
  info.rotation_ns = nanoseconds(from.rotation);
  info.rotation_average_ns = nanoseconds(from.rotation_average);
  info.rotation_longest_ns = nanoseconds(from.rotation_longest);
  info.highest = from.highest;
  info.received = from.received;
  info.stable = from.stable;
  info.delivered = from.delivered;
  info.stored = from.stored;
  info.waiting_messages = from.waiting_messages;
  info.waiting_bytes = from.waiting_bytes;
  info.waiting_bytes_max = from.waiting_bytes_max;
  info.waiting_datagrams = from.waiting_datagrams;
  info.personal_window = from.personal_window;
  info.rotation_window = from.rotation_window;
  info.accelerated_window = from.accelerated_window;
  info.outstanding_max = from.outstanding_max;
}

int ring_log(lock_client* client, RingLogQuery question, lock_ring_log_fn* callback, void* arg) {
  for (;;) {
    bool more = false;
    const int error = ask<RingLogPage>(client, question, [&](const RingLogPage& page) {
      more = page.more;
      for (const RingEvent& from : page.events) {
        // A log that does not move on would never end.
        if (from.number <= question.since) return int{LOCK_ERROR_PROTOCOL};
        question.since = from.number;
        lock_ring_event event{};
        event.number = from.number;
        event.ago_ns = nanoseconds(from.ago);
        event.lasted_ns = nanoseconds(from.lasted);
        event.times = from.times;
        event.event = bytes_of(from.event);
        event.ring_sequence = from.ring.sequence;
        event.ring_representative = base::value(from.ring.representative);
        event.ring_nonce = from.ring.nonce;
        event.node = base::value(from.node);
        event.text = bytes_of(from.text);
        if (const int stop = callback(&event, arg)) return stop;
      }
      return more && page.events.empty() ? int{LOCK_ERROR_PROTOCOL} : 0;
    });
    if (error != 0 || !more) return error;
  }
}

}  // namespace

extern "C" {

int lock_list(lock_client* client, const char* lockspace, const void* prefix, size_t prefix_len,
              lock_list_fn* callback, void* arg) {
  return liblock::guarded(client, [&] {
    List question;
    if (lockspace != nullptr) question.lockspace = lockspace;
    question.prefix = string_of(prefix, prefix_len);
    return callback == nullptr ? int{LOCK_ERROR_INVALID}
                               : list(client, std::move(question), callback, arg);
  });
}

int lock_show(lock_client* client, const char* lockspace, const void* name, size_t name_len,
              lock_show_fn* callback, void* arg) {
  return liblock::guarded(client, [&] {
    Show question;
    question.lockspace = lockspace == nullptr ? "default" : lockspace;
    question.resource = string_of(name, name_len);
    return callback == nullptr ? int{LOCK_ERROR_INVALID}
                               : show(client, std::move(question), callback, arg);
  });
}

int lock_status(lock_client* client, lock_status_info* info) {
  return liblock::guarded(client, [&] {
    if (info == nullptr) return int{LOCK_ERROR_INVALID};
    return ask<Status>(client, StatusQuery{}, [&](const Status& status) {
      client->status = status;
      client->counters.clear();
      for (const Counter& counter : client->status.counters) {
        client->counters.push_back({bytes_of(counter.name), counter.value});
      }
      lock_status_info all{};
      all.size = info->size;
      fill(all, client->status);
      all.counters = client->counters.data();
      all.counters_len = client->counters.size();
      std::memcpy(info, &all, std::min(info->size, sizeof all));
      return 0;
    });
  });
}

int lock_members(lock_client* client, lock_member_fn* callback, void* arg) {
  return liblock::guarded(client, [&] {
    if (callback == nullptr) return int{LOCK_ERROR_INVALID};
    return ask<Members>(client, MembersQuery{}, [&](const Members& members) {
      for (const Member& from : members.members) {
        lock_member member{};
        member.node = base::value(from.node);
        member.incarnation = from.incarnation;
        member.votes = from.votes;
        member.witness = from.witness;
        member.self = from.self;
        member.state = static_cast<lock_member_state>(from.state);
        member.address = bytes_of(from.address);
        if (const int stop = callback(&member, arg)) return stop;
      }
      return 0;
    });
  });
}

int lock_ring_status(lock_client* client, lock_ring_info* info) {
  return liblock::guarded(client, [&] {
    if (info == nullptr) return int{LOCK_ERROR_INVALID};
    return ask<RingStatus>(client, RingStatusQuery{}, [&](const RingStatus& status) {
      client->peers.clear();
      for (const RingPeer& peer : status.peers) client->peers.push_back(peer_of(peer));
      lock_ring_info all{};
      all.size = info->size;
      fill(all, status);
      all.peers = client->peers.data();
      all.peers_len = client->peers.size();
      std::memcpy(info, &all, std::min(info->size, sizeof all));
      return 0;
    });
  });
}

int lock_ring_log(lock_client* client, uint64_t since, lock_ring_log_fn* callback, void* arg) {
  return liblock::guarded(client, [&] {
    return callback == nullptr ? int{LOCK_ERROR_INVALID}
                               : ring_log(client, RingLogQuery{0, since}, callback, arg);
  });
}

int lock_why(lock_client* client, std::uint32_t back, lock_why_info* info) {
  return liblock::guarded(client, [&] {
    if (info == nullptr) return int{LOCK_ERROR_INVALID};
    return ask<Why>(client, WhyQuery{0, back}, [&](const Why& answer) {
      client->why = answer;
      const Why& why = client->why;
      client->nodes.clear();
      for (NodeId node : why.members) client->nodes.push_back(base::value(node));
      client->changes.clear();
      for (const WhyMember& change : why.changes) {
        client->changes.push_back({base::value(change.processor.node),
                                   base::value(change.processor.incarnation), change.came,
                                   bytes_of(change.why)});
      }
      lock_why_info all{};
      all.size = info->size;
      all.changed = why.changed;
      all.ring_sequence = why.ring.sequence;
      all.ring_representative = base::value(why.ring.representative);
      all.ring_nonce = why.ring.nonce;
      all.ago_ns = nanoseconds(why.ago);
      all.took_ns = nanoseconds(why.took);
      all.trigger = bytes_of(why.trigger);
      all.nodes = client->nodes.data();
      all.nodes_len = client->nodes.size();
      all.changes = client->changes.data();
      all.changes_len = client->changes.size();
      std::memcpy(info, &all, std::min(info->size, sizeof all));
      return 0;
    });
  });
}

int lock_past_deadlock(lock_client* client, uint32_t back, uint64_t* session, uint64_t* request,
                       lock_deadlock_step* steps, size_t count) {
  return liblock::guarded(client, [&] {
    return ask<DeadlockAnswer>(client, DeadlockQuery{0, back}, [&](const DeadlockAnswer& answer) {
      if (!answer.found) return int{LOCK_ERROR_NOT_FOUND};
      if (session != nullptr) *session = base::value(answer.victim);
      if (request != nullptr) *request = base::value(answer.request);
      return liblock::copy_steps(answer.steps, steps, count);
    });
  });
}

int lock_lockspaces(lock_client* client, lock_lockspaces_fn* callback, void* arg) {
  return liblock::guarded(client, [&] {
    return callback == nullptr ? int{LOCK_ERROR_INVALID}
                               : lockspaces(client, LockspacesQuery{}, callback, arg);
  });
}

}  // extern "C"
