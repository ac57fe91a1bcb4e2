// The schedules that break safe delivery if the recovery rules are read too simply
// (docs/protocol.md, counterexamples C1 to C4), played on real members.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/evs/test_ring.h"

namespace evs {
namespace {

using std::chrono::milliseconds;

std::size_t times_delivered(TestRing& ring, Number number, const std::string& text) {
  const auto texts = ring.texts(number);
  return static_cast<std::size_t>(std::count(texts.begin(), texts.end(), text));
}

bool is_packet(const Message& message) {
  return std::holds_alternative<PacketMessage>(message);
}

// C1: a member that recovered owes what another may have delivered, and goes on owing it when a
// member of the old ring turns up that was not there at first [rules 9, 13].
TEST_CASE(
    "what was delivered beyond a gap is delivered by who recovered, also in another attempt") {
  constexpr Number kStays = 1;
  constexpr Number kDelivers = 2;
  constexpr Number kTurnsUp = 3;
  constexpr Number kDies = 4;
  TestRing ring(4);
  ring.start_all();
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2, 3, 4}); }));
  ring.run_for(milliseconds(500));
  const RingId old = ring.node(1).regular().id;

  // A message that nobody receives, and after it in the order one that kTurnsUp does not.
  bool beyond_gap_sent = false;
  ring.fate = [&](Number from, Number to, const Message& message) {
    if (is_packet(message) && from == kDies) return Fate::drop;
    if (is_packet(message) && from == kDelivers && to != kStays) return Fate::drop;
    beyond_gap_sent = beyond_gap_sent || (is_packet(message) && from == kDelivers);
    return Fate::deliver;
  };
  REQUIRE(ring.multicast(kDies, Service::agreed, "gap"));
  REQUIRE(ring.run_until([&] { return ring.node(kDies).statistics().messages_sent == 1; }));
  REQUIRE(ring.multicast(kDelivers, Service::safe, "beyond the gap"));
  REQUIRE(ring.run_until([&] { return beyond_gap_sent; }));
  ring.kill(kDies);
  ring.stop(kTurnsUp);

  // Attempt 1: kStays recovers, kDelivers recovers and installs; the token that would let kStays
  // install is lost, and kDelivers goes.
  ring.fate = [&](Number from, Number, const Message& message) {
    const auto* token = std::get_if<TokenMessage>(&message);
    return token != nullptr && from == kDelivers && token->recovered == 3 ? Fate::drop
                                                                          : Fate::deliver;
  };
  REQUIRE(ring.run_until([&] { return ring.delivered(kDelivers, "beyond the gap"); }));
  const auto first = ring.change_of(kDelivers, "beyond the gap");
  REQUIRE(first->configuration.kind == ConfigurationKind::transitional);
  REQUIRE(numbers_of(first->configuration.members) == std::vector<Number>{kStays, kDelivers});
  REQUIRE(ring.node(kDelivers).statistics().delivered_beyond_gap == 1);
  REQUIRE(ring.node(kStays).state() == NodeState::recovery);
  ring.go_on(kTurnsUp);
  ring.leave(kDelivers);

  // Attempt 2.
  REQUIRE(ring.run_until([&] { return ring.formed({kStays, kTurnsUp}); }));
  REQUIRE(ring.node(kStays).statistics().recoveries_with_obligation == 1);
  for (Number number : {kStays, kTurnsUp}) {
    CAPTURE(number);
    CHECK(times_delivered(ring, number, "beyond the gap") == 1);
    CHECK_FALSE(ring.delivered(number, "gap"));
    const auto change = ring.change_of(number, "beyond the gap");
    REQUIRE(change.has_value());
    CHECK(change->configuration.kind == ConfigurationKind::transitional);
    CHECK(numbers_of(change->configuration.members) == std::vector<Number>{kStays, kTurnsUp});
    CHECK(ring.deliveries(number).back().ring == old);
  }
}

// C2: both have recovered, but not with each other [rule 10].
TEST_CASE("two who recovered in different attempts still exchange what they hold") {
  constexpr Number kLacks = 1;
  constexpr Number kHolds = 2;
  TestRing ring(4);
  ring.start(kLacks);
  ring.start(kHolds);
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2}); }));
  ring.run_for(milliseconds(500));

  ring.fate = [&](Number, Number, const Message& message) {
    return is_packet(message) ? Fate::drop : Fate::deliver;
  };
  REQUIRE(ring.multicast(kHolds, Service::safe, "held by one"));
  REQUIRE(ring.run_until([&] { return ring.node(kHolds).statistics().messages_sent == 1; }));
  ring.cut(kLacks, kHolds);

  // Attempt 1 is {1, 3}, attempt 2 is {2, 4}: 1 and 2 recover, but do not see the token that would
  // let them install.
  ring.fate = [&](Number, Number to, const Message& message) {
    const auto* token = std::get_if<TokenMessage>(&message);
    return token != nullptr && to <= 2 && token->recovered == 3 ? Fate::drop : Fate::deliver;
  };
  ring.cut(1, 4);
  ring.cut(2, 3);
  ring.cut(3, 4);
  ring.start(3);
  ring.start(4);
  REQUIRE(ring.run_until([&] { return ring.node(3).regular().members.size() == 2; }));
  REQUIRE(ring.run_until([&] { return ring.node(4).regular().members.size() == 2; }));
  REQUIRE(ring.node(kLacks).state() == NodeState::recovery);
  REQUIRE(ring.node(kHolds).state() == NodeState::recovery);
  REQUIRE_FALSE(ring.delivered(kHolds, "held by one"));

  // Attempt 3: the two again.
  ring.fate = nullptr;
  ring.mend(kLacks, kHolds);
  ring.leave(3);
  ring.leave(4);
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2}); }));
  REQUIRE(ring.node(kLacks).statistics().recoveries_with_obligation == 1);
  REQUIRE(ring.node(kHolds).statistics().recoveries_with_obligation == 1);
  for (Number number : {kLacks, kHolds}) {
    CAPTURE(number);
    CHECK(times_delivered(ring, number, "held by one") == 1);
    REQUIRE(ring.delivered(number, "held by one"));
    CHECK(numbers_of(ring.change_of(number, "held by one")->configuration.members) ==
          std::vector<Number>{1, 2});
  }
  CHECK(ring.change_of(kLacks, "held by one")->configuration ==
        ring.change_of(kHolds, "held by one")->configuration);
}

// C3: an acknowledgement proves receipt, and must prove installation too [rule 6].
TEST_CASE("a safe message is delivered in a ring only when all its members have installed it") {
  for (Number sender : {1U, 2U, 3U}) {
    CAPTURE(sender);
    TestRing ring(3);
    ring.start_all();
    bool sent = false;
    bool all_installed = true;
    Number first = 0;
    const auto watch = [&] {
      // A message for the new ring, as early as it can have one.
      if (!sent && ring.node(sender).state() == NodeState::recovery) {
        sent = true;
        REQUIRE(ring.multicast(sender, Service::safe, "early"));
      }
      for (Number number = 1; number <= 3 && first == 0; ++number) {
        if (!ring.delivered(number, "early")) continue;
        first = number;
        const auto change = ring.change_of(number, "early");
        CHECK(change->configuration.kind == ConfigurationKind::regular);
        for (Number other = 1; other <= 3; ++other) {
          all_installed =
              all_installed && ring.node(other).regular().id == change->configuration.id;
        }
      }
      return first != 0;
    };
    REQUIRE(ring.run_until(watch));
    REQUIRE(numbers_of(ring.node(first).regular().members) == std::vector<Number>{1, 2, 3});
    CHECK(all_installed);

    // Everybody is pulled apart now, and delivers it all the same.
    for (Number number = 1; number <= 3; ++number) ring.cut_off(number);
    REQUIRE(
        ring.run_until([&] { return ring.formed({1}) && ring.formed({2}) && ring.formed({3}); }));
    for (Number number = 1; number <= 3; ++number) {
      CHECK(times_delivered(ring, number, "early") == 1);
    }
  }
}

// C4: what all have received is delivered by all, whoever sent it [rule 14 c'].
TEST_CASE(
    "a safe message that one member delivered is delivered by all, though all are cut apart") {
  for (Number sender : {1U, 2U, 3U}) {
    CAPTURE(sender);
    TestRing ring(3);
    ring.start_all();
    REQUIRE(ring.run_until([&] { return ring.formed({1, 2, 3}); }));
    ring.run_for(milliseconds(500));
    REQUIRE(ring.multicast(sender, Service::safe, "safe"));
    const auto delivered = [&] {
      return std::count_if(
          ring.config.nodes.begin(), ring.config.nodes.end(),
          [&](base::NodeId id) { return ring.delivered(base::value(id), "safe"); });
    };
    REQUIRE(ring.run_until([&] { return delivered() > 0; }));
    REQUIRE(delivered() == 1);
    for (Number number = 1; number <= 3; ++number) ring.cut_off(number);
    REQUIRE(
        ring.run_until([&] { return ring.formed({1}) && ring.formed({2}) && ring.formed({3}); }));
    for (Number number = 1; number <= 3; ++number) {
      CAPTURE(number);
      CHECK(times_delivered(ring, number, "safe") == 1);
    }
  }
}

}  // namespace
}  // namespace evs
