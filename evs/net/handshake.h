// The text of the two records by which a life of a node proves that it is alive: a challenge, and
// the answer, which repeats it. Who challenges when is peer.h, what is made of an answer opener.h;
// the grammar is docs/wire.md, "Handshake".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/ids.h"
#include "evs/net/record.h"

namespace evs::net {

constexpr std::size_t kHandshakeBytes = 4 + 16 + 8;

struct Handshake {
  base::NodeId to{};         // For whom the record is; it may reach others.
  Salt challenger{};         // The life that challenges: no other life has to do with the answer.
  std::uint64_t number = 0;  // Of the challenge, among those of that life to the node challenged.

  friend bool operator==(const Handshake&, const Handshake&) = default;
};

using HandshakeText = std::array<std::byte, kHandshakeBytes>;

HandshakeText encode(const Handshake& handshake);

// None if these bytes are not the text of a challenge or an answer.
std::optional<Handshake> decode_handshake(base::Bytes text);

}  // namespace evs::net
