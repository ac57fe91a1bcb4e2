// The receiving side of the record layer: tells which configured node a datagram is from and what
// it holds, or why it was dropped; and says which records the handshake wants sent. Pure; its
// memory is bounded by the number of nodes and by peer.h.
//
// What it promises: all that it accepts was sealed by a holder of the cluster's key in that node's
// name; no datagram is accepted twice while this opener lives; and nothing is accepted of a life of
// a sender that has not answered a challenge which this opener made while no further life was
// proved. So recordings of lives that are over mean nothing, neither to us nor to our next life.
// All who hold the key are trusted not to speak in each other's name.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "evs/net/aead.h"
#include "evs/net/handshake.h"
#include "evs/net/keyring.h"
#include "evs/net/peer.h"
#include "evs/net/record.h"

namespace evs::net {

// A ring message. It may be one that came earlier than the datagram just opened, and had to wait
// for its sender's proof.
struct Opened {
  RecordHeader header;
  base::Bytes plaintext;  // Until the next open().

  base::NodeId sender() const { return header.sender; }
};

// A record of the handshake, to be sealed and sent.
struct HandshakeRecord {
  base::NodeId to{};
  RecordType type{};
  HandshakeText text{};
};

class Opener {
 public:
  // `aead` outlives the opener. `nodes` are the configured nodes; `self` is left out. `salt` is the
  // one that this life seals with.
  Opener(Aead& aead, const Keyring& keys, base::NodeId self, const Salt& salt,
         std::span<const base::NodeId> nodes);

  // From now on these keys open, and no others. What was proved and accepted stays so.
  void use(const Keyring& keys);

  // The datagram is accepted, and brings a ring message or, if it is of the handshake, perhaps
  // none; or it is refused.
  base::Result<std::optional<Opened>, Refusal> open(base::Instant now, base::Bytes datagram);

  // Challenges all nodes, proved or not. Each then hears which key we seal with, and its answer
  // says the same of it, even if the ring has nothing to send from one to the other for long.
  void challenge_all(base::Instant now);

  // What is to be sent because of the last open(), whatever it answered, which is two at most; or
  // because of challenge_all().
  std::span<const HandshakeRecord> to_send() const { return to_send_; }

  // Which key the last datagram of this node's proved life was sealed with; none without such a
  // life.
  std::optional<KeyId> key_of(base::NodeId node) const;

  std::uint64_t opened() const { return opened_; }
  std::uint64_t refused(Refusal why) const { return refused_[static_cast<std::size_t>(why)]; }

 private:
  base::Result<std::optional<Opened>, Refusal> try_open(base::Instant now, base::Bytes datagram);
  base::Result<std::optional<Opened>, Refusal> of_proved(const RecordHeader& header, Peer& peer,
                                                         const Secret& key, base::Instant now);
  base::Result<std::optional<Opened>, Refusal> of_unproved(const RecordHeader& header, Peer& peer,
                                                           const Secret& key, base::Instant now);
  bool is_answer_to_us(const std::optional<Handshake>& handshake) const;
  void answer(base::NodeId to, const Handshake& challenge);
  void challenge(base::NodeId to, Peer& peer, base::Instant now);
  void send(base::NodeId to, RecordType type, const Handshake& handshake);

  Aead& aead_;
  Keyring keys_;
  base::NodeId self_;
  Salt salt_;
  std::map<base::NodeId, Peer> peers_;
  base::Buffer plaintext_;
  std::optional<Peer::Held> held_;  // The ring message just brought, if it had waited.
  std::vector<HandshakeRecord> to_send_;
  std::uint64_t opened_ = 0;
  std::array<std::uint64_t, kRefusals> refused_{};
};

}  // namespace evs::net
