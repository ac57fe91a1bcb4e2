// The two clocks of one simulated machine: each runs at a rate of its own from an offset of its
// own, and goes on while the machine is paused or its processes are down.
#pragma once

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
      : boot_ppm_(draw(random, drift_ppm)),
        raw_ppm_(draw(random, drift_ppm)),
        boot_offset_(random.between(Duration(0), std::chrono::hours(1))),
        raw_offset_(random.between(Duration(0), std::chrono::hours(1))) {}

  Instant at(Duration true_time) const {
    return {boot_offset_ + scaled(true_time, boot_ppm_), raw_offset_ + scaled(true_time, raw_ppm_)};
  }

  // The first true time at which the boot clock shows `boot` or later.
  Duration when(Duration boot) const {
    const Duration local = boot - boot_offset_;
    if (local <= Duration(0)) return Duration(0);
    auto guess = Duration(static_cast<std::int64_t>(static_cast<double>(local.count()) /
                                                    (1.0 + static_cast<double>(boot_ppm_) / 1e6)));
    while (guess > Duration(0) && scaled(guess, boot_ppm_) >= local) guess -= Duration(1000);
    while (scaled(guess, boot_ppm_) < local) guess += Duration(1);
    return guess;
  }

 private:
  static std::int64_t draw(base::Random& random, std::uint32_t drift_ppm) {
    return static_cast<std::int64_t>(random.below(2 * std::uint64_t{drift_ppm} + 1)) - drift_ppm;
  }
  static Duration scaled(Duration d, std::int64_t ppm) {
    return d + Duration(d.count() / 1000 * ppm / 1000);
  }

  std::int64_t boot_ppm_;
  std::int64_t raw_ppm_;
  Duration boot_offset_;
  Duration raw_offset_;
};

}  // namespace sim
