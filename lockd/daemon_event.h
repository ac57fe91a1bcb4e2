// What happens in a daemon that people should read of, as values; lockd/event_log.h writes them.
// Nothing here is emitted for a single lock or request: those are counted.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/ids.h"
#include "evs/event.h"
#include "lockd/client_connection.h"
#include "lockd/replica.h"

namespace lockd {

// A new client was turned away, with this advice.
struct ClientRefused {
  Peer peer;
  std::string advice;
};

// The daemon hung up on a client. Its session, if it has one, is abandoned: it can be resumed for a
// while.
struct ClientDropped {
  Peer peer;
  std::string_view why;
  std::optional<base::SessionId> session;
};

// A session has ended without its client's will.
struct SessionLost {
  base::SessionId session{};
  std::uint32_t uid = 0;
  std::string_view why;
};

struct ConfigurationChanged {
  evs::ConfigurationChange change;
};

struct PhaseChanged {
  ReplicaPhase from{};
  ReplicaStatus to;
};

struct DaemonStopping {
  std::size_t sessions = 0;
};

// The daemon must stop at once.
struct DaemonFailed {
  std::string reason;
};

// More happened than was read.
struct EventsDropped {
  std::uint64_t count = 0;
};

using DaemonEvent = std::variant<ClientRefused, ClientDropped, SessionLost, ConfigurationChanged,
                                 PhaseChanged, DaemonStopping, DaemonFailed, EventsDropped>;

}  // namespace lockd
