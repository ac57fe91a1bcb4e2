// Links that carry datagrams one way only, or not all kinds of them: they end in a ring that
// stands, and when they are mended in one of all.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/evs/test_ring.h"

namespace evs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Number kNodes = 4;

void form(TestRing& ring) {
  ring.start_all();
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2, 3, 4}); }));
  ring.run_for(milliseconds(500));
}

bool carries_the_token(const Message& message) {
  return std::holds_alternative<TokenMessage>(message) ||
         std::holds_alternative<CommitMessage>(message);
}

std::size_t installs(TestRing& ring) {
  std::size_t most = 0;
  for (Number number = 1; number <= kNodes; ++number) {
    most = std::max<std::size_t>(most, ring.node(number).statistics().installs);
  }
  return most;
}

std::size_t largest_ring(TestRing& ring) {
  std::size_t largest = 0;
  for (Number number = 1; number <= kNodes; ++number) {
    const auto members = numbers_of(ring.node(number).regular().members);
    if (ring.formed(members)) largest = std::max(largest, members.size());
  }
  return largest;
}

TEST_CASE(
    "where Joins pass and the token does not, one member is left out and the others form a ring") {
  for (Number from = 1; from <= kNodes; ++from) {
    CAPTURE(from);
    const Number to = from % kNodes + 1;
    TestRing ring(kNodes);
    form(ring);
    ring.fate = [&](Number sender, Number receiver, const Message& message) {
      const bool lost = sender == from && receiver == to && carries_the_token(message);
      return lost ? Fate::drop : Fate::deliver;
    };
    // The token's loss, two attempts, and the ring.
    CHECK(ring.run_until([&] { return largest_ring(ring) == kNodes - 1; }, seconds(3)));
    std::uint64_t forced = 0;
    for (Number number = 1; number <= kNodes; ++number) {
      forced += ring.node(number).statistics().failures_forced;
    }
    CHECK(forced >= 1);
  }
}

TEST_CASE("a one-way cut ends in a ring that stands, and mended in one of all") {
  for (Number from = 1; from <= kNodes; ++from) {
    for (Number to = 1; to <= kNodes; ++to) {
      if (from == to) continue;
      for (const bool token_alone : {true, false}) {
        CAPTURE(from);
        CAPTURE(to);
        CAPTURE(token_alone);
        TestRing ring(kNodes);
        form(ring);
        ring.fate = [&](Number sender, Number receiver, const Message& message) {
          const bool lost =
              sender == from && receiver == to && (!token_alone || carries_the_token(message));
          return lost ? Fate::drop : Fate::deliver;
        };
        ring.run_for(seconds(60));
        const std::size_t before = installs(ring);
        const std::string text = "in a ring that stands";
        ring.run_for(seconds(30));
        CHECK(installs(ring) <= before + 9);  // Some three tries to take back, in 30 seconds.
        // It may be trying at this very moment.
        CHECK(ring.run_until([&] { return largest_ring(ring) >= kNodes - 1; }, seconds(1)));
        ring.fate = nullptr;
        CHECK(ring.run_until([&] { return ring.formed({1, 2, 3, 4}); }, seconds(15)));
      }
    }
  }
}

TEST_CASE(
    "without a pause before it is taken back a node behind a one-way cut breaks the ring for "
    "ever") {
  TestRing ring(kNodes);
  ring.config.readmission_pause_max = Duration(0);
  form(ring);
  ring.fate = [&](Number sender, Number receiver, const Message&) {
    return sender == 1 && receiver == 2 ? Fate::drop : Fate::deliver;
  };
  ring.run_for(seconds(60));
  const std::size_t before = installs(ring);
  ring.run_for(seconds(30));
  CHECK(installs(ring) > before + 20);
}

TEST_CASE("a stranger who is heard and does not hear ends no ring, and comes in once he hears") {
  TestRing ring(kNodes);
  for (Number number = 1; number <= 3; ++number) ring.start(number);
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2, 3}); }));
  const std::uint64_t before = ring.node(1).statistics().installs;
  ring.fate = [](Number, Number receiver, const Message&) {
    return receiver == 4 ? Fate::drop : Fate::deliver;
  };
  ring.start(4);
  ring.run_for(seconds(5));
  CHECK(ring.node(1).statistics().installs == before);
  ring.fate = nullptr;
  CHECK(ring.run_until([&] { return ring.formed({1, 2, 3, 4}); }, milliseconds(500)));
}

TEST_CASE("a node that restarts once or twice is taken back at once") {
  TestRing ring(kNodes);
  form(ring);
  for (int restart = 0; restart < 2; ++restart) {
    ring.kill(4);
    REQUIRE(ring.run_until([&] { return ring.formed({1, 2, 3}); }));
    ring.start(4);
    CHECK(ring.run_until([&] { return ring.formed({1, 2, 3, 4}); }, milliseconds(500)));
  }
}

}  // namespace
}  // namespace evs
