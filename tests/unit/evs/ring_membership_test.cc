// A ring that changes: deaths, partitions, merges, leaving and restarts.
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
  std::vector<Number> numbers;
  for (base::NodeId id : ring.config.nodes) numbers.push_back(base::value(id));
  ring.start_all();
  REQUIRE(ring.run_until([&] { return ring.formed(numbers); }));
  ring.run_for(milliseconds(500));
  REQUIRE(ring.formed(numbers));
}

// The last two changes: the transitional configuration and the regular one that follows it.
struct LastChange {
  ConfigurationChange transitional;
  ConfigurationChange regular;
};

LastChange last_change(TestRing& ring, Number number) {
  const auto changes = ring.changes(number);
  REQUIRE(changes.size() >= 2);
  const LastChange last{changes[changes.size() - 2], changes.back()};
  CHECK(last.transitional.configuration.kind == ConfigurationKind::transitional);
  CHECK(last.regular.configuration.kind == ConfigurationKind::regular);
  CHECK(last.transitional.configuration.id != last.regular.configuration.id);
  CHECK(last.transitional.joined.empty());
  CHECK(last.regular.departed.empty());
  return last;
}

TEST_CASE("a dead member departs in a transitional configuration, and a regular one follows") {
  TestRing ring(3);
  form(ring);
  const Processor dead = ring.node(3).self();
  const Configuration before = ring.node(1).regular();
  ring.kill(3);
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2}); }));
  for (Number number : {1U, 2U}) {
    const LastChange last = last_change(ring, number);
    CHECK(numbers_of(last.transitional.configuration.members) == std::vector<Number>{1, 2});
    CHECK(last.transitional.departed == std::vector{dead});
    CHECK(numbers_of(last.regular.configuration.members) == std::vector<Number>{1, 2});
    CHECK(last.regular.joined.empty());
    CHECK(last.regular.configuration.id.sequence > before.id.sequence);
    CHECK(last.regular.configuration == last_change(ring, 1).regular.configuration);
    CHECK(last.transitional.configuration == last_change(ring, 1).transitional.configuration);
  }
}

TEST_CASE("two rings merge, and each tells who joined") {
  TestRing ring(4);
  for (Number left : {1U, 2U}) {
    for (Number right : {3U, 4U}) ring.cut(left, right);
  }
  ring.start_all();
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2}) && ring.formed({3, 4}); }));
  ring.run_for(std::chrono::seconds(1));
  ring.mend_all();
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2, 3, 4}); }));
  const LastChange left = last_change(ring, 1);
  CHECK(numbers_of(left.transitional.configuration.members) == std::vector<Number>{1, 2});
  CHECK(left.transitional.departed.empty());
  CHECK(numbers_of(left.regular.joined) == std::vector<Number>{3, 4});
  const LastChange right = last_change(ring, 4);
  CHECK(numbers_of(right.transitional.configuration.members) == std::vector<Number>{3, 4});
  CHECK(numbers_of(right.regular.joined) == std::vector<Number>{1, 2});
  CHECK(left.transitional.configuration.id != right.transitional.configuration.id);
  CHECK(left.regular.configuration == right.regular.configuration);
}

TEST_CASE("a partition leaves a ring on each side, and healing makes one of them again") {
  TestRing ring(5);
  form(ring);
  for (Number left : {1U, 2U, 3U}) {
    for (Number right : {4U, 5U}) ring.cut(left, right);
  }
  REQUIRE(ring.multicast(1, Service::safe, "left"));
  REQUIRE(ring.multicast(5, Service::safe, "right"));
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2, 3}) && ring.formed({4, 5}); }));
  CHECK(numbers_of(last_change(ring, 2).transitional.departed) == std::vector<Number>{4, 5});
  CHECK(numbers_of(last_change(ring, 5).transitional.departed) == std::vector<Number>{1, 2, 3});
  REQUIRE(ring.run_until([&] { return ring.delivered(3, "left") && ring.delivered(4, "right"); }));
  ring.mend_all();
  CHECK(ring.run_until([&] { return ring.formed({1, 2, 3, 4, 5}); }));
  CHECK_FALSE(ring.delivered(4, "left"));
  CHECK_FALSE(ring.delivered(1, "right"));
}

TEST_CASE("a leave is told without waiting for the token timeout") {
  TestRing ring(3);
  form(ring);
  const Processor leaver = ring.node(2).self();
  const auto losses = [&] {
    return ring.node(1).statistics().token_losses + ring.node(3).statistics().token_losses;
  };
  const std::uint64_t before = losses();
  ring.leave(2);
  CHECK(ring.node(2).state() == NodeState::left);
  REQUIRE(ring.run_until([&] { return ring.formed({1, 3}); }, ring.config.token_timeout / 2));
  CHECK(losses() == before);
  CHECK(last_change(ring, 1).transitional.departed == std::vector{leaver});
}

TEST_CASE("a node that left is silent, deaf and takes no message") {
  TestRing ring(2);
  form(ring);
  ring.leave(1);
  CHECK_FALSE(ring.node(1).next_timeout().has_value());
  const auto result = ring.multicast(1, Service::agreed, "too late");
  REQUIRE_FALSE(result);
  CHECK(result.error() == MulticastError::left);
  const std::size_t events = ring.events(1).size();
  int sent = 0;
  ring.fate = [&](Number from, Number, const Message&) {
    sent += from == 1 ? 1 : 0;
    return Fate::deliver;
  };
  ring.leave(1);
  REQUIRE(ring.run_until([&] { return ring.formed({2}); }));
  ring.run_for(std::chrono::seconds(1));
  CHECK(sent == 0);
  CHECK(ring.events(1).size() == events);
}

TEST_CASE("a lost farewell is found out by the lost token") {
  TestRing ring(3);
  form(ring);
  ring.fate = [&](Number from, Number, const Message&) {
    return from == 2 ? Fate::drop : Fate::deliver;
  };
  ring.leave(2);
  CHECK(ring.run_until([&] { return ring.formed({1, 3}); }));
}

TEST_CASE("a restarted node departs as what it was and joins as what it is") {
  TestRing ring(3);
  form(ring);
  const Processor former = ring.node(3).self();
  const std::size_t told = ring.changes(1).size();
  ring.kill(3);
  ring.start(3);
  const Processor present = ring.node(3).self();
  REQUIRE(former != present);
  REQUIRE(ring.run_until([&] {
    return ring.formed({1, 2, 3}) && ring.node(1).regular().members.back() == present;
  }));
  std::vector<Processor> departed;
  std::vector<Processor> joined;
  const auto changes = ring.changes(1);
  for (std::size_t i = told; i < changes.size(); ++i) {
    departed.insert(departed.end(), changes[i].departed.begin(), changes[i].departed.end());
    joined.insert(joined.end(), changes[i].joined.begin(), changes[i].joined.end());
  }
  CHECK(departed == std::vector{former});
  CHECK(joined == std::vector{present});
}

TEST_CASE(
    "a member that hears tokens but no packets is named by the others, and the ring goes on") {
  TestRing ring(3);
  form(ring);
  ring.fate = [&](Number, Number to, const Message& message) {
    const bool packet = std::holds_alternative<PacketMessage>(message);
    return packet && to == 3 ? Fate::drop : Fate::deliver;
  };
  REQUIRE(ring.multicast(1, Service::safe, "not for 3"));
  REQUIRE(ring.run_until([&] { return ring.delivered(1, "not for 3"); }));
  CHECK(ring.delivered(2, "not for 3"));
  CHECK(numbers_of(ring.change_of(1, "not for 3")->configuration.members) ==
        std::vector<Number>{1, 2});
  CHECK(ring.node(1).statistics().failures_to_receive +
            ring.node(2).statistics().failures_to_receive >=
        1);
}

TEST_CASE("a message begun in a ring that ended arrives whole, once, in the next") {
  TestRing ring(3);
  form(ring);
  const std::string text(kMessageBytesMax, 'z');
  REQUIRE(ring.multicast(1, Service::agreed, text));
  ring.run_for(milliseconds(1));
  REQUIRE(ring.node(1).statistics().packets_sent > 0);
  REQUIRE_FALSE(ring.delivered(1, text));
  ring.kill(3);
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2}); }));
  REQUIRE(ring.run_until([&] { return ring.delivered(1, text) && ring.delivered(2, text); }));
  ring.run_for(std::chrono::seconds(1));
  CHECK(ring.texts(1) == std::vector{text});
  CHECK(ring.texts(2) == std::vector{text});
  CHECK(numbers_of(ring.change_of(2, text)->configuration.members) == std::vector<Number>{1, 2});
}

TEST_CASE("messages multicast while a ring forms are delivered in a later one") {
  TestRing ring(3);
  form(ring);
  ring.kill(3);
  REQUIRE(ring.run_until([&] { return ring.node(2).state() == NodeState::gather; }));
  REQUIRE(ring.multicast(2, Service::safe, "meanwhile"));
  REQUIRE(ring.run_until(
      [&] { return ring.delivered(1, "meanwhile") && ring.delivered(2, "meanwhile"); }));
  CHECK(numbers_of(ring.change_of(1, "meanwhile")->configuration.members) ==
        std::vector<Number>{1, 2});
}

TEST_CASE("random cuts, deaths and restarts end in one ring, with one order and one history") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    TestRing ring(4);
    form(ring);
    base::Random random(seed);
    ring.fate = [&](Number, Number, const Message&) {
      return random.chance(1, 20) ? Fate::drop : Fate::deliver;
    };
    int sent = 0;
    for (int round = 0; round < 12; ++round) {
      const auto some = [&] { return static_cast<Number>(random.between(1, 4)); };
      for (int i = 0; i < 5; ++i) {
        const Service service = random.chance(1, 2) ? Service::safe : Service::agreed;
        REQUIRE(ring.multicast(some(), service, "m" + std::to_string(sent++)));
      }
      const Number a = some();
      const Number b = some();
      switch (random.below(4)) {
        case 0:
          if (a != b) ring.cut(a, b);
          break;
        case 1:
          ring.cut_off(a);
          break;
        case 2:
          ring.mend_all();
          break;
        default:
          if (random.chance(1, 3)) ring.start(a);
          break;
      }
      ring.run_for(milliseconds(random.below(600)));
    }
    ring.mend_all();
    ring.fate = nullptr;
    REQUIRE(ring.run_until([&] { return ring.formed({1, 2, 3, 4}); }, std::chrono::seconds(60)));

    // A place in a ring's order is one message, whoever delivers it.
    std::map<std::tuple<RingId, std::uint64_t, std::uint32_t>, std::string> order;
    for (Number number = 1; number <= 4; ++number) {
      for (const Delivery& d : ring.deliveries(number)) {
        const std::string text = base::text_of(d.payload);
        const auto [known, fresh] = order.emplace(std::tuple(d.ring, d.sequence, d.index), text);
        CHECK((fresh || known->second == text));
      }
    }
    // And a message has one place.
    std::set<std::string> texts;
    for (const auto& [place, text] : order) CHECK(texts.insert(text).second);
  }
}

}  // namespace
}  // namespace evs
