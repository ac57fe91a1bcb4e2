#include "lockd/ring_message.h"

#include <doctest/doctest.h>

#include <chrono>

namespace lockd {
namespace {

using namespace std::chrono_literals;

RingId ring(std::uint64_t n) {
  return {n, base::NodeId{2}, n * 3};
}
base::Processor life(std::uint32_t n) {
  return {base::NodeId{n}, base::Incarnation{n * 5}};
}

std::vector<RingMessage> one_of_each() {
  Exchange exchange;
  exchange.fingerprint = 99;
  exchange.lease = 2s;
  exchange.record =
      RecordClaim{RecordRole::voter, {3, ring(1)}, {{{4, ring(2)}, {life(1)}}}, 77, 5s};
  exchange.table = TableClaim{{{3, ring(1)}, 8}, 12, 13, 14, 3s, {{life(3), ring(1)}}};
  exchange.delivered = {{{{3, ring(1)}, {life(1), life(2)}}, true}};
  exchange.forgotten = 2;
  Activate activate;
  activate.number = 5;
  activate.donor = Label{{3, ring(1)}, 8};
  activate.departures = {{life(3), ring(1)}};
  activate.voters = {life(1), life(2)};
  activate.token_base = 100;
  activate.lease_max = 2s;
  activate.cold_lease = 1s;
  const SnapshotId id{ring(4), 6};
  return {{ring(9), exchange},
          {ring(9), Exchange{}},
          {ring(9), Persisted{100}},
          {ring(9), activate},
          {ring(9), Ordered{7, Command{ring(9), Detached{SessionId{4}, Generation{2}}}}},
          {ring(9), Want{}},
          {ring(9), Want{Want::Rest{id, 12}}},
          {ring(9), Snapshot{6}},
          {ring(9), Chunk{id, 55, true, 0, base::Buffer{std::byte{1}, std::byte{2}, std::byte{3}}}},
          {ring(9), Ready{id, 55}},
          {ring(9), DigestVote{4, 55}},
          {ring(9), Raise{1000}},
          {ring(9), Raised{1000}}};
}

TEST_CASE("each message comes back from its bytes") {
  for (const RingMessage& message : one_of_each()) {
    const base::Buffer bytes = encode(message);
    const std::optional<RingMessage> back = decode_ring_message(bytes);
    REQUIRE(back.has_value());
    CHECK(back->ring == message.ring);
    CHECK(back->body.index() == message.body.index());
    CHECK(encode(*back) == bytes);
  }
}

TEST_CASE(
    "a message cut short or with bytes behind it is none, but for a chunk, whose bytes end it") {
  for (const RingMessage& message : one_of_each()) {
    base::Buffer bytes = encode(message);
    const bool chunk = std::holds_alternative<Chunk>(message.body);
    const std::size_t shortest = chunk ? bytes.size() - 3 : bytes.size();
    for (std::size_t size = 0; size < shortest; ++size) {
      CHECK_FALSE(decode_ring_message(base::Bytes(bytes).first(size)).has_value());
    }
    bytes.push_back(std::byte{0});
    CHECK(decode_ring_message(bytes).has_value() == chunk);
  }
}

TEST_CASE("counts, flags, durations and kinds beyond their bounds are refused") {
  const base::Buffer plain = encode({ring(9), Exchange{}});
  for (std::size_t at = 20; at < plain.size(); ++at) {
    base::Buffer bad = plain;
    bad[at] = std::byte{0xff};
    const std::optional<RingMessage> message = decode_ring_message(bad);
    if (message) {
      CHECK(encode(*message) == bad);
    }
  }
}

}  // namespace
}  // namespace lockd
