#include "base/random.h"

#include <doctest/doctest.h>

TEST_CASE("a seed always means the same draws") {
  base::Random random(42);
  CHECK(random.u64() == 1546998764402558742u);
  CHECK(random.u64() == 6990951692964543102u);
}

TEST_CASE("draws stay inside their range and reach both ends") {
  base::Random random(1);
  bool low = false;
  bool high = false;
  for (int i = 0; i < 1000; ++i) {
    const auto drawn = random.between(std::uint64_t{3}, std::uint64_t{5});
    CHECK(drawn >= 3);
    CHECK(drawn <= 5);
    low |= drawn == 3;
    high |= drawn == 5;
  }
  CHECK(low);
  CHECK(high);
}
