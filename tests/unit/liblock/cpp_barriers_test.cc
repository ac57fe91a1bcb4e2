#include <doctest/doctest.h>
#include <liblock/barrier.hpp>

#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>

#include "tests/unit/liblock/fake_daemon.h"

using liblock_test::FakeDaemon;
using namespace std::chrono_literals;

namespace {

static_assert(std::is_nothrow_move_constructible_v<ringlock::arrival>);
static_assert(!std::is_copy_constructible_v<ringlock::arrival>);
static_assert(std::is_nothrow_copy_constructible_v<ringlock::outcome>);
static_assert(std::is_base_of_v<std::system_error, ringlock::broken>);

ringlock::client connected(const FakeDaemon& daemon) {
  return ringlock::client(ringlock::options{daemon.path(), "test", 10s});
}

// The code of what it throws; none if it does not.
template <typename Call>
std::error_code thrown(Call call) {
  try {
    call();
  } catch (const std::system_error& error) {
    return error.code();
  }
  return {};
}

constexpr ringlock::barrier_terms kTwoSteps{.parties = 2, .two_steps = true};

}  // namespace

TEST_CASE("a barrier lets go when all have come, with what they have brought") {
  FakeDaemon daemon;
  ringlock::client client = connected(daemon);
  ringlock::client other = connected(daemon);
  ringlock::barrier mine(client, "loaded", {.parties = 2});
  ringlock::barrier theirs(other, "loaded", {.parties = 2});
  std::optional<ringlock::outcome> told;
  std::thread waits([&] { told = theirs.arrive_and_wait("theirs"); });
  const ringlock::outcome outcome = mine.arrive_and_wait("mine");
  waits.join();
  CHECK(outcome.ending() == ringlock::barrier_ending::released);
  CHECK(outcome.step() == ringlock::barrier_step::enter);
  CHECK(outcome.generation() == told->generation());
  CHECK(outcome.generation() != 0);
  CHECK(outcome.membership() == 1);
  CHECK(outcome.losses() == 0);
  CHECK(outcome.lost().empty());
  REQUIRE(outcome.members().size() == 2);
  const auto& self = outcome.members()[0];
  CHECK(self.session == outcome.self());
  CHECK(ringlock::outcome::value_of(self) == "mine");
  CHECK(ringlock::outcome::value_of(told->members()[1]) == "theirs");
  CHECK(outcome.native().ring_node == told->native().ring_node);
}

TEST_CASE("an arrival is waited for later, by whoever it was moved to") {
  FakeDaemon daemon;
  ringlock::client client = connected(daemon);
  ringlock::client other = connected(daemon);
  ringlock::barrier mine(client, {"space", "loaded"}, {.parties = 2});
  ringlock::barrier theirs(other, {"space", "loaded"}, {.parties = 2});
  ringlock::arrival first = mine.arrive("mine");
  CHECK_FALSE(first.try_wait().has_value());
  ringlock::arrival moved = std::move(first);
  theirs.arrive_and_wait();
  CHECK(moved.wait().members().size() == 2);
  CHECK(thrown([&] { moved.wait(); }) == ringlock::errc::not_held);

  ringlock::arrival second = mine.arrive();
  second.withdraw();
  CHECK(thrown([&] { second.wait(); }) == ringlock::errc::cancelled);
  ringlock::arrival third = mine.arrive();
  CHECK_FALSE(third.wait_for(0ms).has_value());
  ringlock::arrival fourth = mine.arrive();
  CHECK(theirs.arrive_and_wait_for(1min).has_value());
  CHECK(fourth.wait_for(1min).has_value());
}

TEST_CASE("an arrival that nobody waits for is taken back at the end of its scope") {
  FakeDaemon daemon;
  ringlock::client client = connected(daemon);
  ringlock::client other = connected(daemon);
  ringlock::barrier mine(client, "loaded", {.parties = 2});
  { const ringlock::arrival arrival = mine.arrive(); }
  ringlock::barrier theirs(other, "loaded", {.parties = 2});
  CHECK_FALSE(theirs.arrive_and_wait_for(0ms).has_value());
  ringlock::arrival one = mine.arrive();
  ringlock::arrival two = ringlock::barrier(other, "other", {.parties = 2}).arrive();
  two = std::move(one);  // Each is the other's now.
  CHECK(theirs.arrive_and_wait_for(1min).has_value());
  CHECK(two.wait_for(1min).has_value());
}

TEST_CASE("that a barrier was broken is thrown, with how and by whom") {
  FakeDaemon daemon;
  ringlock::client client = connected(daemon);
  ringlock::barrier mine(client, "loaded", {.parties = 3});
  ringlock::arrival arrival = mine.arrive();
  std::optional<ringlock::client> other = connected(daemon);
  const ringlock::arrival lost = ringlock::barrier(*other, "loaded", {.parties = 3}).arrive();
  ringlock::arrival again = ringlock::barrier(*other, "loaded", {.parties = 3}).arrive();
  CHECK(thrown([&] { again.wait(); }) == ringlock::errc::in_progress);  // The first one is there.
  mine.cancel();
  try {
    arrival.wait();
    CHECK(false);
  } catch (const ringlock::broken& error) {
    CHECK(error.code() == ringlock::errc::broken);
    CHECK(error.outcome().ending() == ringlock::barrier_ending::cancelled);
    CHECK(error.outcome().members().size() == 2);
  }
}

TEST_CASE("who was released is inside, and leaves") {
  FakeDaemon daemon;
  ringlock::client client = connected(daemon);
  ringlock::client other = connected(daemon);
  ringlock::barrier mine(client, "work", kTwoSteps);
  ringlock::barrier theirs(other, "work", kTwoSteps);
  ringlock::arrival arrival = mine.arrive();
  const ringlock::outcome entered = theirs.arrive_and_wait();
  arrival.wait();
  CHECK_FALSE(mine.leave_for(0ms, entered).has_value());
  CHECK(theirs.leave(entered, "bye").step() == ringlock::barrier_step::leave);
  const ringlock::outcome left = mine.leave(entered);
  CHECK(ringlock::outcome::value_of(left.members()[1]) == "bye");
  CHECK(thrown([&] { mine.leave(entered); }) == ringlock::errc::not_found);
}

TEST_CASE("a barrier is what it was created as") {
  FakeDaemon daemon;
  ringlock::client client = connected(daemon);
  ringlock::barrier kept(client, "kept", {.parties = 2, .keep = true, .patience = 5s});
  kept.create();
  kept.create();
  CHECK(kept.native().patience_ms == 5000);
  ringlock::barrier wrong(client, "kept", {.parties = 3});
  CHECK(thrown([&] { wrong.create(); }) == ringlock::errc::different);
  CHECK(thrown([&] { wrong.arrive_and_wait(); }) == ringlock::errc::different);
  CHECK(thrown([&] { kept.cancel(); }) == ringlock::errc::not_found);
  kept.remove();
  CHECK(thrown([&] { kept.remove(true); }) == ringlock::errc::not_found);
  ringlock::barrier members(
      client, "members",
      {.unit = ringlock::barrier_unit::sessions, .on_death = ringlock::barrier_on_death::shrink});
  CHECK(thrown([&] { members.arrive_and_wait(); }) == ringlock::errc::not_joined);
  CHECK(thrown([&] { wrong.arrive(std::string(257, 'v')); }) == ringlock::errc::invalid);
}
