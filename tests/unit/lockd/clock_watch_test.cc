#include "lockd/clock_watch.h"

#include <doctest/doctest.h>

#include <chrono>

namespace lockd {
namespace {

using namespace std::chrono_literals;
using base::Duration;

// A machine whose boot clock runs at `percent` of the other one.
struct Machine {
  ClockWatch watch;
  base::Instant now{1000s, 500s};
  Duration suspended = 7s;

  void run(Duration raw, int percent, Duration step = 100ms) {
    for (Duration past{0}; past < raw; past += step) {
      now.raw += step;
      now.boot += step * percent / 100;
      watch.observe(now, suspended);
    }
  }
};

TEST_CASE("clocks that run alike agree, also when one is slewed as much as a system slews") {
  Machine machine;
  machine.run(60s, 100);
  CHECK(machine.watch.agree());
  machine.run(60s, 110);
  CHECK(machine.watch.agree());
  machine.run(60s, 90);
  CHECK(machine.watch.agree());
}

TEST_CASE("a clock that runs a fifth slower or faster than the other one is seen") {
  for (const int percent : {0, 75, 130, 300}) {
    CAPTURE(percent);
    Machine machine;
    machine.run(60s, 100);
    machine.run(15s, percent);
    CHECK_FALSE(machine.watch.agree());
    machine.run(25s, 100);
    CHECK(machine.watch.agree());
  }
}

TEST_CASE("a clock that jumps is seen, and forgiven when it has run well for a while") {
  Machine machine;
  machine.run(60s, 100);
  machine.now.boot += 1h;
  machine.run(1s, 100);
  CHECK_FALSE(machine.watch.agree());
  machine.run(25s, 100);
  CHECK(machine.watch.agree());
}

TEST_CASE("a suspend is no disagreement") {
  Machine machine;
  machine.run(60s, 100);
  machine.now.boot += 1h;
  machine.suspended += 1h;
  machine.run(30s, 100, 1s);
  CHECK(machine.watch.agree());
}

TEST_CASE("nothing is said of less than ten seconds") {
  Machine machine;
  machine.run(9s, 10);
  CHECK(machine.watch.agree());
  machine.run(2s, 10);
  CHECK_FALSE(machine.watch.agree());
}

TEST_CASE("a long pause between two readings is judged as a whole") {
  Machine machine;
  machine.run(20s, 100);
  machine.run(1h, 100, 1h);
  CHECK(machine.watch.agree());
  machine.run(1h, 50, 1h);
  CHECK_FALSE(machine.watch.agree());
}

}  // namespace
}  // namespace lockd
