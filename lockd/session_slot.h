// What a daemon remembers of a session it serves, beside the replicated table: who is connected,
// which requests are not answered, and until when its client was told to rely on its locks. A slot
// lives in this process only; how it changes is lockd/sessions.h, why there is one for each session
// is rule 6.7.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "barrier/barrier.h"
#include "base/ids.h"
#include "base/time.h"
#include "lockd/client_connection.h"
#include "lockd/command.h"

namespace lockd {

using base::Instant;

// The OPEN of a client that was not yet told of its session.
struct PendingOpen {
  // None if the client is gone: then the session is closed as soon as it is known.
  std::optional<ConnectionId> connection;
  Open command;
};

struct SessionSlot {
  enum class Phase : std::uint8_t {
    attached,  // The table shows it attached to this daemon with `generation`, as far as we were
               // told.
    resuming,  // A RESUME with `generation` is under way; nothing is promised meanwhile.
    closing,   // A CLOSE is under way, and nothing is promised any more.
  };

  base::SessionId id{};
  Generation generation{};
  Phase phase = Phase::attached;
  Secret secret;
  Instance instance;
  std::uint32_t uid = 0;

  // None if this daemon hung up, or the connection broke: the client may still run, and come back.
  std::optional<ConnectionId> connection;

  // The client waits for its Welcome, after an OPEN or a RESUME of its own.
  enum class Welcome : std::uint8_t { none, opened, resumed };
  Welcome welcome_due = Welcome::none;

  // How often a RESUME was tried with a generation that turned out too low.
  unsigned overtaken = 0;

  // The latest instant until which the client was ever told that it may rely on its locks.
  std::optional<Instant> promised;

  // When the client was last heard of, and whether the last look found that too long ago.
  Instant heard;
  bool silent = false;

  base::RequestId acknowledged{};

  // A request up to this number may be the repetition of one that is in the order already. Not
  // known before the first request after a RESUME.
  std::optional<base::RequestId> repeats_up_to;

  // Requests without an answer, as commands.
  std::map<base::RequestId, Command::Body> unanswered;

  // Acquires and conversions that were answered `queued`: the lock each is for, named by its
  // acquire.
  std::map<base::RequestId, base::RequestId> waiting;

  // When the patience of these ends that have one, on the boot clock.
  std::map<base::RequestId, base::Duration> patience;

  // Outcomes of barriers that it was told over this connection, and has not confirmed. Of the table
  // that is used now.
  std::set<barrier::OutcomeKey> told;

  // The client lives, and has the answers to all requests up to this one.
  void hear(Instant now, base::RequestId client_acknowledged);
};

}  // namespace lockd
