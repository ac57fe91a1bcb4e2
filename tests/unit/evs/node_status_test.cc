// What a ring member tells of itself.
#include "evs/node_status.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/unit/evs/test_ring.h"

namespace evs {
namespace {

using std::chrono::milliseconds;

TEST_CASE("rotations are told as the last, an average and the longest") {
  RotationTimes times;
  times.add(milliseconds(16));
  CHECK(times.average == milliseconds(16));
  times.add(milliseconds(32));
  CHECK(times.last == milliseconds(32));
  CHECK(times.average == milliseconds(17));
  times.add(milliseconds(1));
  CHECK(times.last == milliseconds(1));
  CHECK(times.average == milliseconds(16));
  CHECK(times.longest == milliseconds(32));
}

TEST_CASE("a busy ring's rotation is as long as the way round") {
  TestRing ring(3);
  ring.start_all();
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2, 3}); }));
  for (int i = 0; i < 200; ++i) {
    for (Number number : {1U, 2U, 3U}) CHECK(ring.multicast(number, Service::agreed, "work"));
    ring.run_for(3 * TestRing::kLatency);
  }
  const NodeStatus status = ring.node(2).status(ring.now());
  CHECK(status.rotation.last == 3 * TestRing::kLatency);
  CHECK(status.rotation.average < 4 * TestRing::kLatency);
  CHECK(status.rotation.longest >= status.rotation.last);
}

TEST_CASE("each node is told with how far it has acknowledged and when it was heard") {
  TestRing ring(4);
  for (Number number : {1U, 2U, 3U}) ring.start(number);
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2, 3}); }));
  CHECK(ring.multicast(1, Service::safe, "one"));
  REQUIRE(ring.run_until([&] { return ring.delivered(1, "one"); }));
  ring.run_for(milliseconds(500));

  const NodeStatus before = ring.node(1).status(ring.now());
  REQUIRE(before.peers.size() == 4);
  CHECK(before.highest == before.stable);
  CHECK(before.delivered == before.received);
  for (std::size_t i : {0U, 1U, 2U}) {
    CHECK(before.peers[i].acknowledged == before.highest);
    CHECK(before.peers[i].member == ring.node(static_cast<Number>(i + 1)).self());
  }
  CHECK_FALSE(before.peers[0].heard.has_value());
  CHECK(before.peers[1].heard.has_value());
  CHECK_FALSE(before.peers[3].member.has_value());
  CHECK_FALSE(before.peers[3].heard.has_value());

  // What node 3 does not acknowledge is not stable, and kept.
  ring.stop(3);
  const Duration stopped = ring.now().boot;
  CHECK(ring.multicast(1, Service::agreed, "two"));
  ring.run_for(milliseconds(100));
  const NodeStatus after = ring.node(1).status(ring.now());
  CHECK(after.highest == before.highest + 1);
  CHECK(after.delivered == after.highest);
  CHECK(after.stable == before.highest);
  CHECK(after.peers[2].acknowledged == before.highest);
  CHECK(after.stored == 1);
  CHECK(*after.peers[2].heard >= ring.now().boot - stopped);
  CHECK(*after.peers[2].heard < milliseconds(201));
}

TEST_CASE("what waits for the token is told") {
  TestRing ring(2);
  ring.start_all();
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2}); }));
  ring.cut(1, 2);
  ring.run_for(milliseconds(100));
  CHECK(ring.node(1).status(ring.now()).waiting_messages == 0);
  // The token may rest here; the first message sends it off.
  for (int i = 0; i < 5; ++i) CHECK(ring.multicast(1, Service::agreed, "0123456789"));
  const NodeStatus status = ring.node(1).status(ring.now());
  CHECK(status.waiting_messages >= 4);
  CHECK(status.waiting_bytes >= 10 * status.waiting_messages);
}

}  // namespace
}  // namespace evs
