// The accelerated ring: the token leaves before the tail of a batch, and nobody asks for what may
// still be under way behind it.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/unit/evs/test_ring.h"

namespace evs {
namespace {

using std::chrono::milliseconds;

void form(TestRing& ring) {
  ring.start_all();
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2, 3}); }));
  ring.run_for(milliseconds(500));
}

// As many packets as given, since each is full.
std::string text_of_packets(const TestRing& ring, std::size_t packets) {
  const std::size_t frame_bytes =
      ring.config.datagram_bytes_max - kPacketHeaderBytes - kExchangeHeaderBytes - 3;
  return std::string(packets * frame_bytes, 'x');
}

struct Visit {
  std::size_t before_token = 0;
  std::size_t after_token = 0;
};

// How member 1 sends a message of so many packets, all in one visit.
Visit visit_of(TestRing& ring, std::size_t packets) {
  Visit visit;
  bool passed = false;
  ring.fate = [&](Number from, Number to, const Message& message) {
    if (from != 1 || to != 2) return Fate::deliver;
    if (std::holds_alternative<PacketMessage>(message)) {
      ++(passed ? visit.after_token : visit.before_token);
    }
    // One token may be sent before the batch: the visit that woke the ring.
    if (std::holds_alternative<TokenMessage>(message)) passed = visit.before_token > 0;
    return Fate::deliver;
  };
  const std::string text = text_of_packets(ring, packets);
  REQUIRE(ring.multicast(1, Service::safe, text));
  REQUIRE(ring.run_until([&] { return ring.delivered(3, text); }));
  ring.fate = nullptr;
  ring.run_for(milliseconds(300));
  return visit;
}

TEST_CASE("of a long batch the tail leaves after the token, of a short one nothing does") {
  TestRing ring(3);
  ring.config.accelerated_window = 8;
  form(ring);
  const std::size_t ahead = ring.config.acknowledge_packets_max;
  for (std::size_t packets : {std::size_t{1}, ahead, ahead + 3, ahead + 8, std::size_t{40}}) {
    CAPTURE(packets);
    const Visit visit = visit_of(ring, packets);
    CHECK(visit.before_token + visit.after_token == packets);
    CHECK(visit.after_token == std::min<std::size_t>(8, packets - std::min(packets, ahead)));
  }
}

TEST_CASE("with a window of zero everything leaves before the token") {
  TestRing ring(3);
  ring.config.accelerated_window = 0;
  form(ring);
  CHECK(visit_of(ring, 40).after_token == 0);
}

std::uint64_t retransmitted(TestRing& ring) {
  std::uint64_t sum = 0;
  for (Number number : {1U, 2U, 3U}) sum += ring.node(number).statistics().packets_retransmitted;
  return sum;
}

// All senders at once, nothing is lost.
void load(TestRing& ring) {
  const std::string text = text_of_packets(ring, 30);
  for (int i = 0; i < 30; ++i) {
    for (Number number : {1U, 2U, 3U}) REQUIRE(ring.multicast(number, Service::agreed, text));
  }
  REQUIRE(ring.run_until([&] { return ring.deliveries(3).size() == 90; }));
}

TEST_CASE("what is under way behind the token is not asked for") {
  TestRing ring(3);
  form(ring);
  load(ring);
  CHECK(retransmitted(ring) == 0);
}

TEST_CASE("who follows the original protocol among accelerated members asks for it in vain") {
  TestRing ring(3);
  ring.start(1);
  ring.config.accelerated_window = 0;
  ring.start(2);
  ring.config.accelerated_window = 20;
  ring.start(3);
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2, 3}); }));
  ring.run_for(milliseconds(500));
  load(ring);
  CHECK(retransmitted(ring) > 0);
  CHECK(ring.texts(2) == ring.texts(1));
}

TEST_CASE("a lost packet is asked for one rotation later, whichever part of the batch it was in") {
  for (std::size_t lost : {std::size_t{0}, std::size_t{5}, std::size_t{29}}) {
    CAPTURE(lost);
    TestRing ring(3);
    form(ring);
    std::size_t sent = 0;
    ring.fate = [&](Number from, Number to, const Message& message) {
      const bool packet = std::holds_alternative<PacketMessage>(message);
      return packet && from == 1 && to == 2 && sent++ == lost ? Fate::drop : Fate::deliver;
    };
    const std::string text = text_of_packets(ring, 30);
    REQUIRE(ring.multicast(1, Service::safe, text));
    REQUIRE(ring.run_until([&] { return ring.delivered(2, text); }, milliseconds(20)));
    CHECK(retransmitted(ring) == 1);
  }
}

// One's own packets are in the store before the token leaves, whatever becomes of the tail [rule
// 1].
TEST_CASE("a tail that nobody received is delivered by its sender when the ring is left") {
  TestRing ring(3);
  form(ring);
  bool passed = false;
  std::size_t dropped = 0;
  ring.fate = [&](Number from, Number, const Message& message) {
    if (from != 1) return Fate::deliver;
    passed = passed || (std::holds_alternative<TokenMessage>(message) &&
                        std::get<TokenMessage>(message).sequence > 0);
    const bool tail = passed && std::holds_alternative<PacketMessage>(message);
    dropped += tail ? 1 : 0;
    return tail ? Fate::drop : Fate::deliver;
  };
  const std::string text = text_of_packets(ring, 40);
  REQUIRE(ring.multicast(1, Service::agreed, text));
  REQUIRE(ring.multicast(1, Service::safe, "behind it"));
  REQUIRE(ring.run_until([&] { return dropped > 0; }));
  for (Number number : {1U, 2U, 3U}) ring.cut_off(number);
  REQUIRE(ring.run_until([&] { return ring.formed({1}) && ring.formed({2}) && ring.formed({3}); }));
  ring.run_for(milliseconds(100));
  CHECK(ring.texts(1) == std::vector<std::string>{text, "behind it"});
  CHECK(ring.texts(2).empty());
}

TEST_CASE("losses leave one order, with and without acceleration") {
  for (std::uint32_t window : {0U, 1U, 40U}) {
    CAPTURE(window);
    TestRing ring(3);
    ring.config.accelerated_window = window;
    form(ring);
    base::Random random(window + 1);
    ring.fate = [&](Number, Number, const Message&) {
      return random.chance(1, 10) ? Fate::drop : Fate::deliver;
    };
    std::size_t sent = 0;
    for (int i = 0; i < 60; ++i) {
      const Number sender = static_cast<Number>(random.between(1, 3));
      const Service service = random.chance(1, 2) ? Service::safe : Service::agreed;
      REQUIRE(ring.multicast(sender, service,
                             std::to_string(sent++) + std::string(random.below(40'000), '.')));
      ring.run_for(milliseconds(random.below(3)));
    }
    REQUIRE(ring.run_until([&] {
      return ring.deliveries(1).size() == sent && ring.deliveries(2).size() == sent &&
             ring.deliveries(3).size() == sent;
    }));
    CHECK(ring.texts(2) == ring.texts(1));
    CHECK(ring.texts(3) == ring.texts(1));
  }
}

}  // namespace
}  // namespace evs
