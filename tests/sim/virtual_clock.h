// The two clocks of one simulated machine: each runs at a rate of its own from an offset of its
// own, and goes on while the machine is paused or its processes are down.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/random.h"
#include "base/time.h"

namespace sim {

using base::Duration;
using base::Instant;

class VirtualClock {
 public:
  // The rates differ from true time by at most `drift_ppm`.
  VirtualClock(base::Random& random, std::uint32_t drift_ppm)
      : boot_{draw(random, drift_ppm), random.between(Duration(0), std::chrono::hours(1))},
        raw_{draw(random, drift_ppm), random.between(Duration(0), std::chrono::hours(1))} {}

  Instant at(Duration true_time) const { return {boot_.at(true_time), raw_.at(true_time)}; }

  // The first true time at which the boot clock shows `boot` or later.
  Duration when(Duration boot) const { return boot_.when(boot); }

  // The first true time at which either clock shows its part of `deadline`.
  Duration when_either(Instant deadline) const {
    return std::min(boot_.when(deadline.boot), raw_.when(deadline.raw));
  }

 private:
  struct Hand {
    std::int64_t ppm;
    Duration offset;

    Duration at(Duration true_time) const { return offset + scaled(true_time); }
    Duration when(Duration shown) const {
      const Duration local = shown - offset;
      if (local <= Duration(0)) return Duration(0);
      const auto guess = Duration(static_cast<std::int64_t>(
          static_cast<double>(local.count()) / (1.0 + static_cast<double>(ppm) / 1e6)));
      Duration before = guess;  // A time at which it does not yet show so much.
      while (before > Duration(0) && scaled(before) >= local) before -= Duration(1000);
      Duration after = guess;
      while (scaled(after) < local) after += Duration(1000);
      if (scaled(before) >= local) return before;
      while (after - before > Duration(1)) {
        const Duration middle = before + (after - before) / 2;
        (scaled(middle) < local ? before : after) = middle;
      }
      return after;
    }
    Duration scaled(Duration d) const { return d + Duration(d.count() / 1000 * ppm / 1000); }
  };

  static std::int64_t draw(base::Random& random, std::uint32_t drift_ppm) {
    return static_cast<std::int64_t>(random.below(2 * std::uint64_t{drift_ppm} + 1)) - drift_ppm;
  }

  Hand boot_;
  Hand raw_;
};

}  // namespace sim
