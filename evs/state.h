// The four states of a ring member, each with what has a meaning in it alone. What outlives a state
// is in evs/member.h; the transitions are docs/protocol.md's.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "evs/event.h"
#include "evs/node_status.h"
#include "evs/ring.h"

namespace evs {

using base::Duration;

// A point of time on the boot clock.
using Deadline = std::optional<Duration>;

// The token's way through one member: what it last accepted and last passed on. A retransmission is
// the same bytes, and is never stamped again [rules 2, 6.1].
struct TokenPass {
  std::uint64_t accepted_hop = 0;
  std::uint64_t passed_hop = 0;
  Sequence passed_sequence = 0;  // The highest number on the token passed on.
  Buffer passed;
  Instant passed_at;    // Read before it was first sent.
  Duration patience{};  // Before it is sent again, if that is more than token_retransmit.
  Deadline retransmit_at;
  Deadline lost_at;
  std::uint32_t packets_sent = 0;  // At the last visit; for flow control.
  std::uint32_t times_again = 0;   // The token passed on was sent again so often.
};

// A member's acknowledgement as last seen, and since when it has not moved while there was more to
// acknowledge.
struct Progress {
  Sequence acknowledged = 0;
  Duration since{};
  bool told = false;  // That it stands still.
};

// What a member may still send in this visit.
struct Allowance {
  std::uint32_t packets = 0;  // In all.
  std::uint32_t numbers = 0;  // Of those, with new numbers.

  bool may_number() const { return packets > 0 && numbers > 0; }
  void numbered() {
    --packets;
    --numbers;
  }
};

// The ring is whole: the token turns, messages are numbered and delivered. Ended by the loss of the
// token, by somebody who is not in the ring, by a member that fails to receive, or by leaving.
struct Operational {
  TokenPass pass;

  // The token while it is here: during a visit, or while an idle ring rests.
  std::optional<TokenMessage> held;
  Deadline hold_until;
  bool woken = false;          // Somebody has work; do not hold.
  Deadline wake_at;            // Ask the holder, for the first time or again.
  bool wake_sent = false;      // It was asked, and nothing has happened since.
  std::uint8_t origin = 0;     // Of the last token seen: who may be holding it.
  Sequence idle_sequence = 0;  // At the last visit everything up to here was stable.
  bool idle = false;
  bool requests_seen = false;  // The accepted token carried requests.
  Sequence asked = 0;          // Up to here an acknowledgement outside the token is wanted.
  Sequence asking = 0;         // Up to here this member itself has asked for them.
  Deadline presence_at;
  RotationTimes rotation;

  // Packets sent again since then, for the flight recorder.
  std::uint64_t packets_again = 0;
  Duration again_since{};

  std::vector<Progress> progress;  // Of each member.
};

// Agreeing on who is there. Ended by consensus and the Commit token that follows it.
struct Gather {
  Deadline join_at;
  Deadline consensus_at;
  Deadline commit_lost_at;  // Consensus was reached; the representative should speak.

  // The attempt before, if there was one since the last install: who had agreed on it, and how many
  // tokens this member passed on in it.
  std::vector<Processor> previous;
  std::uint32_t forwarded = 0;
};

// The Commit token went by once: what I bring from the old ring is frozen [rule 8].
struct Commit {
  CommitMessage sent;  // As passed on by this member.
  Buffer passed;
  Deadline retransmit_at;
  Deadline lost_at;
};

// The new ring's token turns, but it carries only what is left of the old rings. Ended by the
// install.
struct Recovery {
  Ring ring;
  TokenPass pass;
  std::vector<Progress> progress;  // Of each member of the new ring.
  Buffer commit_passed;            // Sent again until the first token comes.
  Deadline commit_retransmit_at;

  std::vector<std::size_t> transitional;  // Indices in `ring` of those who come from my old ring.
  MemberMask deliver = 0;                 // Rule 9's D, over the members of the old ring.
  Sequence low = 0;                       // All of the transitional set hold everything up to here.
  Sequence stable = 0;                    // The highest known-stable of the transitional set (H).
  Sequence next_exchange = 0;   // Old packets below were rebroadcast, by me or by another.
  std::vector<bool> exchanged;  // Old packets, from low + 1 on, that came in this attempt.
  bool recovered = false;
  Sequence install_sequence = 0;
  bool install_overdue = false;             // Set by a planted bug only.
  std::optional<PacketStore> store_before;  // The same.
};

struct Left {};

using State = std::variant<Operational, Gather, Commit, Recovery, Left>;

}  // namespace evs
