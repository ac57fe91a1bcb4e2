// What a client and its daemon say to each other over the Unix socket, as plain structs. How they
// look as bytes is codec.h and docs/wire.md; what they mean for a session is docs/locks.md and
// rules 6.20-6.23.
//
// Time: no absolute time crosses the socket. A request carries the client's Stamp, read BEFORE it
// is sent. A response with a `remaining` duration echoes in `echo` the newest stamp that the daemon
// had received when it read its own clock; the client may rely on its locks until echo + remaining,
// never longer.
//
// Retries: a client sends what has no final answer again after a reconnect, under the same request
// id. Ids grow by one for the whole life of the client process, across its sessions too (a new
// session does not begin at 1). Each request carries `acknowledged`: every id up to it has been
// answered and will not be sent again, with one exception: an acquire or conversion answered
// `queued` counts as answered. When such a one is repeated, the answer comes from the lock table
// (granted: `granted` again; waiting: `queued` again; neither: `stale`).
// `arrived` counts as answered, too; the outcome is confirmed by a message of its own.
//
// The messages that carry the work are in lock_messages.h, barrier_messages.h, query_messages.h,
// watch_messages.h and evs_messages.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "liblock/protocol/barrier_messages.h"
#include "liblock/protocol/evs_messages.h"
#include "liblock/protocol/lock_messages.h"
#include "liblock/protocol/query_messages.h"
#include "liblock/protocol/terms.h"
#include "liblock/protocol/watch_messages.h"

namespace liblock::protocol {

using Secret = std::array<std::byte, 16>;

// One life of a client process: random, kept in memory only. Who repeats it is the same process
// [rule 6.20].
using Instance = std::array<std::byte, 16>;

// ---- Client to daemon ----

struct Resume {
  SessionId session{};
  Secret secret{};
  std::uint64_t generation = 0;  // The newest attach generation that this client was told.

  friend bool operator==(const Resume&, const Resume&) = default;
};

enum class HelloKind : std::uint8_t {
  query = 0,   // No session: queries only. Answered at once, quorum or not.
  open = 1,    // A new session. Answered when the session is in the order.
  resume = 2,  // The session named by `resume`, with all that it holds and waits for.
  evs = 3,  // No session: an instance of the group communication. Answered at once, quorum or not.
};

// The first request of a connection, once. Of a version that is not kVersion nothing else is
// decoded, so that it can be refused in words.
struct Hello {
  std::uint16_t version = kVersion;
  HelloKind kind = HelloKind::query;
  Instance instance{};
  std::string command;  // For people: what holds the lock.
  Stamp stamp;
  Resume resume;  // Meaningful and on the wire only when kind == resume.

  friend bool operator==(const Hello&, const Hello&) = default;
};

// Answered with State at once.
struct Keepalive {
  RequestId acknowledged{};
  Stamp stamp;

  friend bool operator==(const Keepalive&, const Keepalive&) = default;
};

// Ends the session and releases all it holds. The daemon closes the connection when that is in the
// order. End of file without Close means the same, since on this socket it means that the process
// is gone.
struct Close {
  friend bool operator==(const Close&, const Close&) = default;
};

using Request =
    std::variant<Hello, Acquire, Release, Cancel, Keepalive, Close, List, Show, StatusQuery,
                 MembersQuery, EvsJoin, EvsLeave, EvsMulticast, RingStatusQuery, RingLogQuery,
                 WhyQuery, AcquireAll, Convert, DropOrphans, JoinLockspace, LeaveLockspace,
                 DeadlockQuery, LockspacesQuery, Watch, BarrierCreate, BarrierChange, BarrierArrive,
                 BarrierLeave, BarrierWithdraw, BarrierCancel, BarrierDelete, BarrierConfirm,
                 BarrierMore, BarriersQuery>;

// ---- Daemon to client ----

// Answer to Hello. For a query connection session and secret are zero.
struct Welcome {
  std::uint16_t version = kVersion;
  NodeId node{};
  bool resumed = false;
  SessionId session{};
  Secret secret{};
  std::uint64_t generation = 0;
  Duration lease{0};  // The longest lease that this daemon will promise; keep-alives go out at a
                      // quarter of it.
  bool primary = false;
  LeaseNote note;

  friend bool operator==(const Welcome&, const Welcome&) = default;
};

enum class Refusal : std::uint8_t {
  version = 1,       // The daemon does not speak this version.
  malformed = 2,     // A frame that makes no sense; the connection is closed.
  session_lost = 3,  // RESUME of a session that has ended, is unknown, or has another secret.
  limit = 4,         // Too many sessions or connections of this user, requests in flight, ...
  not_permitted = 5,
  no_clients = 6,  // A witness, or a daemon that is shutting down: try another one.
  too_slow = 7,    // An EVS instance that did not read; what was sent before is complete.
};

// The daemon will not go on with this connection and closes it.
struct Refused {
  Refusal error = Refusal::malformed;
  std::string advice;  // What to do, for people.

  friend bool operator==(const Refused&, const Refused&) = default;
};

// Answer to Keepalive, and unasked when `primary` or the generation changes, or the lease comes
// back; also before Welcome, so that a client whose Hello has to wait for a quorum hears why.
struct State {
  bool primary = false;
  std::uint64_t generation = 0;
  LeaseNote note;

  friend bool operator==(const State&, const State&) = default;
};

enum class LostReason : std::uint8_t {
  expired = 1,     // The lease ran out and the session was ended by the order.
  table_lost = 2,  // Cold start: nobody holds the table any more.
  shutdown = 3,    // The daemon leaves. What was held is held until the deadline.
};

// The session has ended; nothing it held is held. With shutdown the library goes on trying to
// resume.
struct Lost {
  LostReason reason = LostReason::expired;

  friend bool operator==(const Lost&, const Lost&) = default;
};

using Response =
    std::variant<Welcome, Refused, Reply, State, Lost, ListPage, ShowPage, Status, Members,
                 EvsWelcome, EvsDone, EvsCredit, EvsDelivery, EvsConfiguration, RingStatus,
                 RingLogPage, Why, Blocks, Deadlock, LockspaceState, DeadlockAnswer, LockspacesPage,
                 WatchGap, LockWatched, DeadlockWatched, SessionWatched, LockspaceWatched,
                 ConfigurationWatched, QuorumWatched, BarrierOutcome, BarriersPage>;

}  // namespace liblock::protocol
