// A seeded generator with ranges of its own, so that a seed means the same run with every compiler
// and library. Not for secrets: those come from the operating system, in the drivers.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace base {

class Random {
 public:
  explicit Random(std::uint64_t seed);

  std::uint64_t u64();

  // Uniform in [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound);

  // Uniform in [low, high], both included.
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    return low + below(high - low + 1);
  }
  Duration between(Duration low, Duration high);

  // True `numerator` times in `denominator`.
  bool chance(std::uint64_t numerator, std::uint64_t denominator) {
    return below(denominator) < numerator;
  }

  // A generator of its own for a part of the run, so that one part's draws do not shift another's.
  Random fork() { return Random(u64()); }

 private:
  std::uint64_t state_[4];
};

}  // namespace base
