// What happens to outcomes and departures when a ring breaks.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>

#include "tests/unit/lockd/ideal_evs.h"

namespace lockd::test {
namespace {

using namespace std::chrono_literals;

// An active ring of five, a session at node 4, one at node 2.
struct Five : World {
  Five() : World(5) {
    start_all();
    settle();
    four = open(*this, 4);
    two = open(*this, 2);
    run(100ms);
  }
  TestSession four;
  TestSession two;
};

TEST_CASE(
    "a grant delivered in a transitional configuration is told after the next activation [rule "
    "7.A6]") {
  Five world;
  const RequestId lock = acquire(world, 4, world.four, "k");
  world.order(4);
  world.install({3, 4, 5});
  CHECK_FALSE(granted(world[4], world.four, lock).has_value());
  CHECK(world.replica(4).statistics().applied_in_transition > 0);
  world.settle();
  CHECK(granted(world[4], world.four, lock).has_value());
  CHECK(world.replica(4).statistics().held_told > 0);
}

TEST_CASE("a grant delivered in a minority's transitional configuration is never told there") {
  Five world;
  const RequestId lock = acquire(world, 4, world.four, "k");
  world.order(4);
  world.install({4, 5});
  world.run(5s);
  CHECK_FALSE(granted(world[4], world.four, lock).has_value());
}

TEST_CASE(
    "what is delivered out of an install step is not told, though in a regular configuration [rule "
    "6.3]") {
  Five world;
  const RequestId lock = acquire(world, 4, world.four, "k");
  world.order(4);
  const std::size_t all = world[4].ring->log.size();
  world.install({4}, {{4, {all, SIZE_MAX}}});
  world.run(1s);
  CHECK_FALSE(granted(world[4], world.four, lock).has_value());
}

TEST_CASE("a snapshot discards what its node held, and asks again [rule 6.12]") {
  Five world;
  // Nobody beyond {4,5} has the command: three parts, none of which is quorate.
  const RequestId lock = acquire(world, 4, world.four, "k");
  world.order(4);
  world.install({4, 5});
  CHECK(world.replica(4).statistics().applied_in_transition == 1);
  world.install({1, 2}, {{1, {0, 0}}});
  world.install({3}, {{3, {0, 0}}});
  world.settle();
  // {1,2} and {4,5} have as many votes; 1 is lower.
  world.install({1, 2, 3, 4, 5});
  world.order(1);
  CHECK_FALSE(granted(world[4], world.four, lock).has_value());
  world.settle();
  CHECK(world.replica(4).statistics().held_discarded == 1);
  CHECK(world.replica(4).statistics().snapshots_loaded == 1);
  CHECK(world.replica(1).statistics().snapshots_loaded == 0);
  // 4 was not with the donor: its session is orphaned, and the request is refused in the order.
  CHECK_FALSE(granted(world[4], world.four, lock).has_value());
  CHECK(world.replica(1).table()->find(world.four.id)->orphaned());
  CHECK_FALSE(world.replica(1).table()->find_lock(world.four.id, lock).has_value());
  for (const std::uint32_t node : {1u, 2u, 3u, 4u, 5u}) {
    CHECK_FALSE(world.replica(node).stop_reason().has_value());
  }
}

TEST_CASE(
    "who departed is marked at the ACTIVATE, not at the transitional configuration [rule 6.14]") {
  Five world;
  const RequestId mine = acquire(world, 4, world.four, "k");
  world.settle();
  REQUIRE(granted(world[4], world.four, mine).has_value());
  const std::uint64_t marked = world.replica(1).statistics().orphans_marked;
  world.install({1, 2, 3});
  CHECK(world.replica(1).statistics().orphans_marked == marked);
  world.settle();
  CHECK(world.replica(1).statistics().orphans_marked == marked + 1);
  const Session* session = world.replica(1).table()->find(world.four.id);
  REQUIRE(session != nullptr);
  CHECK(session->orphaned());
}

TEST_CASE("a request of a departed node delivered after its departure is applied as before it") {
  Five world;
  // 4 was told of k in the regular configuration; the others deliver it in the transitional one.
  const RequestId mine = acquire(world, 4, world.four, "k");
  world.order(4);
  const RequestId theirs = acquire(world, 2, world.two, "k");
  world.order(4);
  world.deliver(4);
  REQUIRE(granted(world[4], world.four, mine).has_value());
  world.install({1, 2, 3});
  world.settle();
  CHECK_FALSE(granted(world[2], world.two, theirs).has_value());
  CHECK(world.replica(2).table()->find_lock(world.four.id, mine)->granted);
}

TEST_CASE("departures are those of the whole chain since the last active ring [rule 6.14]") {
  Five world;
  world.install({3, 4});
  world.install({1, 2});
  world.settle();
  world.install({3});
  world.install({4, 5});
  world.settle();
  // 3 comes to 1 and 2 from a chain of its own; 4, 5 are gone, and 3 is taken to have been.
  world.install({1, 2, 3});
  world.run(100ms);
  const State* table = world.replica(1).table();
  REQUIRE(table != nullptr);
  CHECK(table->find(world.four.id)->orphaned());
  CHECK(table->find(world.two.id)->attached());
}

TEST_CASE(
    "ACTIVATE delivered in a transitional configuration labels the table, and no more [rule "
    "6.19]") {
  World world(3);
  world.start_all();
  world.settle();
  world.install({1, 2});
  // To the brink: PERSISTED of both is delivered, ACTIVATE is in the log.
  for (const std::uint32_t node : {1u, 2u}) {
    world[node].disk_stuck = true;
  }
  world.settle();
  world.write(1);
  for (const std::uint32_t node : {1u, 2u}) {
    world[node].disk_stuck = false;
    world.write(node);
  }
  world.order(1);
  world.deliver(1);
  world.deliver(2);
  world.order(1);
  const std::optional<Instant> before = world.replica(2).lease_deadline();
  world.install({2});
  CHECK(world.replica(2).statistics().activations_in_transition == 1);
  CHECK(world.replica(2).statistics().activations == 1);
  CHECK(world.replica(2).table() == nullptr);
  world.run(1s);
  CHECK(world.replica(2).lease_deadline() == before);
  CHECK(world.replica(2).status(world.now(world[2])).epoch->number == 2);

  // 3 was in no ring of epoch 2, so nobody refutes it: the table labelled 2 donates, though 1 is
  // gone [rule 8.C2].
  world.crash(1);
  world.install({2, 3});
  world.settle();
  CHECK(world.replica(2).statistics().cold_starts == 1);
  CHECK(world.replica(3).statistics().snapshots_loaded == 1);
}

TEST_CASE(
    "tables of different chains may differ: one is chosen, the others load, nobody stops [rule "
    "6.13]") {
  Five world;
  const RequestId mine = acquire(world, 4, world.four, "k");
  const RequestId theirs = acquire(world, 2, world.two, "k");
  world.order(4);
  // {4,5} miss what 2 sent, {1,2} what 4 sent; neither was delivered by anybody.
  const std::size_t known = world[4].delivered;
  world.install({4, 5}, {{4, {0, known}}});
  world.install({1, 2}, {{1, {0, known}}});
  world.install({3}, {{3, {0, known}}});
  world.settle();
  world.install({1, 2, 3, 4, 5});
  world.run(100ms);
  CHECK(granted(world[2], world.two, theirs).has_value());
  CHECK_FALSE(granted(world[4], world.four, mine).has_value());
  for (const std::uint32_t node : {1u, 2u, 3u, 4u, 5u}) {
    CHECK_FALSE(world.replica(node).stop_reason().has_value());
    CHECK(world.replica(node).table() != nullptr);
  }
}

TEST_CASE("a replica whose table differs stops, loudly, and the others go on [rule 7.C]") {
  Five world;
  world[3].damage = [&](Buffer& payload) {
    std::optional<RingMessage> message = decode_ring_message(payload);
    auto* ordered = message ? std::get_if<Ordered>(&message->body) : nullptr;
    if (ordered != nullptr && std::holds_alternative<Acquire>(ordered->command.body)) {
      std::get<Acquire>(ordered->command.body).resource = "another";
      payload = encode(*message);
    }
  };
  acquire(world, 4, world.four, "k");
  acquire(world, 4, world.four, "l");
  acquire(world, 4, world.four, "m");
  world.settle();
  REQUIRE(world.replica(3).stop_reason().has_value());
  CHECK(world.replica(3).stop_reason()->find("state digest differs") == 0);
  for (const std::uint32_t node : {1u, 2u, 4u, 5u}) {
    CHECK_FALSE(world.replica(node).stop_reason().has_value());
    CHECK(world.replica(node).statistics().digest_comparisons > 0);
  }
  CHECK(world.replica(3).table() == nullptr);
}

TEST_CASE("of two that differ at an exchange, both stop") {
  World world(3, [](ReplicaConfig& config) { config.digest_interval = 1000; });
  world.start_all();
  world.settle();
  world.install({1, 2});
  world.settle();
  TestSession session = open(world, 1);
  world[2].damage = [](Buffer& payload) {
    std::optional<RingMessage> message = decode_ring_message(payload);
    auto* ordered = message ? std::get_if<Ordered>(&message->body) : nullptr;
    if (ordered != nullptr && std::holds_alternative<Acquire>(ordered->command.body)) {
      std::get<Acquire>(ordered->command.body).resource = "another";
      payload = encode(*message);
    }
  };
  acquire(world, 1, session, "k");
  world.settle();
  CHECK_FALSE(world.replica(1).stop_reason().has_value());
  world.install({1, 2, 3});
  world.settle();
  CHECK(world.replica(1).stop_reason().has_value());
  CHECK(world.replica(2).stop_reason().has_value());
  CHECK_FALSE(world.replica(3).stop_reason().has_value());
}

}  // namespace
}  // namespace lockd::test
