// What the tests of the record layer share: one cluster of three nodes and the real cryptography.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "evs/net/mbedtls_aead.h"
#include "evs/net/opener.h"
#include "evs/net/record.h"
#include "evs/net/sealer.h"

namespace sealing {

using base::NodeId;
using evs::net::ClusterKey;
using evs::net::Opener;
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
                  NodeId self = kSender)
      : sealer(aead, key, self, salt(life), first) {}

  base::Buffer seal(std::string_view text) {
    base::Buffer datagram;
    sealer.seal(base::bytes_of(text), datagram);
    return datagram;
  }

  evs::net::MbedtlsAead aead;
  Sealer sealer;
};

struct Receiver {
  Receiver() : opener(aead, cluster_key(), kReceiver, kNodes) {}

  // The text of an accepted datagram, or the name of the refusal.
  std::string open(base::Bytes datagram) {
    const auto opened = opener.open(datagram);
    if (!opened) return std::string(to_string(opened.error()));
    return base::text_of(opened->plaintext);
  }

  evs::net::MbedtlsAead aead;
  Opener opener;
};

}  // namespace sealing
