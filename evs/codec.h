// Bytes of the ring's messages, as docs/wire.md has them. Decoding trusts nothing but the sender's
// identity: every count is bounded before use and the length must be exact.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "evs/message.h"

namespace evs {

constexpr std::uint8_t kWireVersion = 1;

Buffer encode(const Message& message);

// The same for the message that there is most of, without a copy of its payload.
Buffer encode(const PacketMessage& packet);

// None if the bytes are no message of this version.
std::optional<Message> decode(base::Bytes bytes);

// The kinds of messages, and of which kind these bytes are if they are one.
enum class MessageKind : std::uint8_t {
  token = 1,
  token_receipt = 2,
  wake = 3,
  packet = 4,
  join = 5,
  commit = 6,
  presence = 7,
  acknowledgement = 8,
};
MessageKind kind_of(base::Bytes message);

// A packet of an old ring as the payload of an exchange packet: all but the leading version and
// type.
Buffer encode_exchange(const PacketMessage& old_packet);
std::optional<PacketMessage> decode_exchange(base::Bytes bytes);

// What a packet costs on the wire besides its payload, alone and when exchanged.
constexpr std::size_t kPacketHeaderBytes = 2 + 20 + 8 + 1 + 1;
constexpr std::size_t kExchangeHeaderBytes = 20 + 8 + 1 + 1;

}  // namespace evs
