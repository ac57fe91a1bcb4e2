// How a member without the table gets it, and what it may do before it has.
#include <doctest/doctest.h>

#include <chrono>

#include "tests/unit/lockd/ideal_evs.h"

namespace lockd::test {
namespace {

using namespace std::chrono_literals;

ReplicaPhase phase(World& world, std::uint32_t node) {
  return world.replica(node).status(world.now(world[node])).phase;
}

// {1,2} are active with many locks of a session at 1; 3 is up and outside. Chunks are small.
struct Loaded : World {
  explicit Loaded(const Tweak& tweak = {})
      : World(3, [&](ReplicaConfig& config) {
          config.chunk_bytes = 64;
          config.chunks_under_way = 1;
          if (tweak) {
            tweak(config);
          }
        }) {
    for (const std::uint32_t node : {1u, 2u, 3u}) {
      start(node);
    }
    install({1, 2});
    settle();
    session = open(*this, 1);
    for (int i = 0; i < 20; ++i) {
      acquire(*this, 1, session, "k" + std::to_string(i));
    }
    run(40ms);
  }

  // Goes on until node 3 loads and some chunks have come.
  void load_some(int turns) {
    for (int i = 0; i < 200 && phase(*this, 3) != ReplicaPhase::loading; ++i) {
      turn();
    }
    REQUIRE(phase(*this, 3) == ReplicaPhase::loading);
    for (int i = 0; i < turns; ++i) {
      turn();
    }
  }

  TestSession session;
};

TEST_CASE(
    "a newcomer loads the table in chunks, follows the order meanwhile, and holds it after READY") {
  Loaded world;
  world.install({1, 2, 3});
  world.load_some(8);
  CHECK(phase(world, 1) == ReplicaPhase::active);
  CHECK(world.replica(1).status(world.now(world[1])).holders == 2);
  // Activation did not wait for it, and neither do locks.
  const RequestId lock = acquire(world, 1, world.session, "meanwhile");
  for (int i = 0; i < 4; ++i) {
    world.turn();
  }
  CHECK(granted(world[1], world.session, lock).has_value());
  CHECK(phase(world, 3) == ReplicaPhase::loading);
  CHECK(world.replica(3).table() == nullptr);
  world.settle();
  CHECK(phase(world, 3) == ReplicaPhase::active);
  CHECK(world.replica(1).status(world.now(world[1])).holders == 3);
  CHECK(world.replica(3).table()->digest() == world.replica(1).table()->digest());
  CHECK(world.replica(3).statistics().snapshots_loaded == 1);
  CHECK(world.replica(1).statistics().snapshots_served == 1);
}

TEST_CASE("before READY a newcomer is told nothing and renews nothing [rule 7.B4]") {
  Loaded world;
  world.install({1, 2, 3});
  world.load_some(8);
  Open command;
  command.number = OpenNumber{1};
  REQUIRE(world.replica(3).submit(world.now(world[3]), command).has_value());
  for (int i = 0; i < 6; ++i) {
    world.turn();
  }
  CHECK(phase(world, 3) == ReplicaPhase::loading);
  CHECK(world[3].told.empty());
  CHECK(world.replica(3).lease_left(world.now(world[3])) == 0s);
  world.settle();
  world.rotate();
  world.settle();
  CHECK(last_told<Opened>(world[3])->outcome == Opened::Outcome::opened);
}

TEST_CASE(
    "a half-loaded table is never claimed: the old one keeps its old label [rules 6.16, 7.B1]") {
  World world(3, [](ReplicaConfig& config) {
    config.chunk_bytes = 64;
    config.chunks_under_way = 1;
  });
  world.start_all();
  world.settle();
  TestSession session = open(world, 1);
  world.install({1, 2});
  world.settle();
  std::vector<RequestId> locks;
  for (int i = 0; i < 20; ++i) {
    locks.push_back(acquire(world, 1, session, "k" + std::to_string(i)));
  }
  world.run(40ms);
  REQUIRE(granted(world[1], session, locks[0]).has_value());
  world.install({1, 2, 3});
  for (int i = 0; i < 20; ++i) {
    world.turn();
  }
  REQUIRE(phase(world, 3) == ReplicaPhase::loading);
  // Both holders die. Table 1 of node 3 is older than what was told in 2 and 3.
  world.crash(1);
  world.crash(2);
  world.start(1);
  world.install({1, 3});
  world.run(100ms);
  CHECK(world.replica(3).statistics().cold_starts == 2);
  CHECK(world.replica(3).table()->counts().sessions == 0);
}

TEST_CASE("a log that overflows begins the load anew from a later place [rule 7.B3]") {
  Loaded world([](ReplicaConfig& config) { config.staging_log_bytes_max = 600; });
  world.install({1, 2, 3});
  world.load_some(4);
  for (int i = 0; i < 12; ++i) {
    acquire(world, 1, world.session, "more" + std::to_string(i));
  }
  world.run(100ms);
  CHECK(world.replica(3).statistics().snapshots_restarted >= 1);
  CHECK(phase(world, 3) == ReplicaPhase::active);
  CHECK(world.replica(3).table()->digest() == world.replica(1).table()->digest());
}

TEST_CASE("when the server dies another holder serves, from the beginning [rule 7.B5]") {
  Loaded world;
  world.install({1, 2, 3});
  world.load_some(8);
  world.crash(1);
  world.install({2, 3});
  world.run(100ms);
  CHECK(phase(world, 3) == ReplicaPhase::active);
  CHECK(world.replica(2).statistics().snapshots_served == 1);
  CHECK(world.replica(3).table()->digest() == world.replica(2).table()->digest());
  CHECK(world.replica(3).table()->counts().locks == 20);
}

TEST_CASE("a change of ring with the server keeps what has come [rule 7.B5]") {
  Loaded world;
  world.install({1, 2, 3});
  world.load_some(8);
  acquire(world, 1, world.session, "in transit");
  world.order(1);
  world.install({1, 2, 3});
  world.run(100ms);
  CHECK(world.replica(3).statistics().stagings_kept == 1);
  CHECK(world.replica(3).statistics().snapshots_restarted == 0);
  CHECK(world.replica(1).statistics().snapshots_served == 1);
  CHECK(phase(world, 3) == ReplicaPhase::active);
  CHECK(world.replica(3).table()->digest() == world.replica(1).table()->digest());
}

TEST_CASE("what was staged is dropped when its chain is not chosen [rule 7.B5]") {
  Loaded world;
  world.install({1, 2, 3});
  world.load_some(8);
  // 3 goes with 2, which misses the command that 1 alone has; then 1 and 2 meet again, 1 with
  // another chain.
  acquire(world, 1, world.session, "only 1 has it");
  world.order(1);
  const std::size_t known = world[3].delivered;
  world.install({3}, {{3, {0, known}}});
  world.install({1, 2}, {{1, {0, SIZE_MAX}}});
  world.settle();
  world.install({1, 2, 3});
  world.run(100ms);
  CHECK(world.replica(3).statistics().stagings_kept == 0);
  CHECK(phase(world, 3) == ReplicaPhase::active);
  CHECK(world.replica(3).table()->digest() == world.replica(1).table()->digest());
  CHECK_FALSE(world.replica(3).stop_reason().has_value());
}

TEST_CASE(
    "READY delivered in a transitional configuration makes a table, and tells nothing [rule "
    "7.A3]") {
  Loaded world;
  world.install({1, 2, 3});
  world.load_some(0);
  for (int i = 0; i < 500 && world.replica(3).statistics().snapshots_loaded == 0; ++i) {
    // Everybody speaks; 3 hears all but the last turn's words before the ring breaks.
    world.order(1);
    bool ready = false;
    for (const IdealRing::Message& message : world[3].ring->log) {
      ready = ready || std::holds_alternative<Ready>(decode_ring_message(message.payload)->body);
    }
    if (ready) {
      world.install({2, 3});
      break;
    }
    for (const std::uint32_t node : {1u, 2u, 3u}) {
      world.deliver(node);
    }
    world.rotate();
  }
  CHECK(world.replica(3).statistics().snapshots_loaded == 1);
  CHECK(world.replica(3).table() == nullptr);
  CHECK(world.replica(3).table_version() == 0);
  world.settle();
  CHECK(phase(world, 3) == ReplicaPhase::active);
  CHECK(world.replica(3).table_version() == 1);
  CHECK(world.replica(3).statistics().snapshots_loaded == 1);
}

TEST_CASE("RESUME works before READY: it clears the mark in the order [rule 7.B7]") {
  World world(3, [](ReplicaConfig& config) {
    config.chunk_bytes = 16;
    config.chunks_under_way = 1;
  });
  world.start_all();
  world.settle();
  TestSession session = open(world, 3);
  TestSession other = open(world, 1);
  for (int i = 0; i < 20; ++i) {
    acquire(world, 1, other, "k" + std::to_string(i));
  }
  world.run(40ms);
  world.install({1, 2});
  world.settle();
  CHECK(world.replica(1).table()->find(session.id)->orphaned());
  world.install({1, 2, 3});
  for (int i = 0; i < 100 && phase(world, 3) != ReplicaPhase::loading; ++i) {
    world.turn();
  }
  REQUIRE(phase(world, 3) == ReplicaPhase::loading);
  Resume resume;
  resume.session = session.id;
  resume.generation = Generation{base::value(session.generation) + 1};
  resume.secret.bits.fill(std::byte{1});
  resume.instance.bits.fill(std::byte{2});
  REQUIRE(world.replica(3).submit(world.now(world[3]), resume).has_value());
  for (int i = 0; i < 4; ++i) {
    world.order(1);
    for (const std::uint32_t node : {1u, 2u, 3u}) {
      world.deliver(node);
    }
  }
  CHECK(phase(world, 3) == ReplicaPhase::loading);
  CHECK(world.replica(1).table()->find(session.id)->attached());
  world.run(3s);
  CHECK(last_told<Resumed>(world[3])->outcome == Resumed::Outcome::resumed);
  CHECK(world.replica(1).table()->find(session.id)->attached());
}

TEST_CASE("several newcomers load from one snapshot") {
  World world(5, [](ReplicaConfig& config) { config.chunk_bytes = 64; });
  for (const std::uint32_t node : {1u, 2u, 3u, 4u, 5u}) {
    world.start(node);
  }
  world.install({1, 2, 3});
  world.settle();
  TestSession session = open(world, 1);
  acquire(world, 1, session, "k");
  world.run(40ms);
  world.install({1, 2, 3, 4, 5});
  world.run(100ms);
  CHECK(phase(world, 4) == ReplicaPhase::active);
  CHECK(phase(world, 5) == ReplicaPhase::active);
  CHECK(world.replica(1).statistics().snapshots_served == 1);
  CHECK(world.replica(4).statistics().digest_comparisons > 0);
}

}  // namespace
}  // namespace lockd::test
