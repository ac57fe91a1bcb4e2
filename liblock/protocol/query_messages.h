// Questions about locks, members and the ring, and their answers (liblock/protocol/messages.h).
#pragma once

#include <string>
#include <vector>

#include "liblock/protocol/lock_messages.h"
#include "liblock/protocol/terms.h"

namespace liblock::protocol {

// Queries are answered from the daemon's own table, quorum or not, without a place in the order.
// `query` is chosen by the client and echoed.

// Resources whose name begins with `prefix`; an empty lockspace means all of them. `cursor` is 0 at
// first, then what the last page said. The order of resources is the daemon's own: the library does
// not sort. Answered with one ListPage.
struct List {
  std::uint32_t query = 0;
  std::string lockspace;
  std::string prefix;
  std::uint64_t cursor = 0;

  friend bool operator==(const List&, const List&) = default;
};

// Locks of one resource, leaving out the first `skip`: granted ones first, then waiting ones in
// queue order. Answered with one ShowPage.
struct Show {
  std::uint32_t query = 0;
  std::string lockspace;
  std::string resource;
  std::uint32_t skip = 0;

  friend bool operator==(const Show&, const Show&) = default;
};

// Answered with Status.
struct StatusQuery {
  std::uint32_t query = 0;

  friend bool operator==(const StatusQuery&, const StatusQuery&) = default;
};

// Answered with Members.
struct MembersQuery {
  std::uint32_t query = 0;

  friend bool operator==(const MembersQuery&, const MembersQuery&) = default;
};

// Answered with RingStatus.
struct RingStatusQuery {
  std::uint32_t query = 0;

  friend bool operator==(const RingStatusQuery&, const RingStatusQuery&) = default;
};

// What happened to the ring of late, with numbers above `since`. Answered with one RingLogPage.
struct RingLogQuery {
  std::uint32_t query = 0;
  std::uint64_t since = 0;

  friend bool operator==(const RingLogQuery&, const RingLogQuery&) = default;
};

// Answered with Why.
struct WhyQuery {
  std::uint32_t query = 0;
  std::uint32_t back = 0;  // 0: the last change, 1: the one before, and so on.

  friend bool operator==(const WhyQuery&, const WhyQuery&) = default;
};

// Which deadlocks this daemon has seen ended. Answered with DeadlockAnswer.
struct DeadlockQuery {
  std::uint32_t query = 0;
  std::uint32_t back = 0;  // 0: the last one, 1: the one before, and so on.

  friend bool operator==(const DeadlockQuery&, const DeadlockQuery&) = default;
};

// The lockspaces that nodes have joined, in the order of their names, after `after`. Answered with
// LockspacesPage.
struct LockspacesQuery {
  std::uint32_t query = 0;
  std::string after;

  friend bool operator==(const LockspacesQuery&, const LockspacesQuery&) = default;
};

// ---- Answers ----

struct ListItem {
  std::string lockspace;
  std::string resource;
  std::uint32_t granted = 0;
  std::uint32_t waiting = 0;
  Mode mode = Mode::nl;  // The strongest granted one.
  Token token{};         // Of the first granted lock, as are node and command.
  NodeId node{};
  bool orphaned = false;
  std::string command;

  friend bool operator==(const ListItem&, const ListItem&) = default;
};

// May be empty although there is more.
struct ListPage {
  std::uint32_t query = 0;
  bool stale = false;  // The daemon is not in an active primary component: what it knew last.
  bool more = false;   // Ask again with `cursor`.
  std::uint64_t cursor = 0;
  std::vector<ListItem> items;

  friend bool operator==(const ListPage&, const ListPage&) = default;
};

struct ShowLock {
  bool granted = false;
  bool waiting = false;   // Both: it converts.
  Mode mode = Mode::nl;   // Held, or waited for by one that holds nothing.
  Mode wants = Mode::nl;  // Waited for.
  Token token{};
  LockFlags flags = 0;
  std::uint32_t position =
      0;  // Of a waiting one in its queue, from 1: of conversions, or of requests.
  std::uint32_t since = 0;  // In seconds of 1970, by the clock of the node that ordered it.
  std::uint64_t owner = 0;
  bool orphan = false;  // Its process has ended; it was persistent, and waits to be adopted.
  SessionId session{};
  RequestId request{};
  NodeId node{};          // Where the session is, or was, attached.
  bool orphaned = false;  // That node is gone or the client is, and the wait has not ended.
  std::uint32_t pid = 0;  // 0: unknown.
  std::uint32_t uid = 0;
  std::string command;

  friend bool operator==(const ShowLock&, const ShowLock&) = default;
};

// No locks at all: the resource is free.
struct ShowPage {
  std::uint32_t query = 0;
  bool stale = false;
  bool more = false;
  bool has_value = false;      // The value block was written, or marked.
  bool value_invalid = false;  // The last writer did not finish.
  ValueBlock value{};
  std::vector<ShowLock> locks;

  friend bool operator==(const ShowPage&, const ShowPage&) = default;
};

struct Counter {
  std::string name;  // lower_case words, e.g. "digests_compared".
  std::uint64_t value = 0;

  friend bool operator==(const Counter&, const Counter&) = default;
};

struct Status {
  std::uint32_t query = 0;
  NodeId node{};
  std::string cluster;   // The cluster's id, as text.
  std::string daemon;    // Version of the daemon, as text.
  std::string state;     // One word: "active", "inactive", "loading", "cold", "gathering", ...
  bool primary = false;  // In an active primary component, with a table.
  bool voter = false;    // False: an amnesiac, or cannot write its record.
  std::uint64_t epoch = 0;
  RingId ring;
  std::uint32_t votes = 0;  // Present, needed for a quorum, configured.
  std::uint32_t quorum = 0;
  std::uint32_t votes_configured = 0;
  std::uint32_t holders = 0;  // Members that hold the whole table.
  Duration lease{0};
  std::uint64_t sessions = 0;
  std::uint64_t resources = 0;
  std::uint64_t locks = 0;
  std::uint64_t waiting = 0;
  std::uint64_t orphaned = 0;  // Sessions.
  std::vector<Counter> counters;

  friend bool operator==(const Status&, const Status&) = default;
};

enum class MemberState : std::uint8_t { absent = 0, member = 1, loading = 2, active = 3 };

struct Member {
  NodeId node{};
  std::uint64_t incarnation = 0;  // 0: not known.
  std::uint32_t votes = 0;
  bool witness = false;
  bool self = false;
  MemberState state = MemberState::absent;
  std::string address;

  friend bool operator==(const Member&, const Member&) = default;
};

// Every configured node, in the order of their ids.
struct Members {
  std::uint32_t query = 0;
  RingId ring;
  std::vector<Member> members;

  friend bool operator==(const Members&, const Members&) = default;
};

enum class RingState : std::uint8_t {
  operational = 0,
  gather = 1,
  commit = 2,
  recovery = 3,
  left = 4
};

// One configured node, as the ring member of the daemon sees it.
struct RingPeer {
  NodeId node{};
  std::uint64_t incarnation = 0;  // 0: not a member.
  bool self = false;
  bool barred = false;             // Not heard for a while: it broke rings in vain.
  std::uint64_t acknowledged = 0;  // A member is known to have all packets up to here.
  bool heard = false;              // Something of it has come, so long ago:
  Duration heard_ago{0};
  std::uint16_t key = 0;  // It was last heard to seal with this one; 0: not heard.

  friend bool operator==(const RingPeer&, const RingPeer&) = default;
};

// What is meant in detail: evs/node_status.h. Numbers are places in the order of the ring.
struct RingStatus {
  std::uint32_t query = 0;
  RingState state = RingState::operational;
  RingId ring;  // The regular configuration last installed.
  Duration rotation{0};
  Duration rotation_average{0};
  Duration rotation_longest{0};
  std::uint64_t highest = 0;
  std::uint64_t received = 0;
  std::uint64_t stable = 0;
  std::uint64_t delivered = 0;
  std::uint64_t stored = 0;
  std::uint64_t waiting_messages = 0;  // For a number.
  std::uint64_t waiting_bytes = 0;
  std::uint64_t waiting_bytes_max = 0;
  std::uint64_t waiting_datagrams = 0;  // For the socket.
  std::uint32_t personal_window = 0;    // Packets, as evs/windows.h has them now.
  std::uint32_t rotation_window = 0;
  std::uint32_t accelerated_window = 0;
  std::uint32_t outstanding_max = 0;
  std::vector<RingPeer> peers;  // Every configured node, in the order of their ids.

  friend bool operator==(const RingStatus&, const RingStatus&) = default;
};

// A record of the ring member's flight recorder (evs/flight_recorder.h).
struct RingEvent {
  std::uint64_t number = 0;  // 1, 2, 3, ... since the daemon started.
  Duration ago{0};           // When it came first, counted from the answer,
  Duration lasted{0};        // and how long it came again, so many
  std::uint32_t times = 1;   // times.
  std::string event;         // A word.
  RingId ring;
  NodeId node{};  // Whom it is about; 0: nobody.
  std::string text;

  friend bool operator==(const RingEvent&, const RingEvent&) = default;
};

// Oldest first.
struct RingLogPage {
  std::uint32_t query = 0;
  bool more = false;  // Ask again with the last number.
  std::vector<RingEvent> events;

  friend bool operator==(const RingLogPage&, const RingLogPage&) = default;
};

// A member that left or came; one that did both stands twice.
struct WhyMember {
  Processor processor;
  bool came = false;
  std::string why;

  friend bool operator==(const WhyMember&, const WhyMember&) = default;
};

// Why the configuration changed, as far as the daemon knows (evs/explanation.h).
struct Why {
  std::uint32_t query = 0;
  bool changed = false;  // Else there is no such change, and the rest says nothing.
  RingId ring;
  Duration ago{0};      // When it was installed.
  Duration took{0};     // From the end of the one before; 0: not known.
  std::string trigger;  // What ended the one before.
  std::vector<NodeId> members;
  std::vector<WhyMember> changes;  // Those who left come first.

  friend bool operator==(const Why&, const Why&) = default;
};

struct DeadlockAnswer {
  std::uint32_t query = 0;
  bool found = false;  // Else there is no such, and the rest says nothing.
  SessionId victim{};
  RequestId request{};  // The acquire or conversion that came to nothing.
  std::vector<DeadlockStep> steps;

  friend bool operator==(const DeadlockAnswer&, const DeadlockAnswer&) = default;
};

struct LockspaceItem {
  LockspaceState state;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint16_t permissions = 0;

  friend bool operator==(const LockspaceItem&, const LockspaceItem&) = default;
};

struct LockspacesPage {
  std::uint32_t query = 0;
  bool stale = false;
  bool more = false;  // Ask again with the last name.
  std::vector<LockspaceItem> items;

  friend bool operator==(const LockspacesPage&, const LockspacesPage&) = default;
};

}  // namespace liblock::protocol
