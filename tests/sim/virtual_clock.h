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

// How the clocks of the machines run.
enum class Clocks : std::uint8_t {
  drift,     // Each at any rate within the bound.
  at_bound,  // Both of a machine as fast, or as slow, as the bound allows.
  one_far,   // Of each machine one is at the bound, the other far off, as when it is slewed.
  astray,    // Both far off: leases prove nothing, only tokens do.
};

class VirtualClock {
 public:
  // The rates of `drift` differ from true time by at most `drift_ppm`.
  VirtualClock(base::Random& random, Clocks clocks, std::uint32_t drift_ppm) {
    const auto bound = static_cast<std::int64_t>(drift_ppm);
    boot_.ppm = raw_.ppm = random.chance(1, 2) ? bound : -bound;
    if (clocks == Clocks::one_far) {
      (random.chance(1, 2) ? boot_ : raw_).ppm = random.chance(1, 2) ? kFarPpm : -kFarPpm;
    } else if (clocks != Clocks::at_bound) {
      const std::int64_t most = clocks == Clocks::astray ? kFarPpm : bound;
      boot_.ppm = draw(random, most);
      raw_.ppm = draw(random, most);
    }
    boot_.offset = random.between(Duration(0), std::chrono::hours(1));
    raw_.offset = random.between(Duration(0), std::chrono::hours(1));
  }

  // No clock is faster than true time by more.
  static std::uint32_t fastest_ppm(Clocks clocks, std::uint32_t drift_ppm) {
    const bool far = clocks == Clocks::one_far || clocks == Clocks::astray;
    return far ? static_cast<std::uint32_t>(kFarPpm) : drift_ppm;
  }

  Instant at(Duration true_time) const { return {boot_.at(true_time), raw_.at(true_time)}; }

  // The first true time at which the boot clock shows `boot` or later.
  Duration when(Duration boot) const { return boot_.when(boot); }

  // The first true time at which either clock shows its part of `deadline`.
  Duration when_either(Instant deadline) const {
    return std::min(boot_.when(deadline.boot), raw_.when(deadline.raw));
  }

 private:
  // Clocks that differ by more are noticed (lockd/clock_watch.h).
  static constexpr std::int64_t kFarPpm = 150'000;

  struct Hand {
    std::int64_t ppm = 0;
    Duration offset{};

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

  static std::int64_t draw(base::Random& random, std::int64_t most) {
    return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(2 * most + 1))) - most;
  }

  Hand boot_;
  Hand raw_;
};

}  // namespace sim
