// What a watcher asks for, and what he is told of it (liblock/protocol/messages.h): what happens to
// the table of the daemon that was asked, in the order in which it happens there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "liblock/protocol/lock_messages.h"
#include "liblock/protocol/terms.h"

namespace liblock::protocol {

// What there is to hear of: bits of Watch::events.
using WatchEvents = std::uint32_t;

enum class WatchedEvent : std::uint8_t {
  granted = 0,
  converted = 1,
  waits = 2,
  cancelled = 3,  // A wait has ended otherwise than by a grant.
  denied = 4,     // At once, or not asked in vain.
  released = 5,
  deadlock = 6,
  session = 7,
  lockspace = 8,
  configuration = 9,
  quorum = 10,
};
constexpr WatchedEvent kLastWatchedEvent = WatchedEvent::quorum;
constexpr WatchEvents kAllWatchEvents = (1u << 11) - 1;

constexpr WatchEvents bit_of(WatchedEvent event) {
  return WatchEvents{1} << static_cast<unsigned>(event);
}

// Begins the stream of this connection, in place of one that it had; ends it without any events.
// The stream begins with WatchGap and, if it is asked for, how the quorum stands. Names narrow what
// is told of locks and lockspaces, and nothing else.
struct Watch {
  std::uint32_t query = 0;
  WatchEvents events = kAllWatchEvents;
  std::string lockspace;  // Empty: all.
  std::string resource;   // Empty: all.
  bool prefix = false;    // All that begin so.

  friend bool operator==(const Watch&, const Watch&) = default;
};

// From here on it is told what happens, after all or after a hole: not told was what had happened
// before, or what came while the watcher did not read.
struct WatchGap {
  std::uint32_t query = 0;
  bool resync = false;     // How much is not known: look at the table.
  std::uint64_t lost = 0;  // Else so many events.

  friend bool operator==(const WatchGap&, const WatchGap&) = default;
};

// One of granted to released. `second`, here and below: of 1970, by the clock of the node that
// ordered it.
struct LockWatched {
  std::uint32_t query = 0;
  WatchedEvent event{};
  std::uint32_t second = 0;
  std::string lockspace;
  std::string resource;
  Mode mode{};      // Held from now on, or until now; of what holds nothing, wanted.
  Mode wants{};     // Of what waits, or did: waited for.
  Token token{};    // 0: nothing is held.
  Answer reason{};  // Of cancelled and denied, as its client is told; else as the event.
  SessionId session{};
  RequestId request{};
  NodeId node{};  // 0: the session is not known any more; nor is the rest.
  std::uint32_t pid = 0;
  std::uint32_t uid = 0;
  std::string command;

  friend bool operator==(const LockWatched&, const LockWatched&) = default;
};

// The wait of the victim was ended, since it closed this ring.
struct DeadlockWatched {
  std::uint32_t query = 0;
  std::uint32_t second = 0;
  SessionId victim{};
  RequestId request{};
  std::vector<DeadlockStep> steps;

  friend bool operator==(const DeadlockWatched&, const DeadlockWatched&) = default;
};

enum class SessionChange : std::uint8_t {
  opened = 0,
  resumed = 1,
  orphaned = 2,  // Its daemon or its connection is gone; what it holds is held until the wait ends.
  closed = 3,    // By its client, or because its process has ended.
  expired = 4,   // The wait is over.
};

struct SessionWatched {
  std::uint32_t query = 0;
  std::uint32_t second = 0;
  SessionChange change{};
  SessionId session{};
  NodeId node{};
  std::uint32_t pid = 0;
  std::uint32_t uid = 0;
  std::string command;

  friend bool operator==(const SessionWatched&, const SessionWatched&) = default;
};

// Without members: the last one has left it.
struct LockspaceWatched {
  std::uint32_t query = 0;
  std::uint32_t second = 0;
  LockspaceState state;

  friend bool operator==(const LockspaceWatched&, const LockspaceWatched&) = default;
};

// A configuration of the ring, by the clock of the daemon itself.
struct ConfigurationWatched {
  std::uint32_t query = 0;
  std::uint32_t second = 0;
  bool transitional = false;
  RingId ring;
  std::vector<NodeId> members;
  std::vector<NodeId> left;
  std::vector<NodeId> joined;

  friend bool operator==(const ConfigurationWatched&, const ConfigurationWatched&) = default;
};

// How the daemon stands.
struct QuorumWatched {
  std::uint32_t query = 0;
  std::uint32_t second = 0;
  bool primary = false;  // Locks are granted here.
  std::string state;     // As in Status.
  std::uint64_t epoch = 0;
  std::uint32_t votes = 0;
  std::uint32_t quorum = 0;

  friend bool operator==(const QuorumWatched&, const QuorumWatched&) = default;
};

}  // namespace liblock::protocol
