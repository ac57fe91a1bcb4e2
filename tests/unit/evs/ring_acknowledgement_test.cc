// Acknowledgements outside the token: what they bring on a quiet ring, who sends them when, and
// what is not believed [rule 3].
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/unit/evs/test_ring.h"

namespace evs {
namespace {

using std::chrono::milliseconds;

std::vector<Number> numbers(const TestRing& ring) {
  std::vector<Number> found;
  for (base::NodeId id : ring.config.nodes) found.push_back(base::value(id));
  return found;
}

void form(TestRing& ring) {
  ring.start_all();
  REQUIRE(ring.run_until([&] { return ring.formed(numbers(ring)); }));
  ring.run_for(milliseconds(500));
  REQUIRE(ring.formed(numbers(ring)));
}

bool delivered_by_all(TestRing& ring, const std::string& text) {
  const auto all = numbers(ring);
  return std::all_of(all.begin(), all.end(),
                     [&](Number number) { return ring.delivered(number, text); });
}

std::uint64_t acknowledgements(TestRing& ring) {
  std::uint64_t sent = 0;
  for (Number number : numbers(ring)) sent += ring.node(number).statistics().acknowledgements_sent;
  return sent;
}

// From the sending of a safe message by `sender` to its delivery by all.
Duration safe_latency(TestRing& ring, Number sender) {
  std::optional<Duration> sent_at;
  ring.fate = [&](Number from, Number, const Message& message) {
    const bool packet = std::holds_alternative<PacketMessage>(message);
    if (packet && from == sender && !sent_at) sent_at = ring.now().boot;
    return Fate::deliver;
  };
  const std::string text = "safe of " + std::to_string(sender);
  REQUIRE(ring.multicast(sender, Service::safe, text));
  REQUIRE(ring.run_until([&] { return delivered_by_all(ring, text); }));
  ring.fate = nullptr;
  const Duration latency = ring.now().boot - *sent_at;
  ring.run_for(milliseconds(300));
  return latency;
}

TEST_CASE("on a quiet ring all deliver a safe message one round trip after it was sent") {
  for (Number count : {2U, 3U, 5U, 8U, 32U}) {
    CAPTURE(count);
    TestRing ring(count);
    form(ring);
    for (Number sender : {1U, 2U, count}) {
      CAPTURE(sender);
      CHECK(safe_latency(ring, sender) <= 2 * TestRing::kLatency);
    }
  }
}

// The token is back at the sender, and rests there, when the next message comes.
TEST_CASE("one message after the other, each is delivered by all after one round trip") {
  TestRing ring(5);
  form(ring);
  (void)safe_latency(ring, 2);
  base::Random random(3);
  for (int i = 0; i < 30; ++i) {
    const std::string text = "message " + std::to_string(i);
    const Duration sent_at = ring.now().boot;
    REQUIRE(ring.multicast(2, Service::safe, text));
    REQUIRE(ring.run_until([&] { return delivered_by_all(ring, text); }));
    CHECK(ring.now().boot - sent_at <= 2 * TestRing::kLatency);
    ring.run_for(4 * TestRing::kLatency + std::chrono::microseconds(random.below(3000)));
  }
}

TEST_CASE("a token that rests after acknowledgements is given to whoever has something to send") {
  TestRing ring(5);
  form(ring);
  for (Number sender : {1U, 4U, 2U, 5U, 3U, 3U, 1U}) {
    const std::string text =
        "of " + std::to_string(sender) + std::string(ring.events(1).size(), '.');
    const Duration sent_at = ring.now().boot;
    REQUIRE(ring.multicast(sender, Service::safe, text));
    REQUIRE(ring.run_until([&] { return delivered_by_all(ring, text); }));
    // Ask for it, the token's way, and the round trip.
    CHECK(ring.now().boot - sent_at <= (1 + 5 + 2) * TestRing::kLatency);
    ring.run_for(7 * TestRing::kLatency);
  }
}

TEST_CASE("whom an acknowledgement did not reach wakes the holder of the token") {
  TestRing ring(4);
  form(ring);
  const RingId standing = ring.node(1).regular().id;
  for (Number deaf : {1U, 2U, 3U, 4U}) {  // The first is the sender: the token comes back to it.
    CAPTURE(deaf);
    ring.fate = [&](Number, Number to, const Message& message) {
      const bool said = std::holds_alternative<AcknowledgementMessage>(message);
      return said && to == deaf ? Fate::drop : Fate::deliver;
    };
    const std::string text = "not acknowledged to " + std::to_string(deaf);
    REQUIRE(ring.multicast(1, Service::safe, text));
    CHECK(ring.run_until([&] { return ring.delivered(deaf, text); },
                         ring.config.token_retransmit + 20 * TestRing::kLatency));
    ring.run_for(milliseconds(350));
  }
  CHECK(ring.node(1).regular().id == standing);
}

TEST_CASE("without acknowledgements outside the token it takes a rotation and more") {
  TestRing ring(5);
  ring.config.acknowledge_packets_max = 0;
  form(ring);
  for (Number sender : {1U, 3U, 5U}) {
    CHECK(safe_latency(ring, sender) > 5 * TestRing::kLatency);
  }
  CHECK(acknowledgements(ring) == 0);
}

TEST_CASE(
    "each asking is answered once by each other member, and agreed messages ask for nothing") {
  TestRing ring(4);
  form(ring);
  const std::uint64_t before = acknowledgements(ring);
  REQUIRE(ring.multicast(2, Service::agreed, "agreed"));
  ring.run_for(milliseconds(300));
  CHECK(acknowledgements(ring) == before);
  REQUIRE(ring.multicast(2, Service::safe, "safe"));
  REQUIRE(ring.multicast(2, Service::agreed, "behind it"));
  ring.run_for(milliseconds(300));
  CHECK(acknowledgements(ring) == before + 3);
  CHECK(delivered_by_all(ring, "behind it"));
}

TEST_CASE("a packet that comes twice is acknowledged once") {
  TestRing ring(3);
  form(ring);
  Buffer packet;
  ring.heard = [&](Number, Number, const Message& message) {
    if (std::holds_alternative<PacketMessage>(message)) packet = encode(message);
  };
  REQUIRE(ring.multicast(1, Service::safe, "once"));
  REQUIRE(ring.run_until([&] { return delivered_by_all(ring, "once"); }));
  const std::uint64_t before = acknowledgements(ring);
  CHECK(before == 2);
  ring.inject(1, 2, packet);
  ring.inject(1, 3, packet);
  CHECK(acknowledgements(ring) == before);
}

TEST_CASE("on a busy ring nobody asks") {
  TestRing ring(3);
  form(ring);
  const std::string text(3 * ring.config.datagram_bytes_max, 'x');
  for (int i = 0; i < 100; ++i) {
    for (Number sender : {1U, 2U, 3U}) REQUIRE(ring.multicast(sender, Service::safe, text));
  }
  bool asked = false;
  ring.fate = [&](Number, Number, const Message& message) {
    const auto* packet = std::get_if<PacketMessage>(&message);
    asked = asked || (packet != nullptr && packet->asks);
    return Fate::deliver;
  };
  REQUIRE(ring.run_until([&] {
    const Statistics& statistics = ring.node(1).statistics();
    return statistics.messages_delivered >= 270;
  }));
  CHECK_FALSE(asked);
  REQUIRE(ring.run_until([&] { return ring.deliveries(1).size() == 300; }));
  ring.run_for(milliseconds(300));

  // One visit that carries more than a quiet ring does.
  asked = false;
  const std::size_t packets = ring.config.acknowledge_packets_max + 1;
  const std::string longer(packets * ring.config.datagram_bytes_max, 'y');
  REQUIRE(ring.multicast(1, Service::safe, longer));
  REQUIRE(ring.run_until([&] { return delivered_by_all(ring, longer); }));
  CHECK_FALSE(asked);
}

// One packet of two is lost on its way to a member that hears the one that asks.
TEST_CASE("nothing is acknowledged before everything up to it has come") {
  TestRing ring(3);
  form(ring);
  std::optional<Sequence> lost;
  std::optional<Sequence> asking;
  bool come = false;
  std::vector<Sequence> told;
  ring.fate = [&](Number from, Number to, const Message& message) {
    if (const auto* packet = std::get_if<PacketMessage>(&message)) {
      if (packet->asks) asking = packet->sequence;
      if (to == 3 && !lost) {
        lost = packet->sequence;
        return Fate::drop;
      }
    }
    if (const auto* said = std::get_if<AcknowledgementMessage>(&message); said && from == 3) {
      CHECK(come);
      told.push_back(said->received);
    }
    return Fate::deliver;
  };
  ring.heard = [&](Number, Number to, const Message& message) {
    const auto* packet = std::get_if<PacketMessage>(&message);
    come = come || (packet != nullptr && to == 3 && packet->sequence == lost);
  };
  // Two packets, because services do not mix.
  REQUIRE(ring.multicast(1, Service::agreed, "lost"));
  REQUIRE(ring.multicast(1, Service::safe, "asks"));
  REQUIRE(ring.run_until([&] { return ring.delivered(1, "asks"); }));
  CHECK(come);
  REQUIRE(asking.has_value());
  CHECK(lost == *asking - 1);
  ring.run_for(milliseconds(300));
  CHECK(told == std::vector<Sequence>{*asking, *asking});  // To each of the others.
  CHECK(delivered_by_all(ring, "asks"));
}

TEST_CASE("lost acknowledgements cost time and nothing else") {
  TestRing ring(3);
  form(ring);
  const RingId standing = ring.node(1).regular().id;
  ring.fate = [&](Number, Number, const Message& message) {
    return std::holds_alternative<AcknowledgementMessage>(message) ? Fate::drop : Fate::deliver;
  };
  for (Number sender : {1U, 2U, 3U}) {
    const std::string text = std::to_string(sender);
    REQUIRE(ring.multicast(sender, Service::safe, text));
    CHECK(ring.run_until([&] { return delivered_by_all(ring, text); }, milliseconds(5)));
  }
  CHECK(ring.node(2).regular().id == standing);
}

// Node 3 hears no packet, so a safe message of node 1 waits for its acknowledgement.
TEST_CASE("an acknowledgement counts for its own ring, from a member, and if it can be true") {
  TestRing ring(4);
  ring.start(1);
  ring.start(2);
  ring.start(3);
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2, 3}); }));
  ring.run_for(milliseconds(500));
  const RingId standing = ring.node(1).regular().id;
  std::optional<Sequence> number;
  ring.fate = [&](Number, Number to, const Message& message) {
    const auto* packet = std::get_if<PacketMessage>(&message);
    if (packet == nullptr) return Fate::deliver;
    number = packet->sequence;
    return to == 3 ? Fate::drop : Fate::deliver;
  };
  REQUIRE(ring.multicast(1, Service::safe, "waits"));
  ring.run_for(milliseconds(20));
  REQUIRE(number.has_value());
  REQUIRE_FALSE(ring.delivered(1, "waits"));

  RingId other = standing;
  ++other.nonce;
  ring.inject(3, 1, encode(AcknowledgementMessage{other, *number}));
  ring.inject(2, 1, encode(AcknowledgementMessage{standing, *number}));  // Speaks for itself only.
  ring.inject(4, 1, encode(AcknowledgementMessage{standing, *number}));  // Is not in the ring.
  ring.inject(3, 1, encode(AcknowledgementMessage{standing, *number - 1}));
  const std::uint64_t malformed = ring.node(1).statistics().datagrams_malformed;
  ring.inject(3, 1, encode(AcknowledgementMessage{standing, *number + 1'000'000}));
  CHECK(ring.node(1).statistics().datagrams_malformed == malformed + 1);
  CHECK_FALSE(ring.delivered(1, "waits"));

  ring.inject(3, 1, encode(AcknowledgementMessage{standing, *number}));
  CHECK(ring.delivered(1, "waits"));
}

TEST_CASE("a request for what all have acknowledged since is struck off the token") {
  TestRing ring(3);
  form(ring);
  REQUIRE(ring.multicast(1, Service::safe, "stable"));
  std::optional<TokenMessage> last;
  std::optional<TokenMessage> passed;
  ring.fate = [&](Number from, Number, const Message& message) {
    const auto* token = std::get_if<TokenMessage>(&message);
    if (token != nullptr && from == 1) last = *token;
    if (token != nullptr && from == 2) passed = *token;
    return Fate::deliver;
  };
  REQUIRE(ring.run_until([&] { return last && delivered_by_all(ring, "stable"); }));
  ring.run_for(milliseconds(5));
  TokenMessage next = *last;
  next.hop += 3;
  REQUIRE(next.sequence == 1);
  next.requests = {1};
  ring.inject(1, 2, encode(next));
  REQUIRE(passed->hop == next.hop + 1);
  CHECK(passed->requests.empty());
  CHECK(ring.node(2).statistics().packets_retransmitted == 0);
}

TEST_CASE("random losses, and a ring that is quiet now and then, leave one order") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    TestRing ring(3);
    form(ring);
    base::Random random(seed);
    ring.fate = [&](Number, Number, const Message&) {
      const std::uint64_t drawn = random.below(20);
      return drawn == 0 ? Fate::drop : drawn == 1 ? Fate::hold : Fate::deliver;
    };
    std::size_t sent = 0;
    for (int i = 0; i < 60; ++i) {
      const Number sender = static_cast<Number>(random.between(1, 3));
      const Service service = random.chance(2, 3) ? Service::safe : Service::agreed;
      REQUIRE(ring.multicast(sender, service, std::to_string(sent++)));
      ring.run_for(std::chrono::microseconds(random.below(1500)));
      if (random.chance(1, 4)) ring.release_held();
    }
    ring.release_held();
    ring.fate = nullptr;
    REQUIRE(ring.run_until([&] { return ring.deliveries(1).size() == sent; }));
    ring.run_for(milliseconds(100));
    CHECK(ring.texts(2) == ring.texts(1));
    CHECK(ring.texts(3) == ring.texts(1));
  }
}

}  // namespace
}  // namespace evs
