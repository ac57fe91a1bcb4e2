#include "evs/codec.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace evs {
namespace {

constexpr RingId kRing{0x1122334455667788, base::NodeId{3}, 0xa1b2c3d4e5f60718};

Processor processor(std::uint32_t node, std::uint64_t life) {
  return {base::NodeId{node}, base::Incarnation{life}};
}

Buffer text(const char* t) {
  const base::Bytes bytes = base::bytes_of(t);
  return Buffer(bytes.begin(), bytes.end());
}

TokenMessage token() {
  TokenMessage m;
  m.ring = kRing;
  m.hop = 7;
  m.sequence = 0x0102;
  m.origin = 1;
  m.rotation_packets = 5;
  m.done = 3;
  m.recovered = 1;
  m.acknowledged = {0x0100, 0x0102};
  m.requests = {0x0101};
  return m;
}

JoinMessage join() {
  JoinMessage m;
  m.sender = processor(2, 20);
  m.ring_sequence = 12;
  m.leaving = true;
  m.forwarded = 6;
  m.candidates = {{processor(1, 10), false}, {processor(2, 19), true}, {processor(2, 20), false}};
  m.heard = {base::NodeId{1}, base::NodeId{3}};
  return m;
}

CommitMessage commit() {
  CommitMessage m;
  m.ring = kRing;
  m.hop = 1;
  m.members = {processor(1, 10), processor(4, 40)};
  m.entries.resize(2);
  m.entries[0] = {kRing, 9, 8, 5, true};
  return m;
}

PacketMessage packet() {
  return {kRing, 3, 31, true, false, text("a payload")};
}

std::vector<Message> one_of_each() {
  PacketMessage exchange = packet();
  exchange.safe = false;
  exchange.exchange = true;
  PacketMessage empty = packet();
  empty.payload.clear();
  PacketMessage asking = packet();
  asking.asks = true;
  return {token(),  TokenMessage{kRing, 1, 0, 0, 0, 0, 0, {0}, {}},
          join(),   TokenReceiptMessage{kRing, 99},
          commit(), WakeMessage{kRing},
          packet(), exchange,
          empty,    PresenceMessage{processor(5, 50), kRing, {}},
          asking,   AcknowledgementMessage{kRing, 77}};
}

void check_refused(const Message& message) {
  CHECK_FALSE(decode(encode(message)).has_value());
}

TEST_CASE("each message comes back as it was") {
  const Buffer bytes = encode(token());
  const auto t = std::get<TokenMessage>(*decode(bytes));
  CHECK(t.ring == kRing);
  CHECK(t.hop == 7);
  CHECK(t.sequence == 0x0102);
  CHECK(t.origin == 1);
  CHECK(t.rotation_packets == 5);
  CHECK(t.done == 3);
  CHECK(t.recovered == 1);
  CHECK(t.acknowledged == token().acknowledged);
  CHECK(t.requests == token().requests);

  const auto r = std::get<TokenReceiptMessage>(*decode(encode(TokenReceiptMessage{kRing, 99})));
  CHECK(r.ring == kRing);
  CHECK(r.hop == 99);

  CHECK(std::get<WakeMessage>(*decode(encode(WakeMessage{kRing}))).ring == kRing);

  const auto p = std::get<PacketMessage>(*decode(encode(packet())));
  CHECK(p.ring == kRing);
  CHECK(p.sequence == 3);
  CHECK(p.sender == 31);
  CHECK(p.safe);
  CHECK_FALSE(p.exchange);
  CHECK(p.payload == packet().payload);

  CHECK_FALSE(p.asks);
  PacketMessage asking = packet();
  asking.asks = true;
  CHECK(std::get<PacketMessage>(*decode(encode(asking))).asks);

  const auto a =
      std::get<AcknowledgementMessage>(*decode(encode(AcknowledgementMessage{kRing, 77})));
  CHECK(a.ring == kRing);
  CHECK(a.received == 77);

  const auto j = std::get<JoinMessage>(*decode(encode(join())));
  CHECK(j.sender == join().sender);
  CHECK(j.ring_sequence == 12);
  CHECK(j.leaving);
  CHECK(j.forwarded == 6);
  CHECK(j.candidates == join().candidates);
  CHECK(j.heard == join().heard);

  const auto c = std::get<CommitMessage>(*decode(encode(commit())));
  CHECK(c.ring == kRing);
  CHECK(c.hop == 1);
  CHECK(c.members == commit().members);
  REQUIRE(c.entries.size() == 2);
  CHECK(c.entries[0].filled);
  CHECK(c.entries[0].old_ring == kRing);
  CHECK(c.entries[0].received == 9);
  CHECK(c.entries[0].stable == 8);
  CHECK(c.entries[0].obligation == 5);
  CHECK_FALSE(c.entries[1].filled);

  const std::vector<base::NodeId> heard{base::NodeId{2}, base::NodeId{4}};
  const Message presence = PresenceMessage{processor(5, 50), kRing, heard};
  CHECK(std::get<PresenceMessage>(*decode(encode(presence))).sender == processor(5, 50));
  CHECK(std::get<PresenceMessage>(*decode(encode(presence))).ring == kRing);
  CHECK(std::get<PresenceMessage>(*decode(encode(presence))).heard == heard);
}

TEST_CASE("a token has the bytes that docs/wire.md gives it") {
  const std::vector<int> golden = {
      1,    1,                                         // version, type
      0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,  // ring: sequence,
      3,    0,    0,    0,                             // representative,
      0x18, 0x07, 0xf6, 0xe5, 0xd4, 0xc3, 0xb2, 0xa1,  // nonce
      7,    0,    0,    0,    0,    0,    0,    0,     // hop
      2,    1,    0,    0,    0,    0,    0,    0,     // sequence
      1,                                               // origin
      5,    0,    0,    0,                             // rotation_packets
      3,    0,    0,    0,                             // done
      1,    0,    0,    0,                             // recovered
      2,    0,    1,    0,    0,    0,    0,    0,    0, 2, 1, 0, 0, 0, 0, 0, 0,  // acknowledged
      1,    1,    1,    0,    0,    0,    0,    0,    0,                          // requests
  };
  Buffer expected;
  for (int byte : golden) expected.push_back(static_cast<std::byte>(byte));
  CHECK(encode(token()) == expected);
  CHECK(decode(expected).has_value());
}

TEST_CASE("a message cut short anywhere, or with a byte too many, is refused") {
  for (const Message& message : one_of_each()) {
    const Buffer whole = encode(message);
    const auto* as_packet = std::get_if<PacketMessage>(&message);
    // A packet's payload is the rest of the datagram; only its header can be cut short.
    const std::size_t fixed =
        as_packet == nullptr ? whole.size() : whole.size() - as_packet->payload.size();
    for (std::size_t size = 0; size < fixed; ++size) {
      CAPTURE(size);
      CHECK_FALSE(decode(base::Bytes(whole).first(size)).has_value());
    }
    if (as_packet != nullptr) continue;
    Buffer longer = whole;
    longer.push_back(std::byte{0});
    CHECK_FALSE(decode(longer).has_value());
  }
}

TEST_CASE("a flipped bit is refused or is another message, never the same one") {
  for (const Message& message : one_of_each()) {
    const Buffer whole = encode(message);
    for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
      Buffer flipped = whole;
      flipped[bit / 8] ^= std::byte{1} << (bit % 8);
      const std::optional<Message> decoded = decode(flipped);
      CAPTURE(bit);
      if (bit < 8) CHECK_FALSE(decoded.has_value());  // Another version.
      // No two rows of bytes mean the same.
      if (decoded) CHECK(encode(*decoded) == flipped);
    }
  }
}

TEST_CASE("unknown types are refused") {
  for (int type : {0, 9, 10, 255}) {
    Buffer bytes = encode(WakeMessage{kRing});
    bytes[1] = static_cast<std::byte>(type);
    CHECK_FALSE(decode(bytes).has_value());
  }
}

TEST_CASE("counts at their bounds are taken, above them refused") {
  TokenMessage t = token();
  t.acknowledged.assign(kMembersMax, 1);
  t.requests.assign(kRequestsMax, 1);
  CHECK(decode(encode(t)).has_value());
  t.requests.push_back(1);
  check_refused(t);
  t.requests.pop_back();
  t.acknowledged.push_back(1);
  check_refused(t);

  JoinMessage j = join();
  j.candidates.clear();
  for (std::uint32_t i = 1; i <= kCandidatesMax; ++i) j.candidates.push_back({processor(i, 1)});
  CHECK(decode(encode(j)).has_value());
  j.candidates.push_back({processor(kCandidatesMax + 1, 1)});
  check_refused(j);
  j = join();
  j.heard.clear();
  for (std::uint32_t i = 1; i <= kMembersMax; ++i) j.heard.push_back(base::NodeId{i});
  CHECK(decode(encode(j)).has_value());
  j.heard.push_back(base::NodeId{kMembersMax + 1});
  check_refused(j);

  CommitMessage c = commit();
  c.members.clear();
  for (std::uint32_t i = 1; i <= kMembersMax; ++i) c.members.push_back(processor(i, 1));
  c.entries.assign(c.members.size(), {});
  CHECK(decode(encode(c)).has_value());
  c.members.push_back(processor(kMembersMax + 1, 1));
  c.entries.push_back({});
  check_refused(c);
}

TEST_CASE("lists of processors that are not strictly sorted are refused") {
  JoinMessage j = join();
  std::swap(j.candidates[0], j.candidates[1]);
  check_refused(j);
  j = join();
  j.candidates[1] = j.candidates[0];
  check_refused(j);
  // The same processor, once alive and once failed.
  j.candidates[1].failed = true;
  check_refused(j);
  j = join();
  j.heard[1] = j.heard[0];
  check_refused(j);

  CommitMessage c = commit();
  std::swap(c.members[0], c.members[1]);
  check_refused(c);
  // Two lives of one node cannot be in one ring.
  c = commit();
  c.members[1] = processor(1, 11);
  check_refused(c);
  c.members.clear();
  c.entries.clear();
  check_refused(c);
}

TEST_CASE("values that no member sends are refused") {
  TokenMessage t = token();
  t.origin = 2;
  check_refused(t);
  t.acknowledged.clear();
  t.origin = 0;
  check_refused(t);

  PacketMessage p = packet();
  p.sequence = 0;
  check_refused(p);
  p = packet();
  p.sender = kMembersMax;
  check_refused(p);

  Buffer bytes = encode(packet());
  bytes[kPacketHeaderBytes - 1] = std::byte{8};
  CHECK_FALSE(decode(bytes).has_value());
  p = packet();
  p.exchange = true;
  p.asks = true;
  check_refused(p);
}

TEST_CASE("a packet costs its payload and the header that is accounted for") {
  CHECK(encode(packet()).size() == kPacketHeaderBytes + packet().payload.size());
  CHECK(encode_exchange(packet()).size() == kExchangeHeaderBytes + packet().payload.size());
}

TEST_CASE("an exchange packet carries a packet of an old ring") {
  const auto old = decode_exchange(encode_exchange(packet()));
  REQUIRE(old.has_value());
  CHECK(old->ring == kRing);
  CHECK(old->sequence == 3);
  CHECK(old->sender == 31);
  CHECK(old->safe);
  CHECK_FALSE(old->exchange);
  CHECK(old->payload == packet().payload);

  const Buffer whole = encode_exchange(packet());
  for (std::size_t size = 0; size < kExchangeHeaderBytes; ++size) {
    CHECK_FALSE(decode_exchange(base::Bytes(whole).first(size)).has_value());
  }
  PacketMessage wrong = packet();
  wrong.sequence = 0;
  CHECK_FALSE(decode_exchange(encode_exchange(wrong)).has_value());
  wrong = packet();
  wrong.asks = true;
  CHECK_FALSE(decode_exchange(encode_exchange(wrong)).has_value());
}

}  // namespace
}  // namespace evs
