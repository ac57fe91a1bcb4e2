// What the members of an old ring owe each other on the way to the next: the same messages, in the
// same configurations.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/unit/evs/test_ring.h"

namespace evs {
namespace {

using std::chrono::milliseconds;

void form(TestRing& ring, const std::vector<Number>& numbers) {
  for (Number number : numbers) ring.start(number);
  REQUIRE(ring.run_until([&] { return ring.formed(numbers); }));
  ring.run_for(milliseconds(500));
  REQUIRE(ring.formed(numbers));
}

const PacketMessage* packet_of(const Message& message) {
  return std::get_if<PacketMessage>(&message);
}

// Node 3 multicasts and dies; its packet is under way to node 1, and nobody else gets it.
void send_last_words(TestRing& ring, const std::string& text) {
  ring.fate = [](Number from, Number to, const Message& message) {
    if (from != 3) return Fate::deliver;
    if (packet_of(message) != nullptr) return to == 1 ? Fate::hold : Fate::drop;
    return std::holds_alternative<TokenMessage>(message) ? Fate::drop : Fate::deliver;
  };
  REQUIRE(ring.multicast(3, Service::agreed, text));
  REQUIRE(ring.run_until([&] { return ring.node(3).statistics().messages_sent == 1; }));
  ring.kill(3);
}

TEST_CASE("what one member lacks comes from another, also if it is lost again on the way") {
  TestRing ring(3);
  form(ring, {1, 2, 3});
  ring.fate = [&](Number from, Number to, const Message& message) {
    if (from != 3) return Fate::deliver;
    if (std::holds_alternative<TokenMessage>(message)) return Fate::drop;
    return packet_of(message) != nullptr && to == 1 ? Fate::drop : Fate::deliver;
  };
  REQUIRE(ring.multicast(3, Service::agreed, "last words"));
  REQUIRE(ring.run_until([&] { return ring.delivered(2, "last words"); }));
  REQUIRE_FALSE(ring.delivered(1, "last words"));
  ring.kill(3);
  int exchanged = 0;
  ring.fate = [&](Number, Number, const Message& message) {
    const PacketMessage* packet = packet_of(message);
    return packet != nullptr && packet->exchange && ++exchanged <= 2 ? Fate::drop : Fate::deliver;
  };
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2}); }));
  CHECK(exchanged == 3);
  REQUIRE(ring.delivered(1, "last words"));
  // Both delivered it before the same change.
  CHECK(ring.change_of(1, "last words")->configuration ==
        ring.change_of(2, "last words")->configuration);
}

TEST_CASE(
    "beyond a gap nobody delivers what a departed member sent, but everything of those who stay") {
  TestRing ring(3);
  form(ring, {1, 2, 3});
  std::uint64_t gap = 0;
  ring.fate = [&](Number from, Number, const Message& message) {
    const PacketMessage* packet = packet_of(message);
    if (packet == nullptr || from != 3) return Fate::deliver;
    if (gap == 0) gap = packet->sequence;
    return packet->sequence == gap ? Fate::drop : Fate::deliver;
  };
  // Agreed and safe messages do not share a packet.
  REQUIRE(ring.multicast(3, Service::agreed, "cause"));
  REQUIRE(ring.multicast(3, Service::safe, "effect"));
  REQUIRE(ring.multicast(1, Service::agreed, "of who stays"));
  REQUIRE(ring.run_until([&] {
    return ring.node(3).statistics().messages_sent == 2 &&
           ring.node(1).statistics().messages_sent == 1;
  }));
  ring.run_for(milliseconds(1));
  ring.kill(3);
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2}); }));
  for (Number number : {1U, 2U}) {
    CAPTURE(number);
    CHECK(ring.texts(number) == std::vector<std::string>{"of who stays"});
  }
}

TEST_CASE(
    "a safe message that one delivered in the regular configuration, all who go along do too") {
  TestRing ring(3);
  form(ring, {1, 2, 3});
  const RingId old = ring.node(1).regular().id;
  REQUIRE(ring.multicast(1, Service::safe, "safe"));
  REQUIRE(ring.run_until([&] { return ring.delivered(3, "safe"); }));
  REQUIRE_FALSE(ring.delivered(1, "safe"));
  // 1 never hears from the old ring that it is stable.
  ring.cut(1, 3);
  ring.kill(2);
  ring.run_for(milliseconds(1));
  ring.fate = [&](Number, Number, const Message& message) {
    const auto* token = std::get_if<TokenMessage>(&message);
    return token != nullptr && token->ring == old ? Fate::drop : Fate::deliver;
  };
  ring.mend(1, 3);
  REQUIRE(ring.run_until([&] { return ring.formed({1, 3}); }));
  REQUIRE(ring.delivered(1, "safe"));
  CHECK(ring.change_of(1, "safe")->configuration.id == old);
  CHECK(ring.change_of(3, "safe")->configuration.id == old);
}

TEST_CASE(
    "a packet of the old ring that comes to one member after it recovered is dropped [rule 11]") {
  TestRing ring(3);
  form(ring, {1, 2, 3});
  send_last_words(ring, "late");
  bool all_recovered = false;
  ring.fate = [&](Number from, Number, const Message& message) {
    const auto* token = std::get_if<TokenMessage>(&message);
    all_recovered = all_recovered || (token != nullptr && from == 1 && token->recovered == 3);
    return Fate::deliver;
  };
  REQUIRE(ring.run_until([&] { return all_recovered; }));
  REQUIRE(ring.node(1).state() == NodeState::recovery);
  ring.release_held();
  ring.run_for(TestRing::kLatency);
  REQUIRE(ring.node(1).state() == NodeState::recovery);
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2}); }));
  CHECK_FALSE(ring.delivered(1, "late"));
  CHECK_FALSE(ring.delivered(2, "late"));
}

TEST_CASE("a packet of the old ring that comes to one member while it gathers is shared with all") {
  TestRing ring(3);
  form(ring, {1, 2, 3});
  send_last_words(ring, "in time");
  REQUIRE(ring.run_until([&] { return ring.node(1).state() == NodeState::gather; }));
  ring.release_held();
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2}); }));
  REQUIRE(ring.delivered(1, "in time"));
  REQUIRE(ring.delivered(2, "in time"));
  CHECK(ring.change_of(1, "in time")->configuration == ring.change_of(2, "in time")->configuration);
}

TEST_CASE(
    "nobody installs, and no message is safe in the new ring, before the slowest has recovered") {
  TestRing ring(3);
  form(ring, {1, 2});
  // Something for 2 to give to 1.
  ring.fate = [&](Number, Number, const Message& message) {
    return packet_of(message) != nullptr ? Fate::drop : Fate::deliver;
  };
  REQUIRE(ring.multicast(2, Service::safe, "old"));
  REQUIRE(ring.run_until([&] { return ring.node(2).statistics().messages_sent == 1; }));

  // 1 does not get it for a while; 3 has nothing to wait for and something to say.
  bool to_one = false;
  ring.fate = [&](Number, Number to, const Message& message) {
    return packet_of(message) != nullptr && to == 1 && !to_one ? Fate::drop : Fate::deliver;
  };
  ring.start(3);
  REQUIRE(ring.run_until([&] { return ring.node(3).state() == NodeState::recovery; }));
  REQUIRE(ring.multicast(3, Service::safe, "new"));
  ring.run_for(milliseconds(50));
  for (Number number : {1U, 2U, 3U}) CHECK(ring.node(number).state() == NodeState::recovery);
  to_one = true;

  const auto delivered = [&](const std::string& text) {
    return ring.delivered(1, text) || ring.delivered(2, text) || ring.delivered(3, text);
  };
  REQUIRE(ring.run_until([&] { return delivered("new"); }));
  CHECK(numbers_of(ring.node(3).regular().members) == std::vector<Number>{1, 2, 3});
  for (Number number : {1U, 2U}) {
    CHECK(ring.node(number).regular().id == ring.node(3).regular().id);
    CHECK(ring.delivered(number, "old"));
  }
  CHECK_FALSE(ring.delivered(3, "old"));
}

}  // namespace
}  // namespace evs
