#include "lockd/lease.h"

#include <doctest/doctest.h>

#include <chrono>

namespace lockd {
namespace {

using namespace std::chrono_literals;
using base::Duration;

Instant at(Duration boot, Duration raw) {
  return {boot, raw};
}
Instant at(Duration both) {
  return {both, both};
}
RingId ring(std::uint64_t n) {
  return {n, base::NodeId{1}, n};
}
Mark mark(std::uint64_t session, std::uint64_t generation, std::uint64_t n) {
  return {SessionId{session}, Generation{generation}, ring(n)};
}

ReplicaConfig config() {
  ReplicaConfig config;
  config.lease = 2s;
  config.lease_margin = 200ms;
  config.clock_drift_ppm = 1000;
  return config;
}

TEST_CASE("a lease runs from the release that all have heard, less the margin") {
  Lease lease(config());
  CHECK(lease.left(at(5s)) == 0s);
  CHECK(lease.renew(at(10s)));
  CHECK(lease.left(at(10s)) == 1800ms);
  CHECK(lease.left(at(11s)) == 800ms);
  CHECK(lease.left(at(12s)) == 0s);
}

TEST_CASE("a holder trusts the clock that has run further") {
  Lease lease(config());
  lease.renew(at(10s));
  CHECK(lease.left(at(11s, 10s)) == 800ms);
  CHECK(lease.left(at(10s, 11s)) == 800ms);
}

TEST_CASE("an older release moves no lease back") {
  Lease lease(config());
  lease.renew(at(10s));
  CHECK_FALSE(lease.renew(at(9s)));
  CHECK(lease.left(at(10s)) == 1800ms);
}

TEST_CASE("the wait covers the lease on clocks that drift apart") {
  ReplicaConfig c = config();
  CHECK(c.wait_for(2s) >= Duration(2s) * 1001 / 999);
  CHECK(c.wait_for(2s) <= Duration(2s) * 1001 / 999 + 2ns);
  c.clock_drift_ppm = 100'000;
  CHECK(c.wait_for(2s) >= Duration(2s) * 11 / 9);
  CHECK(c.wait_for(24h) >= Duration(24h) * 11 / 9);
  CHECK(c.wait_for(0s) == 0s);
}

TEST_CASE("a wait is over when both clocks say so") {
  OrphanWaits waits;
  waits.add(mark(1, 1, 1), at(10s));
  CHECK(waits.take_due(at(12s, 11s), 2s, 10).empty());
  CHECK(waits.take_due(at(11s, 12s), 2s, 10).empty());
  CHECK(waits.take_due(at(12s, 12s), 2s, 10).size() == 1);
}

TEST_CASE(
    "a mark keeps the stamp it first got, and another mark of the session has its own [rule "
    "8.C3]") {
  OrphanWaits waits;
  waits.add(mark(1, 1, 1), at(10s));
  waits.add(mark(1, 1, 1), at(11s));
  waits.add(mark(1, 2, 1), at(13s));
  CHECK(waits.take_due(at(12s), 2s, 10) == std::vector{mark(1, 1, 1)});
  CHECK(waits.take_due(at(14s), 2s, 10).empty());
  CHECK(waits.take_due(at(15s), 2s, 10) == std::vector{mark(1, 2, 1)});
}

TEST_CASE(
    "marks that are due are given once, at most as many as asked for, and again after a retry") {
  OrphanWaits waits;
  for (std::uint64_t i = 1; i <= 5; ++i) {
    waits.add(mark(i, 1, 1), at(10s));
  }
  CHECK(waits.take_due(at(20s), 2s, 3).size() == 3);
  CHECK(waits.taken() == 3);
  CHECK(waits.take_due(at(20s), 2s, 3).size() == 2);
  CHECK(waits.take_due(at(20s), 2s, 3).empty());
  waits.retry();
  CHECK(waits.take_due(at(20s), 2s, 9).size() == 5);
  CHECK(waits.remove(SessionId{2}));
  CHECK_FALSE(waits.remove(SessionId{2}));
  CHECK(waits.taken() == 4);
}

TEST_CASE("a time-out is asked for when the slower clock will be there") {
  OrphanWaits waits;
  CHECK_FALSE(waits.next_due(at(0s), 2s).has_value());
  waits.add(mark(1, 1, 1), at(10s));
  CHECK(waits.next_due(at(11s, 10s), 2s) == 13s);
  CHECK(waits.next_due(at(30s), 2s) == 30s);
}

TEST_CASE("the last token of each ring is kept with the ring, and never moves back") {
  RingStamps stamps;
  CHECK_FALSE(stamps.last_token(ring(1)).has_value());
  stamps.installed(ring(1), at(1s));
  stamps.token(ring(1), at(5s));
  stamps.token(ring(1), at(4s));
  stamps.installed(ring(2), at(6s));
  stamps.token(ring(1), at(9s));
  CHECK(stamps.last_token(ring(1)) == at(5s));
  CHECK(stamps.install(ring(1)) == at(1s));
  CHECK(stamps.last_token(ring(2)) == at(6s));
}

TEST_CASE("rings are forgotten in the end, so that a node in a flapping network does not grow") {
  RingStamps stamps;
  for (std::uint64_t i = 1; i <= RingStamps::kRingsMax + 1; ++i) {
    stamps.installed(ring(i), at(1s));
  }
  CHECK_FALSE(stamps.last_token(ring(1)).has_value());
  CHECK(stamps.last_token(ring(2)).has_value());
}

}  // namespace
}  // namespace lockd
