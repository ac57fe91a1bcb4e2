#include "evs/codec.h"

#include <algorithm>

namespace evs {

namespace {

using base::ByteReader;
using base::ByteWriter;

using Type = MessageKind;

constexpr std::uint8_t kSafe = 1;
constexpr std::uint8_t kExchange = 2;
constexpr std::uint8_t kAsks = 4;

void write(ByteWriter& out, const TokenMessage& m) {
  out.ring(m.ring);
  out.u64(m.hop);
  out.u64(m.sequence);
  out.u8(m.origin);
  out.u32(m.rotation_packets);
  out.u32(m.done);
  out.u32(m.recovered);
  out.u8(static_cast<std::uint8_t>(m.acknowledged.size()));
  for (Sequence s : m.acknowledged) out.u64(s);
  out.u8(static_cast<std::uint8_t>(m.requests.size()));
  for (Sequence s : m.requests) out.u64(s);
}

TokenMessage read_token(ByteReader& in) {
  TokenMessage m;
  m.ring = in.ring();
  m.hop = in.u64();
  m.sequence = in.u64();
  m.origin = in.u8();
  m.rotation_packets = in.u32();
  m.done = in.u32();
  m.recovered = in.u32();
  m.acknowledged.resize(in.count8(kMembersMax));
  for (Sequence& s : m.acknowledged) s = in.u64();
  m.requests.resize(in.count8(kRequestsMax));
  for (Sequence& s : m.requests) s = in.u64();
  if (m.origin >= m.acknowledged.size()) in.fail();
  return m;
}

void write(ByteWriter& out, const TokenReceiptMessage& m) {
  out.ring(m.ring);
  out.u64(m.hop);
}

TokenReceiptMessage read_token_receipt(ByteReader& in) {
  TokenReceiptMessage m;
  m.ring = in.ring();
  m.hop = in.u64();
  return m;
}

void write(ByteWriter& out, const WakeMessage& m) {
  out.ring(m.ring);
}

WakeMessage read_wake(ByteReader& in) {
  return WakeMessage{in.ring()};
}

void write(ByteWriter& out, const PacketMessage& m) {
  out.ring(m.ring);
  out.u64(m.sequence);
  out.u8(m.sender);
  out.u8(static_cast<std::uint8_t>((m.safe ? kSafe : 0) | (m.exchange ? kExchange : 0) |
                                   (m.asks ? kAsks : 0)));
  out.bytes(m.payload);
}

PacketMessage read_packet(ByteReader& in) {
  PacketMessage m;
  m.ring = in.ring();
  m.sequence = in.u64();
  m.sender = in.u8();
  const std::uint8_t flags = in.u8();
  if (m.sequence == 0 || m.sender >= kMembersMax || (flags & ~(kSafe | kExchange | kAsks)) != 0) {
    in.fail();
  }
  m.safe = (flags & kSafe) != 0;
  m.exchange = (flags & kExchange) != 0;
  m.asks = (flags & kAsks) != 0;
  // What is exchanged is acknowledged on the token alone.
  if (m.exchange && m.asks) in.fail();
  const base::Bytes payload = in.rest();
  m.payload.assign(payload.begin(), payload.end());
  return m;
}

void write_nodes(ByteWriter& out, const std::vector<base::NodeId>& nodes) {
  out.u8(static_cast<std::uint8_t>(nodes.size()));
  for (base::NodeId node : nodes) out.node(node);
}

void write(ByteWriter& out, const JoinMessage& m) {
  out.processor(m.sender);
  out.u64(m.ring_sequence);
  out.u8(m.leaving ? 1 : 0);
  out.u32(m.forwarded);
  out.u8(static_cast<std::uint8_t>(m.candidates.size()));
  for (const Candidate& c : m.candidates) {
    out.processor(c.processor);
    out.u8(c.failed ? 1 : 0);
  }
  write_nodes(out, m.heard);
}

bool read_flag(ByteReader& in) {
  const std::uint8_t flag = in.u8();
  if (flag > 1) in.fail();
  return flag == 1;
}

// Sorted and without repetition, as each list of processors on the wire is.
template <typename List, typename Key>
bool strictly_sorted(const List& list, Key key) {
  return std::adjacent_find(list.begin(), list.end(), [&](const auto& a, const auto& b) {
           return key(a) >= key(b);
         }) == list.end();
}

std::vector<base::NodeId> read_nodes(ByteReader& in) {
  std::vector<base::NodeId> nodes(in.count8(kMembersMax));
  for (base::NodeId& node : nodes) node = in.node();
  if (!strictly_sorted(nodes, [](base::NodeId node) { return node; })) in.fail();
  return nodes;
}

JoinMessage read_join(ByteReader& in) {
  JoinMessage m;
  m.sender = in.processor();
  m.ring_sequence = in.u64();
  m.leaving = read_flag(in);
  m.forwarded = in.u32();
  m.candidates.resize(in.count8(kCandidatesMax));
  for (Candidate& c : m.candidates) {
    c.processor = in.processor();
    c.failed = read_flag(in);
  }
  if (!strictly_sorted(m.candidates, [](const Candidate& c) { return c.processor; })) in.fail();
  m.heard = read_nodes(in);
  return m;
}

void write(ByteWriter& out, const CommitMessage& m) {
  out.ring(m.ring);
  out.u32(m.hop);
  out.u8(static_cast<std::uint8_t>(m.members.size()));
  for (std::size_t i = 0; i < m.members.size(); ++i) {
    const CommitEntry& entry = m.entries[i];
    out.processor(m.members[i]);
    out.u8(entry.filled ? 1 : 0);
    if (!entry.filled) continue;
    out.ring(entry.old_ring);
    out.u64(entry.received);
    out.u64(entry.stable);
    out.u32(entry.obligation);
  }
}

CommitMessage read_commit(ByteReader& in) {
  CommitMessage m;
  m.ring = in.ring();
  m.hop = in.u32();
  const std::size_t count = in.count8(kMembersMax);
  m.members.resize(count);
  m.entries.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    CommitEntry& entry = m.entries[i];
    m.members[i] = in.processor();
    entry.filled = read_flag(in);
    if (!entry.filled) continue;
    entry.old_ring = in.ring();
    entry.received = in.u64();
    entry.stable = in.u64();
    entry.obligation = in.u32();
  }
  if (count == 0 || !strictly_sorted(m.members, [](const Processor& p) { return p.node; })) {
    in.fail();
  }
  return m;
}

void write(ByteWriter& out, const PresenceMessage& m) {
  out.processor(m.sender);
  out.ring(m.ring);
  write_nodes(out, m.heard);
}

PresenceMessage read_presence(ByteReader& in) {
  PresenceMessage m;
  m.sender = in.processor();
  m.ring = in.ring();
  m.heard = read_nodes(in);
  return m;
}

void write(ByteWriter& out, const AcknowledgementMessage& m) {
  out.ring(m.ring);
  out.u64(m.received);
}

AcknowledgementMessage read_acknowledgement(ByteReader& in) {
  AcknowledgementMessage m;
  m.ring = in.ring();
  m.received = in.u64();
  return m;
}

Type type_of(const TokenMessage&) {
  return Type::token;
}
Type type_of(const TokenReceiptMessage&) {
  return Type::token_receipt;
}
Type type_of(const WakeMessage&) {
  return Type::wake;
}
Type type_of(const PacketMessage&) {
  return Type::packet;
}
Type type_of(const JoinMessage&) {
  return Type::join;
}
Type type_of(const CommitMessage&) {
  return Type::commit;
}
Type type_of(const PresenceMessage&) {
  return Type::presence;
}
Type type_of(const AcknowledgementMessage&) {
  return Type::acknowledgement;
}

// Holds a token of a small ring, and most other messages.
constexpr std::size_t kUsualBytes = 128;

template <typename One>
Buffer encode_one(const One& message, std::size_t size) {
  Buffer buffer;
  buffer.reserve(size);
  ByteWriter out(buffer);
  out.u8(kWireVersion);
  out.u8(static_cast<std::uint8_t>(type_of(message)));
  write(out, message);
  return buffer;
}

Message read_body(Type type, ByteReader& in) {
  switch (type) {
    case Type::token:
      return read_token(in);
    case Type::token_receipt:
      return read_token_receipt(in);
    case Type::wake:
      return read_wake(in);
    case Type::packet:
      return read_packet(in);
    case Type::join:
      return read_join(in);
    case Type::commit:
      return read_commit(in);
    case Type::presence:
      return read_presence(in);
    case Type::acknowledgement:
      return read_acknowledgement(in);
  }
  in.fail();
  return WakeMessage{};
}

}  // namespace

Buffer encode(const Message& message) {
  return std::visit([](const auto& m) { return encode_one(m, kUsualBytes); }, message);
}

Buffer encode(const PacketMessage& packet) {
  return encode_one(packet, kPacketHeaderBytes + packet.payload.size());
}

MessageKind kind_of(base::Bytes message) {
  return message.size() < 2 ? MessageKind{0}
                            : MessageKind{std::to_integer<std::uint8_t>(message[1])};
}

std::optional<Message> decode(base::Bytes bytes) {
  ByteReader in(bytes);
  if (in.u8() != kWireVersion) return std::nullopt;
  const Type type{in.u8()};
  Message message = read_body(type, in);
  if (!in.finish()) return std::nullopt;
  return message;
}

Buffer encode_exchange(const PacketMessage& old_packet) {
  Buffer buffer;
  ByteWriter out(buffer);
  write(out, old_packet);
  return buffer;
}

std::optional<PacketMessage> decode_exchange(base::Bytes bytes) {
  ByteReader in(bytes);
  PacketMessage packet = read_packet(in);
  if (!in.finish() || packet.asks) return std::nullopt;
  return packet;
}

}  // namespace evs
