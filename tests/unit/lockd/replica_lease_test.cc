// Leases, waits, and the exits of orphans.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>

#include "tests/unit/lockd/ideal_evs.h"

namespace lockd::test {
namespace {

using namespace std::chrono_literals;

struct Three : World {
  // Node 2's clocks run fast by `rate` parts in a million, those of node 1 slow.
  explicit Three(std::int64_t rate = 0) : World(3) {
    (*this)[1].boot_rate = (*this)[1].raw_rate = -rate;
    (*this)[2].boot_rate = (*this)[2].raw_rate = rate;
    start_all();
    settle();
    holder = open(*this, 1);
    waiter = open(*this, 2);
    run(100ms);
    held = acquire(*this, 1, holder, "k");
    settle();
    REQUIRE(granted((*this)[1], holder, held).has_value());
    waiting = acquire(*this, 2, waiter, "k");
    settle();
    REQUIRE_FALSE(granted((*this)[2], waiter, waiting).has_value());
  }

  // Runs on until node 2 is told its grant; how long that took.
  Duration until_granted(Duration limit) {
    const Duration begin = true_time();
    while (!granted((*this)[2], waiter, waiting) && true_time() - begin < limit) {
      run(5ms, 5ms);
    }
    return true_time() - begin;
  }

  TestSession holder;
  TestSession waiter;
  RequestId held{};
  RequestId waiting{};
};

TEST_CASE(
    "the locks of a departed node are freed after the wait, counted from the last token with it") {
  Three world;
  const Instant last = world[2].evidence.last_receipt;
  world.pass(700ms);
  world.crash(1);
  world.install({2, 3});
  world.settle();
  world.until_granted(5s);
  const Duration waited = base::elapsed_at_least(last, world.now(world[2]));
  CHECK(waited >= world[2].config.wait_for(2s));
  CHECK(waited <= world[2].config.wait_for(2s) + 100ms);
  CHECK(world.replica(2).statistics().orphans_marked == 1);
  CHECK(world.replica(2).statistics().orphans_expired == 1);
}

TEST_CASE(
    "the last promise of a cut-off holder is over before its lock goes on, whoever has the faster "
    "clock") {
  for (const std::int64_t rate : {-900, 0, 900}) {
    Three world(rate);
    world[1].frozen = true;
    world.install({2, 3});
    const Instant deadline = *world.replica(1).lease_deadline();
    world.until_granted(5s);
    REQUIRE(granted(world[2], world.waiter, world.waiting).has_value());
    CHECK(world.now(world[1]).boot > deadline.boot + world[1].config.lease_margin);
  }
}

TEST_CASE("the wait survives changes of ring: a later ring does not begin it anew [rule 6.4]") {
  Three world;
  const Duration cut = world.true_time();
  world.crash(1);
  world.install({2, 3});
  for (int i = 0; i < 10; ++i) {
    world.run(150ms);
    world.install({2, 3});
  }
  world.until_granted(5s);
  CHECK(world.true_time() - cut <= 2300ms);
}

TEST_CASE(
    "the wait survives the last witness: a newcomer counts from its own install [rule 7.A2]") {
  Three world;
  world.crash(1);
  world.install({2, 3});
  world.run(500ms);
  world.start(1);
  world.install({1, 2, 3});
  world.run(500ms);
  CHECK(world.replica(1).statistics().snapshots_loaded == 1);
  const Duration install = world.true_time();
  world.crash(3);
  world.install({1, 2});
  world.run(10ms);
  world[2].frozen = false;
  const State* table = world.replica(1).table();
  REQUIRE(table != nullptr);
  CHECK(table->orphans().size() == 1);
  world.until_granted(5s);
  CHECK(granted(world[2], world.waiter, world.waiting).has_value());
  CHECK(world.true_time() - install < 2100ms);
}

TEST_CASE("a client that resumes in time keeps its locks, and an EXPIRE of the old mark misses") {
  Three world;
  world.install({2, 3});
  world.settle();
  CHECK(world.replica(2).statistics().orphans_marked == 1);
  world.run(500ms);
  world.install({1, 2, 3});
  world.settle();
  CHECK(world.replica(1).statistics().snapshots_loaded == 1);

  Resume resume;
  resume.session = world.holder.id;
  resume.generation = Generation{base::value(world.holder.generation) + 1};
  resume.secret.bits.fill(std::byte{1});
  resume.instance.bits.fill(std::byte{2});
  REQUIRE(world.replica(1).submit(world.now(world[1]), resume).has_value());
  world.run(100ms);
  const std::optional<Resumed> resumed = last_told<Resumed>(world[1]);
  REQUIRE(resumed.has_value());
  CHECK(resumed->outcome == Resumed::Outcome::resumed);
  CHECK(world.replica(2).statistics().orphans_resumed == 1);
  CHECK(world.replica(1).lease_left(world.now(world[1]), world.holder.id, resume.generation) > 1s);
  world.run(5s);
  CHECK_FALSE(granted(world[2], world.waiter, world.waiting).has_value());
  CHECK(world.replica(2).statistics().orphans_expired == 0);
}

TEST_CASE("a node that comes back renews nothing for what is orphaned [rule 6.6]") {
  Three world;
  world.install({2, 3});
  world.settle();
  world.install({1, 2, 3});
  world.run(100ms);
  CHECK(world.replica(1).lease_left(world.now(world[1])) > 1s);
  CHECK(world.replica(1).lease_left(world.now(world[1]), world.holder.id,
                                    world.holder.generation) == 0s);
}

TEST_CASE("a session its daemon hung up on waits as long as any orphan [rule 7.A5]") {
  Three world;
  const Duration hung_up = world.true_time();
  REQUIRE(world.replica(1)
              .submit(world.now(world[1]), Detached{world.holder.id, world.holder.generation})
              .has_value());
  world.settle();
  CHECK(world.replica(3).statistics().orphans_marked == 1);
  world.until_granted(5s);
  CHECK(world.true_time() - hung_up >= 2s);
}

TEST_CASE("a mark of the same ring but of a later attachment has its own wait [rule 8.C3]") {
  Three world;
  REQUIRE(world.replica(1)
              .submit(world.now(world[1]), Detached{world.holder.id, world.holder.generation})
              .has_value());
  world.run(1500ms);
  Resume resume;
  resume.session = world.holder.id;
  resume.generation = Generation{base::value(world.holder.generation) + 1};
  resume.secret.bits.fill(std::byte{1});
  resume.instance.bits.fill(std::byte{2});
  REQUIRE(world.replica(1).submit(world.now(world[1]), resume).has_value());
  world.run(100ms);
  const Duration cut = world.true_time();
  world.crash(1);
  world.install({2, 3});
  world.until_granted(5s);
  CHECK(world.true_time() - cut >= 1900ms);
}

TEST_CASE("a lease grows only in a ring whose ACTIVATE was delivered [rule 6.4]") {
  Three world;
  const std::optional<Instant> before = world.replica(2).lease_deadline();
  for (const std::uint32_t node : {2u, 3u}) {
    world[node].disk_stuck = true;
  }
  world.install({2, 3});
  world.run(1s);
  CHECK(world.replica(2).lease_deadline() == before);
  for (const std::uint32_t node : {2u, 3u}) {
    world[node].disk_stuck = false;
  }
  world.run(100ms);
  CHECK(world.replica(2).lease_left(world.now(world[2])) > 1s);
}

TEST_CASE("while the clocks of a node disagree its lease is not renewed") {
  Three world;
  world.replica(1).set_clocks_agree(false);
  const std::optional<Instant> before = world.replica(1).lease_deadline();
  world.run(1s);
  CHECK(world.replica(1).lease_deadline() == before);
  world.run(2s);
  CHECK(world.replica(1).lease_left(world.now(world[1])) == 0s);
  world.replica(1).set_clocks_agree(true);
  world.run(100ms);
  CHECK(world.replica(1).lease_left(world.now(world[1])) > 1s);
}

TEST_CASE(
    "no grant is told on a lapsed lease, and it is told when the lease lives again [rule 6.3]") {
  Three world;
  const RequestId lock = acquire(world, 1, world.holder, "l");
  world.order(1);
  world.pass(3s);
  world.deliver(1);
  CHECK_FALSE(granted(world[1], world.holder, lock).has_value());
  world.rotate();
  world.rotate();
  world.attend(world[1]);
  CHECK(granted(world[1], world.holder, lock).has_value());
  CHECK(world.replica(1).statistics().held_told > 0);
}

TEST_CASE("many orphans expire in bounded steps, on an idle ring too [rule 7.B8]") {
  World world(3, [](ReplicaConfig& config) {
    config.housekeeping_under_way = 2;
    config.state_limits.purge_step = 3;
  });
  world.start_all();
  world.settle();
  for (std::uint64_t i = 1; i <= 9; ++i) {
    TestSession session = open(world, 1, i);
    for (int k = 0; k < 5; ++k) {
      acquire(world, 1, session, "k" + std::to_string(i) + std::to_string(k));
    }
    world.settle();
  }
  CHECK(world.replica(2).table()->counts().locks == 45);
  world.crash(1);
  world.install({2, 3});
  world.run(3s);
  CHECK(world.replica(2).statistics().orphans_expired == 9);
  CHECK(world.replica(2).table()->counts().locks == 0);
  CHECK(world.replica(2).table()->counts().sessions == 0);
  CHECK_FALSE(world.replica(2).table()->purge_pending());
}

TEST_CASE(
    "fencing tokens grow over ring changes and restarts, and are told only below the ceiling") {
  World world(3, [](ReplicaConfig& config) { config.token_range = 8; });
  world.start_all();
  world.settle();
  std::vector<Token> tokens;
  const auto take = [&](std::uint32_t node, std::uint64_t number, int count) {
    TestSession session = open(world, node, number);
    for (int i = 0; i < count; ++i) {
      const RequestId lock =
          acquire(world, node, session, "k" + std::to_string(number) + "." + std::to_string(i));
      world.run(40ms);
      REQUIRE(granted(world[node], session, lock).has_value());
      tokens.push_back(*granted(world[node], session, lock));
      CHECK(world[1].disk->token_ceiling >= base::value(tokens.back()));
    }
  };
  take(1, 1, 20);
  CHECK(world.replica(1).statistics().ceilings_raised > 0);
  world.install({1, 2});
  world.settle();
  take(1, 2, 20);
  for (const std::uint32_t node : {1u, 2u, 3u}) {
    world.crash(node);
  }
  world.start_all();
  world.run(3s);
  take(3, 1, 5);
  CHECK(std::is_sorted(tokens.begin(), tokens.end()));
  CHECK(std::adjacent_find(tokens.begin(), tokens.end()) == tokens.end());
}

TEST_CASE(
    "no token is told while less than a majority has written the ceiling above it [rule 7.A12]") {
  World world(3, [](ReplicaConfig& config) { config.token_range = 8; });
  world.start_all();
  world.settle();
  TestSession session = open(world, 1);
  for (const std::uint32_t node : {1u, 2u}) {
    world[node].disk_stuck = true;
  }
  std::vector<RequestId> locks;
  for (int i = 0; i < 12; ++i) {
    locks.push_back(acquire(world, 1, session, "k" + std::to_string(i)));
  }
  world.run(200ms);
  std::size_t told = 0;
  for (const RequestId lock : locks) {
    const std::optional<Token> token = granted(world[1], session, lock);
    told += token ? 1 : 0;
    CHECK((!token || base::value(*token) <= 8));
  }
  CHECK(told < locks.size());
  world[2].disk_stuck = false;
  world.run(200ms);
  for (const RequestId lock : locks) {
    CHECK(granted(world[1], session, lock).has_value());
  }
}

}  // namespace
}  // namespace lockd::test
