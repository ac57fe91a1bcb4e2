#include "evs/net/handshake.h"

#include <algorithm>

namespace evs::net {

HandshakeText encode(const Handshake& handshake) {
  base::Buffer out;
  base::ByteWriter writer(out);
  writer.node(handshake.to);
  writer.bytes(handshake.challenger);
  writer.u64(handshake.number);
  HandshakeText text;
  std::ranges::copy(out, text.begin());
  return text;
}

std::optional<Handshake> decode_handshake(base::Bytes text) {
  if (text.size() != kHandshakeBytes) return std::nullopt;
  base::ByteReader reader(text);
  Handshake handshake;
  handshake.to = reader.node();
  std::ranges::copy(reader.bytes(handshake.challenger.size()), handshake.challenger.begin());
  handshake.number = reader.u64();
  return handshake;
}

}  // namespace evs::net
