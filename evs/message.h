// The messages that ring members exchange, as plain values. Their bytes are docs/wire.md and
// evs/codec.h; what they do is docs/protocol.md, under the same names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "evs/config.h"

namespace evs {

using base::Buffer;
using base::Processor;
using base::RingId;

// A set of members of one ring: bit i is its i-th member.
using MemberMask = std::uint32_t;

// A packet's place in the total order of its ring: 1, 2, 3, ...
using Sequence = std::uint64_t;

// Requests that one token carries.
constexpr std::size_t kRequestsMax = 64;

// Processors that one Join can name: every node, and a former life of each.
constexpr std::size_t kCandidatesMax = 64;

// Turns around the ring and gives its holder the right to number packets.
struct TokenMessage {
  RingId ring;
  std::uint64_t hop =
      0;  // Grows by one per pass, so `hop mod members` names the member that passed it.
  Sequence sequence = 0;    // The highest number given out.
  std::uint8_t origin = 0;  // The member that numbered last; the only one that may hold the token.
  std::uint32_t rotation_packets = 0;  // Sent in the last rotation by all members.
  MemberMask done = 0;                 // Recovery: these have rebroadcast all they held.
  MemberMask recovered = 0;            // Recovery: these have received all that was rebroadcast.
  std::vector<Sequence> acknowledged;  // One entry per member, written by its owner only.
  std::vector<Sequence> requests;      // Packets that somebody misses.
};

// Says that a token arrived and is being held, so that it need not be sent again.
struct TokenReceiptMessage {
  RingId ring;
  std::uint64_t hop = 0;
};

// Asks the member that holds the token of an idle ring to pass it on.
struct WakeMessage {
  RingId ring;
};

// One numbered packet. Its payload is frames (evs/frame.h), or, while recovering, a packet of an
// old ring.
struct PacketMessage {
  RingId ring;
  Sequence sequence = 0;
  std::uint8_t sender = 0;  // Index among the members of the ring.
  bool safe = false;
  bool exchange = false;  // The payload is an old ring's packet, with its header.
  Buffer payload;

  // The sender has received everything up to this packet, and asks the others to say so of
  // themselves when it is true. In what is sent first only; a retransmission asks for nothing.
  bool asks = false;
};

// The sender has received everything up to `received`: its entry of the vector, outside the token.
struct AcknowledgementMessage {
  RingId ring;
  Sequence received = 0;
};

struct Candidate {
  Processor processor;
  bool failed = false;

  friend auto operator<=>(const Candidate&, const Candidate&) = default;
};

// "I think that these can form a ring, and that these have failed."
struct JoinMessage {
  Processor sender;
  std::uint64_t ring_sequence = 0;    // The highest the sender has heard of.
  bool leaving = false;               // The sender is about to leave for good.
  std::uint32_t forwarded = 0;        // Tokens it passed on in the last attempt, if that failed.
  std::vector<Candidate> candidates;  // Sorted.
  std::vector<base::NodeId> heard;    // Whom the sender hears these days. Sorted.
};

// What a member brings from the ring it was last in.
struct CommitEntry {
  RingId old_ring;
  Sequence received = 0;      // End of the gapless prefix that it holds.
  Sequence stable = 0;        // All members of the old ring are known to hold this much.
  MemberMask obligation = 0;  // Over the members of the old ring (rule 13).
  bool filled = false;

  friend bool operator==(const CommitEntry&, const CommitEntry&) = default;
};

// Passes twice over the members of the ring to be: once to collect, once to tell.
struct CommitMessage {
  RingId ring;
  std::uint32_t hop = 0;           // Passes so far; `hop mod members` is the one it is sent to.
  std::vector<Processor> members;  // Sorted.
  std::vector<CommitEntry> entries;
};

// Tells the nodes outside a ring that it exists, so that rings merge.
struct PresenceMessage {
  Processor sender;
  RingId ring;
  std::vector<base::NodeId> heard;  // As in a Join.
};

using Message = std::variant<TokenMessage, TokenReceiptMessage, WakeMessage, PacketMessage,
                             JoinMessage, CommitMessage, PresenceMessage, AcknowledgementMessage>;

}  // namespace evs
