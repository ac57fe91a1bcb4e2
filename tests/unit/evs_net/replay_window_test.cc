#include "evs/net/replay_window.h"

#include <doctest/doctest.h>

#include <set>

#include "base/random.h"

using evs::net::ReplayWindow;

TEST_CASE("a window accepts each counter once, in any order within its width") {
  ReplayWindow window;
  for (std::uint64_t counter : {1u, 5u, 3u, 4096u, 2u, 4097u}) {
    CHECK(window.fresh(counter));
    window.accept(counter);
    CHECK_FALSE(window.fresh(counter));
  }
  CHECK(window.highest() == 4097);
}

TEST_CASE("a counter older than the width counts as accepted") {
  ReplayWindow window;
  window.accept(5000);
  CHECK(window.fresh(5000 - ReplayWindow::kWidth + 1));
  CHECK_FALSE(window.fresh(5000 - ReplayWindow::kWidth));
}

TEST_CASE("a jump of exactly the width, and a far one, forget nothing that matters") {
  for (std::uint64_t jump : {ReplayWindow::kWidth - 1, ReplayWindow::kWidth,
                             ReplayWindow::kWidth + 1, std::uint64_t{1} << 40}) {
    ReplayWindow window;
    window.accept(7);
    window.accept(7 + jump);
    CHECK_FALSE(window.fresh(7));
    CHECK_FALSE(window.fresh(7 + jump));
    CHECK(window.fresh(7 + jump - 1));
    CHECK(window.fresh(7 + jump + 1));
  }
}

TEST_CASE("the largest counter can be accepted") {
  ReplayWindow window;
  window.accept(~std::uint64_t{0});
  CHECK_FALSE(window.fresh(~std::uint64_t{0}));
  CHECK(window.fresh(~std::uint64_t{0} - 1));
  CHECK_FALSE(window.fresh(1));
}

TEST_CASE("a window made with a floor takes only what is above it") {
  ReplayWindow window(100);
  CHECK_FALSE(window.fresh(100));
  CHECK_FALSE(window.fresh(1));
  CHECK(window.fresh(101));
  window.accept(103);
  CHECK(window.fresh(102));
  CHECK_FALSE(window.fresh(99));
}

TEST_CASE("a window agrees with a set of all counters ever accepted") {
  base::Random random(1);
  ReplayWindow window;
  std::set<std::uint64_t> accepted;
  std::uint64_t highest = 0;
  for (int i = 0; i < 100000; ++i) {
    const std::uint64_t reach = random.chance(1, 500) ? 20000 : 3000;
    const std::uint64_t low = highest > reach ? highest - reach : 1;
    const std::uint64_t counter = random.between(low, highest + (random.chance(1, 200) ? 6000 : 3));
    const bool known = counter + ReplayWindow::kWidth > highest;
    const bool fresh = counter != 0 && known && !accepted.contains(counter);
    REQUIRE(window.fresh(counter) == fresh);
    if (!fresh) continue;
    window.accept(counter);
    accepted.insert(counter);
    highest = std::max(highest, counter);
  }
}
