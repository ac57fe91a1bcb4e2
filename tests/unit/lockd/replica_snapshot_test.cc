// How a member without the table gets it, and what it may do before it has.
#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

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

// {1,2} are active; 3 loads while locks are taken. It replays in the smallest steps.
struct Behind : Loaded {
  explicit Behind(const Tweak& tweak = {})
      : Loaded([&](ReplicaConfig& config) {
          config.replay_step = 1;
          if (tweak) {
            tweak(config);
          }
        }) {
    install({1, 2, 3});
    load_some(2);
    // All of the image comes; what is ordered meanwhile waits for it.
    for (int i = 0; i < 500 && !image_sent(); ++i) {
      if (i < 60) {
        acquire(*this, 1, session, "meanwhile" + std::to_string(i));
      }
      turn();
    }
    REQUIRE(image_sent());
    REQUIRE(phase(*this, 3) == ReplicaPhase::loading);
  }

  template <typename Body>
  std::optional<std::size_t> place_of_last() {
    std::optional<std::size_t> place;
    const std::vector<IdealRing::Message>& log = (*this)[3].ring->log;
    for (std::size_t i = 0; i < log.size(); ++i) {
      const std::optional<RingMessage> message = decode_ring_message(log[i].payload);
      if (std::holds_alternative<Body>(message->body)) {
        place = i;
      }
    }
    return place;
  }

  bool image_sent() {
    const std::optional<std::size_t> place = place_of_last<Chunk>();
    if (!place) {
      return false;
    }
    const std::optional<RingMessage> message =
        decode_ring_message((*this)[3].ring->log[*place].payload);
    return std::get<Chunk>(message->body).last;
  }

  // Bytes of what was ordered after the SNAPSHOT.
  std::size_t logged() {
    const std::vector<IdealRing::Message>& log = (*this)[3].ring->log;
    std::size_t bytes = 0;
    for (std::size_t i = *place_of_last<Snapshot>(); i < log.size(); ++i) {
      const std::optional<RingMessage> message = decode_ring_message(log[i].payload);
      bytes += std::holds_alternative<Ordered>(message->body) ? log[i].payload.size() : 0;
    }
    return bytes;
  }

  // Node 3 has replayed all, and holds the table that the others have.
  void check_caught_up(std::uint32_t other) {
    CHECK(phase(*this, 3) == ReplicaPhase::active);
    CHECK_FALSE(replica(3).stop_reason().has_value());
    REQUIRE(replica(3).table() != nullptr);
    CHECK(replica(3).table()->digest() == replica(other).table()->digest());
    CHECK(replica(3).table()->counts().locks > 45);
  }
};

TEST_CASE(
    "the image is that of the SNAPSHOT, though commands go on while it is written [rule 7.B9]") {
  Loaded world;
  world.install({1, 2, 3});
  int turns = 0;
  for (; turns < 500 && phase(world, 3) != ReplicaPhase::active; ++turns) {
    acquire(world, 1, world.session, "meanwhile" + std::to_string(turns));
    world.turn();
    REQUIRE_FALSE(world.replica(3).stop_reason().has_value());
  }
  CHECK(turns > 20);
  CHECK(world.replica(1).statistics().snapshots_served == 1);
  CHECK(world.replica(3).statistics().snapshots_restarted == 0);
  REQUIRE(phase(world, 3) == ReplicaPhase::active);
  world.settle();
  CHECK(world.replica(3).table()->digest() == world.replica(1).table()->digest());
}

TEST_CASE("READY is said when the log is replayed, and not before [rule 7.B9]") {
  Behind world;
  int turns = 0;
  for (; turns < 500 && !world.place_of_last<Ready>(); ++turns) {
    CHECK(phase(world, 3) == ReplicaPhase::loading);
    world.turn();
  }
  CHECK(turns > 20);
  // From now on it replays each delivery at once.
  acquire(world, 1, world.session, "after READY");
  world.turn();
  world.settle();
  CHECK(world.replica(3).statistics().snapshots_loaded == 1);
  CHECK(world.replica(3).statistics().snapshots_restarted == 0);
  world.check_caught_up(1);
}

TEST_CASE("who orders much does not keep a newcomer from catching up [rule 7.B9]") {
  Behind world;
  for (int i = 0; i < 100 && !world.place_of_last<Ready>(); ++i) {
    // No time is left for it but the deliveries'.
    for (int many = 0; many < 3; ++many) {
      acquire(world, 1, world.session, "much" + std::to_string(3 * i + many));
    }
    world.order(1);
    for (const std::uint32_t node : {1u, 2u, 3u}) {
      world.deliver(node);
    }
    world.rotate();
  }
  CHECK(world.place_of_last<Ready>().has_value());
  world.settle();
  world.check_caught_up(1);
}

TEST_CASE("a log that overflows while it is replayed begins the load anew [rules 7.B3, 7.B9]") {
  // As it comes out if there is room, so that in the same run there is just enough of it.
  const std::size_t logged = Behind().logged();
  Behind world([&](ReplicaConfig& config) { config.staging_log_bytes_max = logged; });
  REQUIRE(world.replica(3).statistics().snapshots_restarted == 0);
  acquire(world, 1, world.session, std::string(250, 'x'));
  world.turn();
  CHECK(world.replica(3).statistics().snapshots_restarted == 1);
  world.run(200ms);
  CHECK(world.replica(1).statistics().snapshots_served == 2);
  world.check_caught_up(1);
}

TEST_CASE("a newcomer that replays goes on with that in the next ring [rules 7.B5, 7.B9]") {
  Behind world;
  world.turn();
  acquire(world, 1, world.session, "in transit");
  world.order(1);
  world.install({1, 2, 3});
  CHECK(phase(world, 3) != ReplicaPhase::active);
  world.run(100ms);
  CHECK(world.replica(3).statistics().stagings_kept == 1);
  CHECK(world.replica(3).statistics().snapshots_restarted == 0);
  CHECK(world.replica(1).statistics().snapshots_served == 1);
  world.check_caught_up(1);
}

TEST_CASE("a newcomer that has the image does not need its server any more [rules 7.B5, 7.B9]") {
  Behind world;
  world.turn();
  world.crash(1);
  world.install({2, 3});
  world.run(100ms);
  CHECK(world.replica(2).statistics().snapshots_served == 0);
  CHECK(world.replica(3).statistics().snapshots_loaded == 1);
  world.check_caught_up(2);
}

TEST_CASE("an image that is not its server's stops the newcomer alone, and for good") {
  for (const bool early : {true, false}) {
    Loaded world;
    world[3].damage = [&](Buffer& payload) {
      std::optional<RingMessage> message = decode_ring_message(payload);
      auto* chunk = std::get_if<Chunk>(&message->body);
      if (chunk != nullptr && chunk->last != early && !chunk->bytes.empty()) {
        chunk->bytes.back() ^= std::byte{1};
        payload = encode(*message);
      }
    };
    world.install({1, 2, 3});
    world.run(100ms);
    REQUIRE(world.replica(3).stop_reason().has_value());
    CHECK_FALSE(world.replica(3).next_timeout().has_value());
    CHECK_FALSE(world.replica(3).poll_multicast(1 << 20).has_value());
    CHECK(phase(world, 1) == ReplicaPhase::active);
    CHECK(phase(world, 2) == ReplicaPhase::active);
    world.crash(3);
    world.start(3);
    world[3].damage = nullptr;
    world.install({1, 2, 3});
    world.run(100ms);
    CHECK(phase(world, 3) == ReplicaPhase::active);
  }
}

TEST_CASE("a server that has to stop while it writes its image sends no more of it") {
  Loaded world;
  world.install({1, 2, 3});
  world.load_some(2);
  // What the holders 1 and 2 have differs, and nobody can tell who is right.
  world[1].damage = [](Buffer& payload) {
    std::optional<RingMessage> message = decode_ring_message(payload);
    auto* ordered = std::get_if<Ordered>(&message->body);
    auto* taken = ordered == nullptr ? nullptr : std::get_if<Acquire>(&ordered->command.body);
    if (taken != nullptr) {
      taken->resource += "!";
      payload = encode(*message);
    }
  };
  for (int i = 0; i < 8 && !world.replica(1).stop_reason(); ++i) {
    acquire(world, 1, world.session, "differs" + std::to_string(i));
    world.turn();
  }
  CHECK(world.replica(1).stop_reason().has_value());
  CHECK_FALSE(world.replica(1).poll_multicast(1 << 20).has_value());
  CHECK(phase(world, 3) == ReplicaPhase::loading);
}

TEST_CASE("a ring that breaks again and again while an image is written costs no more than time") {
  Loaded world;
  for (int breaks = 0; breaks < 4; ++breaks) {
    world.install({1, 2, 3});
    world.load_some(1);
    acquire(world, 1, world.session, "break" + std::to_string(breaks));
    world.order(1);
  }
  world.install({1, 2, 3});
  world.run(200ms);
  CHECK(world.replica(1).statistics().snapshots_served == 1);
  CHECK(world.replica(3).statistics().stagings_kept >= 4);
  CHECK(phase(world, 3) == ReplicaPhase::active);
  CHECK(world.replica(3).table()->digest() == world.replica(1).table()->digest());
}

TEST_CASE("a server whose newcomer is gone lets go of the image, and makes another one later") {
  Loaded world;
  world.install({1, 2, 3});
  world.load_some(8);
  world.crash(3);
  world.install({1, 2});
  for (int i = 0; i < 10; ++i) {
    acquire(world, 1, world.session, "later" + std::to_string(i));
  }
  world.run(40ms);
  world.start(3);
  world.install({1, 2, 3});
  world.run(200ms);
  CHECK(world.replica(1).statistics().snapshots_served == 2);
  CHECK(phase(world, 3) == ReplicaPhase::active);
  CHECK(world.replica(3).table()->digest() == world.replica(1).table()->digest());
}

TEST_CASE("a SNAPSHOT for somebody else does not disturb a newcomer that has its image") {
  World world(5, [](ReplicaConfig& config) {
    config.chunk_bytes = 64;
    config.chunks_under_way = 1;
    config.replay_step = 1;
  });
  for (const std::uint32_t node : {1u, 2u, 3u, 4u, 5u}) {
    world.start(node);
  }
  world.install({1, 2, 3});
  world.settle();
  TestSession session = open(world, 1);
  world.install({1, 2, 3, 4});
  const auto image_is_there = [&] {
    bool last = false;
    for (const IdealRing::Message& message : world[4].ring->log) {
      const std::optional<RingMessage> said = decode_ring_message(message.payload);
      if (const auto* chunk = std::get_if<Chunk>(&said->body)) {
        last = last || chunk->last;
      }
    }
    return last;
  };
  for (int i = 0; i < 300 && !image_is_there(); ++i) {
    for (int many = 0; many < 8 && i < 40; ++many) {
      acquire(world, 1, session, "k" + std::to_string(8 * i + many));
    }
    world.turn();
  }
  REQUIRE(image_is_there());
  REQUIRE(phase(world, 4) == ReplicaPhase::loading);
  world.install({1, 2, 3, 4, 5});
  world.run(300ms);
  CHECK(world.replica(1).statistics().snapshots_served == 2);
  CHECK(world.replica(4).statistics().snapshots_restarted == 0);
  CHECK(world.replica(4).statistics().snapshots_loaded == 1);
  for (const std::uint32_t node : {4u, 5u}) {
    CHECK(phase(world, node) == ReplicaPhase::active);
    CHECK(world.replica(node).table()->digest() == world.replica(1).table()->digest());
  }
}

}  // namespace
}  // namespace lockd::test
