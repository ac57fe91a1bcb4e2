// What the tests of the record layer share: one cluster of three nodes and the real cryptography.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "evs/net/handshake.h"
#include "evs/net/mbedtls_aead.h"
#include "evs/net/opener.h"
#include "evs/net/record.h"
#include "evs/net/sealer.h"

namespace sealing {

using base::NodeId;
using evs::net::Cipher;
using evs::net::ClusterKey;
using evs::net::Handshake;
using evs::net::Opener;
using evs::net::RecordType;
using evs::net::Refusal;
using evs::net::Salt;
using evs::net::Sealer;

constexpr NodeId kSender{3};
constexpr NodeId kReceiver{5};
constexpr std::array kNodes{kSender, kReceiver, NodeId{9}};

inline ClusterKey cluster_key() {
  ClusterKey key;
  for (std::size_t i = 0; i < evs::net::kKeyBytes; ++i) key.master.bytes()[i] = std::byte(i);
  key.id = evs::net::KeyId{0x0102};
  for (std::size_t i = 0; i < key.cluster.size(); ++i) key.cluster[i] = std::byte(0xc0 + i);
  return key;
}

// Salts are random in life; here they are numbered.
inline Salt salt(std::uint32_t life) {
  Salt s;
  for (std::size_t i = 0; i < s.size(); ++i) s[i] = std::byte(0xa0 + i);
  for (std::size_t i = 0; i < 4; ++i) s[i] ^= std::byte((life >> (8 * i)) & 0xff);
  return s;
}

struct Sender {
  explicit Sender(std::uint32_t life = 0, std::uint64_t first = 1, ClusterKey key = cluster_key(),
                  NodeId self = kSender, Cipher cipher = Cipher::chacha20_poly1305)
      : aead(cipher), sealer(aead, key, self, salt(life), first) {}

  base::Buffer seal(std::string_view text, RecordType type = RecordType::ring) {
    return seal(base::bytes_of(text), type);
  }
  base::Buffer seal(base::Bytes text, RecordType type) {
    base::Buffer datagram;
    sealer.seal(type, text, datagram);
    return datagram;
  }

  base::Buffer answer(Handshake challenge) {
    challenge.to = kReceiver;
    return seal(encode(challenge), RecordType::answer);
  }

  evs::net::MbedtlsAead aead;
  Sealer sealer;
};

struct Receiver {
  explicit Receiver(std::uint32_t life = 0x10000, Cipher cipher = Cipher::chacha20_poly1305)
      : aead(cipher), opener(aead, cluster_key(), kReceiver, salt(life), kNodes) {}

  // The text that an accepted datagram brings, "-" if it brings none, or the name of the refusal.
  std::string open(base::Bytes datagram) {
    const auto opened = opener.open(now, datagram);
    if (!opened) return std::string(to_string(opened.error()));
    if (!*opened) return "-";
    return base::text_of((*opened)->plaintext);
  }

  // What the last open() wants sent of this type.
  std::optional<Handshake> to_send(RecordType type) const {
    for (const auto& record : opener.to_send()) {
      if (record.type == type) return evs::net::decode_handshake(record.text);
    }
    return std::nullopt;
  }

  // The life proves to be alive, with what it says as its first words. Answers what these bring.
  std::string prove(Sender& sender, std::string_view first = "") {
    now = now + 2 * evs::net::Peer::kHandshakePause;
    if (open(sender.seal(first)) != "unproved") return "not unproved";
    const auto challenge = to_send(RecordType::challenge);
    return challenge ? open(sender.answer(*challenge)) : "not challenged";
  }

  evs::net::MbedtlsAead aead;
  Opener opener;
  base::Instant now;
};

}  // namespace sealing
