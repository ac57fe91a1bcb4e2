#include "evs/net/alarm.h"

#include <doctest/doctest.h>

#include "evs/net/clocks.h"
#include "tests/unit/evs_net/loop.h"

namespace {

using base::Duration;
using evs::net::Alarm;
using evs::net::read_clocks;
using std::chrono::hours;
using std::chrono::microseconds;

struct Fixture {
  Fixture() {
    alarm->on_due([this] {
      ++calls;
      called = read_clocks().boot;
    });
  }

  Loop loop;
  std::unique_ptr<Alarm> alarm = Alarm::create(loop.loop).value();
  int calls = 0;
  Duration called{};
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "an alarm calls once, when it is due and not before") {
  const Duration due = read_clocks().boot + microseconds(2500);
  alarm->set(due);
  CHECK(calls == 0);
  CHECK(loop.run_until([&] { return calls > 0; }));
  CHECK(called >= due);
  const Duration second = read_clocks().boot + microseconds(300);
  alarm->set(second);
  CHECK(loop.run_until([&] { return calls > 1; }));
  CHECK(called >= second);
  CHECK(calls == 2);
}

TEST_CASE_FIXTURE(Fixture, "what is due already comes at once, from the loop") {
  alarm->set(Duration(0));
  CHECK(calls == 0);
  CHECK(loop.run_until([&] { return calls > 0; }));
  // The same time once more.
  alarm->set(Duration(0));
  CHECK(loop.run_until([&] { return calls > 1; }));
}

TEST_CASE_FIXTURE(Fixture, "a time that is set anew takes the place of the one before") {
  alarm->set(read_clocks().boot);
  alarm->set(read_clocks().boot + hours(1));
  uv_run(&loop.loop, UV_RUN_NOWAIT);
  CHECK(calls == 0);
  alarm->set(std::nullopt);
  uv_run(&loop.loop, UV_RUN_NOWAIT);
  CHECK(calls == 0);
  alarm->set(read_clocks().boot + microseconds(100));
  CHECK(loop.run_until([&] { return calls > 0; }));
}
