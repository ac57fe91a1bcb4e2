// How replicas become an active primary component, and how not.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>

#include "tests/unit/lockd/ideal_evs.h"

namespace lockd::test {
namespace {

// The members of a new ring write their attempt at an epoch, and have not heard of each other's.
void write_attempt(World& world, const std::vector<std::uint32_t>& members) {
  world.install(members);
  world.order(members.front());
  for (const std::uint32_t member : members) {
    world.deliver(member);
  }
  for (const std::uint32_t member : members) {
    world.write(member);
  }
}

using namespace std::chrono_literals;

ReplicaPhase phase(World& world, std::uint32_t node) {
  return world.replica(node).status(world.now(world[node])).phase;
}

std::uint64_t epoch_number(World& world, std::uint32_t node) {
  const std::optional<Epoch> epoch = world.replica(node).status(world.now(world[node])).epoch;
  return epoch ? epoch->number : 0;
}

bool in_log(const IdealRing& ring, std::size_t kind) {
  return std::any_of(ring.log.begin(), ring.log.end(), [&](const IdealRing::Message& message) {
    return decode_ring_message(message.payload)->body.index() == kind;
  });
}
constexpr std::size_t kPersisted = 1;
constexpr std::size_t kActivate = 2;

TEST_CASE("three fresh nodes become active, and a client takes a lock") {
  World world(3);
  world.start_all();
  world.settle();
  for (const std::uint32_t node : {1u, 2u, 3u}) {
    CHECK(phase(world, node) == ReplicaPhase::active);
    CHECK(world.replica(node).statistics().activations == 1);
    CHECK(world.replica(node).statistics().cold_starts == 1);
  }
  TestSession session = open(world, 2);
  world.run(100ms);
  const RequestId lock = acquire(world, 2, session, "k");
  world.settle();
  CHECK(granted(world[2], session, lock).has_value());
  CHECK(world.replica(2).lease_left(world.now(world[2])) > 1700ms);
  CHECK(world.replica(2).lease_left(world.now(world[2]), session.id, session.generation) > 1700ms);
  CHECK(world.replica(1).lease_left(world.now(world[1]), session.id, session.generation) == 0s);
}

TEST_CASE("a minority does nothing, and says so") {
  World world(5);
  for (const std::uint32_t node : {1u, 2u}) {
    world.start(node);
  }
  world.install({1, 2});
  world.run(5s);
  CHECK(phase(world, 1) == ReplicaPhase::inactive);
  CHECK(world.replica(1).table() == nullptr);
  CHECK(world.replica(1).status(world.now(world[1])).votes_present == 2);
  CHECK(world.replica(1).status(world.now(world[1])).votes_needed == 3);
  CHECK_FALSE(world.replica(1).lease_deadline().has_value());
}

TEST_CASE(
    "nothing is active before a majority has written, nor said to be written before it is [rule "
    "6.17]") {
  World world(3);
  for (const std::uint32_t node : {1u, 2u, 3u}) {
    world[node].disk_stuck = true;
  }
  world.start_all();
  world.run(5s);
  CHECK_FALSE(in_log(*world[1].ring, kPersisted));
  CHECK_FALSE(in_log(*world[1].ring, kActivate));
  world[2].disk_stuck = false;
  world.run(5s);
  CHECK(in_log(*world[1].ring, kPersisted));
  CHECK_FALSE(in_log(*world[1].ring, kActivate));
  world[3].disk_stuck = false;
  world.run(1s);
  CHECK(phase(world, 1) == ReplicaPhase::active);
}

TEST_CASE("a voter that can not write in time is an observer: it holds the table and has no vote") {
  World world(3);
  world[3].disk_stuck = true;
  world.start_all();
  world.run(100ms);
  CHECK(phase(world, 1) == ReplicaPhase::activating);
  world.run(1s);
  CHECK(phase(world, 1) == ReplicaPhase::active);
  CHECK(phase(world, 3) == ReplicaPhase::active);
  CHECK(world.replica(3).status(world.now(world[3])).observer);
  CHECK(world.replica(3).statistics().observers == 1);
  CHECK_FALSE(world.replica(1).status(world.now(world[1])).observer);
}

TEST_CASE("an amnesiac has no vote, though it counts as a member [rule 7.B]") {
  World world(3);
  world[1].disk.reset();
  world.start(1);
  world.start(2);
  world.install({1, 2});
  world.run(3s);
  CHECK(phase(world, 2) == ReplicaPhase::inactive);
  CHECK(world.replica(1).status(world.now(world[1])).amnesiac);
  CHECK(world.replica(2).statistics().amnesiacs_refused > 0);
  world.start(3);
  world.install({1, 2, 3});
  world.run(3s);
  CHECK(phase(world, 2) == ReplicaPhase::active);
  CHECK(phase(world, 1) == ReplicaPhase::active);
  CHECK_FALSE(world[1].disk.has_value());
}

TEST_CASE("the record says attempted before the epoch is active, and active soon after") {
  World world(3);
  world.start_all();
  world.settle();
  CHECK(world[1].disk->last_active.number == 1);
  CHECK(world[1].disk->attempts.empty());
  world.install({1, 2});
  for (const std::uint32_t node : {1u, 2u}) {
    world[node].disk_stuck = true;
  }
  world.settle();
  world[1].disk_stuck = false;
  world.write(1);
  CHECK(world[1].disk->last_active.number == 1);
  REQUIRE(world[1].disk->attempts.size() == 1);
  CHECK(world[1].disk->attempts[0].epoch.number == 2);
  CHECK(world[1].disk->attempts[0].members.size() == 2);
}

TEST_CASE("a late write of an attempt never lands on that of a newer one [rule 7.C]") {
  World world(3);
  world[1].disk_stuck = true;
  world.start_all();
  world.settle();
  REQUIRE(world[1].writing.has_value());
  const RingId first = world[1].writing->record.attempts.back().epoch.ring;
  world.install({1, 2});
  world.settle();
  // Still the old one, alone; the newer waits for it.
  CHECK(world[1].writing->record.attempts.back().epoch.ring == first);
  world[1].disk_stuck = false;
  world.settle();
  CHECK(phase(world, 1) == ReplicaPhase::active);
  CHECK(world[1].disk->last_active.ring == world[1].ring->configuration.id);
}

TEST_CASE("a write that failed leaves no PERSISTED behind") {
  World world(3);
  world[1].disk_stuck = true;
  world[3].disk_stuck = true;
  world.start_all();
  world.settle();
  REQUIRE(world[1].writing.has_value());
  world.replica(1).handle_record_written(world.now(world[1]), world[1].writing->id, false);
  world[1].writing.reset();
  world.attend(world[1]);
  world.run(3s);
  CHECK(phase(world, 2) == ReplicaPhase::activating);

  // The next one goes into the same slot: the other holds what is durable for certain.
  world.install({1, 2, 3});
  world.settle();
  REQUIRE(world[1].writing.has_value());
  CHECK(slot_of(world[1].writing->record.generation) != slot_of(world[1].disk->generation));
  world[1].disk_stuck = false;
  world.run(1s);
  CHECK(phase(world, 2) == ReplicaPhase::active);
}

TEST_CASE(
    "a command ordered before the ACTIVATE of its ring, or in another ring, is ignored by all "
    "[rule 6.22]") {
  World world(3);
  world.start_all();
  // Straight into the log, as a confused sender might.
  const RingId ring = world[1].ring->configuration.id;
  const Command purge{ring, Purge{}};
  world[1].ring->log.push_back({world[1].self, encode(RingMessage{ring, Ordered{0, purge}})});
  const RingId other{1, NodeId{1}, 1};
  world.settle();
  world[1].ring->log.push_back(
      {world[1].self, encode(RingMessage{other, Ordered{0, Command{other, Purge{}}}})});
  world.settle();
  CHECK(world.replica(2).statistics().before_activate_ignored == 1);
  CHECK(world.replica(2).statistics().foreign_ring_ignored == 1);
  CHECK(world.replica(2).statistics().applied == 1);  // The COLD_END of a fresh cluster.
}

TEST_CASE("commands under way when the ring changes are sent again, and applied once") {
  World world(3);
  world.start_all();
  world.settle();
  TestSession session = open(world, 1);
  const RequestId lock = acquire(world, 1, session, "k");
  world.install({1, 2, 3});
  world.settle();
  CHECK(granted(world[1], session, lock).has_value());
  CHECK(world.replica(1).table()->counts().locks == 1);

  // Numbered, but delivered by nobody before the ring broke, and lost with it.
  const RequestId second = acquire(world, 1, session, "l");
  world.order(1);
  world.install({1, 2, 3}, {{1, {0, SIZE_MAX}}});
  world.settle();
  CHECK(granted(world[1], session, second).has_value());
  CHECK(world.replica(1).table()->counts().locks == 2);
}

TEST_CASE("a submit is refused when too many are under way, and taken when they are through") {
  World world(3, [](ReplicaConfig& config) { config.commands_max = 3; });
  world.start_all();
  world.settle();
  TestSession session = open(world, 1);
  for (int i = 0; i < 3; ++i) {
    acquire(world, 1, session, "k" + std::to_string(i));
  }
  const base::Result<void, SubmitError> refused =
      world.replica(1).submit(world.now(world[1]), Close{session.id, session.generation});
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error() == SubmitError::try_again);
  world.settle();
  CHECK(world.replica(1)
            .submit(world.now(world[1]), Close{session.id, session.generation})
            .has_value());
}

TEST_CASE("a failed attempt wipes no table: who was there and delivered nothing refutes it") {
  World world(3);
  world.start_all();
  world.settle();
  TestSession session = open(world, 1);
  const RequestId lock = acquire(world, 1, session, "k");
  world.settle();
  const Token token = *granted(world[1], session, lock);

  // {1,2} write attempt 2; the ring breaks before ACTIVATE.
  write_attempt(world, {1, 2});
  CHECK(world[1].disk->attempts.size() == 1);
  world.install({1, 2, 3});
  world.settle();
  CHECK(epoch_number(world, 1) == 3);
  CHECK(world.replica(1).statistics().attempts_refuted == 1);
  REQUIRE(world.replica(1).table()->find_lock(session.id, lock).has_value());
  CHECK(world.replica(1).table()->find_lock(session.id, lock)->token == token);
}

TEST_CASE("an attempt whose members all restarted may have been active: cold start [rule 6.11]") {
  World world(3);
  world.start_all();
  world.settle();
  world.install({1, 2});
  world.settle();
  CHECK(epoch_number(world, 1) == 2);
  world.crash(1);
  world.crash(2);
  world.start(1);
  world.start(2);
  world.install({1, 2, 3});
  world.settle();
  // 3 holds table 1, which is older than what may have been told in 2.
  CHECK(world.replica(3).statistics().cold_starts == 2);
  CHECK(world.replica(3).table()->cold().has_value());
  CHECK(world.replica(3).table()->counts().sessions == 0);
}

TEST_CASE("the record does not forget an attempt that may have been active [rule 8.C1]") {
  World world(3);
  world.start_all();
  world.settle();
  open(world, 3);
  // {1,2} are active in 2, where locks are told; both restart before they could write that it was
  // active.
  world.install({1, 2});
  for (const std::uint32_t node : {1u, 2u}) {
    world.order(node);
    world.deliver(node);
  }
  world.deliver(1);
  world.write(1);
  world.write(2);
  for (int i = 0; i < 4; ++i) {
    for (const std::uint32_t node : {1u, 2u}) {
      world[node].disk_stuck = true;
      world.order(node);
      world.deliver(1);
      world.deliver(2);
    }
  }
  CHECK(phase(world, 1) == ReplicaPhase::active);
  CHECK(epoch_number(world, 1) == 2);
  world.crash(1);
  world.crash(2);
  world[1].disk_stuck = world[2].disk_stuck = false;
  world.start(1);
  world.start(2);
  // A cold attempt 3 is written by both, and breaks.
  write_attempt(world, {1, 2});
  CHECK(world[1].disk->attempts.size() == 2);
  world.install({1, 2, 3});
  world.settle();
  CHECK(world.replica(3).table()->counts().sessions == 0);
  CHECK(world.replica(3).statistics().cold_starts == 2);
}

TEST_CASE(
    "a total restart begins cold, with tokens above all that were told, and grants after the "
    "wait") {
  World world(3);
  world.start_all();
  world.settle();
  TestSession session = open(world, 1);
  const RequestId lock = acquire(world, 1, session, "k");
  world.settle();
  const Token before = *granted(world[1], session, lock);
  for (const std::uint32_t node : {1u, 2u, 3u}) {
    world.crash(node);
  }
  const Duration crashed = world.true_time();
  world.start_all();
  world.settle();
  CHECK(world.replica(1).status(world.now(world[1])).cold);
  TestSession next = open(world, 2);
  const RequestId again = acquire(world, 2, next, "k");
  world.run(1900ms);
  CHECK_FALSE(granted(world[2], next, again).has_value());
  world.run(400ms);
  REQUIRE(granted(world[2], next, again).has_value());
  CHECK(*granted(world[2], next, again) > before);
  CHECK(world.true_time() - crashed >= 2s);
}

TEST_CASE("cold is in the table: a change of ring does not end it early [rule 6.15]") {
  World world(3);
  world.start_all();
  world.settle();
  open(world, 1);
  for (const std::uint32_t node : {1u, 2u, 3u}) {
    world.crash(node);
  }
  world.start_all();
  world.settle();
  world.run(300ms);
  world.install({1, 2});
  world.settle();
  TestSession next = open(world, 2);
  const RequestId lock = acquire(world, 2, next, "k");
  world.run(1s);
  CHECK(world.replica(2).table()->cold().has_value());
  CHECK_FALSE(granted(world[2], next, lock).has_value());
  // The wait goes on where it began, in the first ring.
  world.run(1s);
  CHECK_FALSE(world.replica(2).table()->cold().has_value());
  CHECK(granted(world[2], next, lock).has_value());
}

TEST_CASE("a node that has been up for days counts a cold start from the cold ring [rule 7.A1]") {
  World world(5);
  for (const std::uint32_t node : {1u, 2u, 3u, 4u, 5u}) {
    world.start(node);
  }
  world.install({4, 5});
  world.install({1, 2, 3});
  world.settle();
  world.run(10s);
  TestSession session = open(world, 2);
  const RequestId lock = acquire(world, 2, session, "k");
  world.settle();
  REQUIRE(granted(world[2], session, lock).has_value());
  world.crash(1);
  world.start(1);
  world.install({1, 4, 5});
  world.settle();
  CHECK(world.replica(4).table()->cold().has_value());
  world.run(1900ms);
  CHECK(world.replica(4).table()->cold().has_value());
  world.run(300ms);
  CHECK_FALSE(world.replica(4).table()->cold().has_value());
}

TEST_CASE(
    "a witness keeps the table: what it heard is not lost with the last other holder [rule 6.18]") {
  World world(3, [](ReplicaConfig& config) { config.nodes[2].witness = true; });
  world.start_all();
  world.settle();
  world.install({2, 3});
  world.settle();
  TestSession session = open(world, 2);
  const RequestId lock = acquire(world, 2, session, "k");
  world.settle();
  world.crash(2);
  world.install({1, 3});
  world.run(100ms);
  REQUIRE(world.replica(1).table() != nullptr);
  CHECK(world.replica(1).table()->find_lock(session.id, lock).has_value());
  CHECK(world.replica(1).statistics().snapshots_loaded == 1);
}

TEST_CASE("members with other votes attempt nothing, and say why") {
  World world(3);
  world[3].config.nodes[0].votes = 2;
  world.start_all();
  world.settle();
  CHECK(phase(world, 1) == ReplicaPhase::inactive);
  CHECK(world.replica(1).status(world.now(world[1])).different_configuration);
}

TEST_CASE("bytes that are no message are counted and dropped by all alike") {
  World world(3);
  world.start_all();
  world.settle();
  world[1].ring->log.push_back({world[1].self, Buffer(20)});
  world[1].ring->log.push_back({world[1].self, Buffer{}});
  world.settle();
  CHECK(world.replica(1).statistics().malformed == 2);
  CHECK(phase(world, 1) == ReplicaPhase::active);
}

}  // namespace
}  // namespace lockd::test
