// The form of a sealed datagram: its header, its keys and the reasons to refuse it. Sealing is
// sealer.h, opening is opener.h; the grammar is docs/wire.md, "Record layer".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "evs/net/aead.h"
#include "evs/net/secret.h"

namespace evs::net {

constexpr std::uint8_t kRecordVersion = 1;

// What the text is: a message of the ring, or one of the handshake (handshake.h).
enum class RecordType : std::uint8_t { ring = 1, challenge = 2, answer = 3 };

constexpr std::size_t kHeaderBytes = 1 + 1 + 2 + 4 + 16 + 8;
constexpr std::size_t kSealBytes = kHeaderBytes + kTagBytes;
static_assert(kSealBytes == 48);

// What a UDP datagram of IPv4 can hold, and what fits into it.
constexpr std::size_t kDatagramBytesMax = 65507;
constexpr std::size_t kPlaintextBytesMax = kDatagramBytesMax - kSealBytes;

// A key serves 2^24 datagrams, then the next one is derived.
constexpr int kSubKeyBits = 24;

// Names one key of a cluster, so that a later one can be told from it during a change of keys.
enum class KeyId : std::uint16_t {};

// A cluster's identity: a UUID, fixed when the cluster is made. Datagrams of another cluster do not
// open.
using ClusterId = std::array<std::byte, 16>;

// One life of a sender: drawn at its start from the operating system's generator, so that its keys
// are new ones and its counter can begin again.
using Salt = std::array<std::byte, 16>;

struct ClusterKey {
  Secret master;
  KeyId id{1};
  ClusterId cluster{};
};

struct RecordHeader {
  Cipher cipher = Cipher::chacha20_poly1305;
  RecordType type = RecordType::ring;
  KeyId key_id{};
  base::NodeId sender{};
  Salt salt{};
  std::uint64_t counter = 0;  // 1, 2, 3, ... in each life of the sender.

  friend bool operator==(const RecordHeader&, const RecordHeader&) = default;
};

// Why a datagram was dropped. Only a challenge is ever answered.
enum class Refusal : std::uint8_t {
  too_short,       // No room for a header and a tag.
  wrong_version,   // Not a datagram of this protocol, or of a version that we do not speak.
  wrong_type,      // A kind of datagram that we do not know.
  wrong_cipher,    // Sealed with another cipher than this node is configured to use.
  wrong_key_id,    // Sealed with a key that we do not have.
  unknown_sender,  // Not one of the configured nodes.
  own,             // Ours: it came back by multicast, or somebody plays it back.
  replayed,        // Accepted before, or too old to tell.
  unproved,        // Of a life of the sender that has not proved to be alive (peer.h).
  stray,           // A handshake's record of another form, or for another node.
  forged,          // The tag does not fit: another key, another cluster, or changed on the way.
};
constexpr std::size_t kRefusals = 11;

std::string_view to_string(Refusal refusal);

// Appends kHeaderBytes.
void encode(const RecordHeader& header, base::Buffer& out);

// Looks at a whole datagram; what it says is not authenticated.
base::Result<RecordHeader, Refusal> decode_header(base::Bytes datagram);

// The key under which the datagram with this header is sealed, and its nonce.
Secret derive_key(Aead& aead, const ClusterKey& cluster_key, const RecordHeader& header);
Nonce nonce_of(const RecordHeader& header);
constexpr std::uint64_t sub_key_of(std::uint64_t counter) {
  return counter >> kSubKeyBits;
}

}  // namespace evs::net
