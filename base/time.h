// Time as the cores see it: values passed in, never read. The clock types have no now(), so that
// reading a clock in a core does not compile; only the drivers construct an Instant from the
// system's clocks.
#pragma once

#include <algorithm>
#include <chrono>
#include <compare>

namespace base {

using Duration = std::chrono::nanoseconds;

// One reading of the two clocks that leases rest upon. `boot` counts suspend and is slewed by NTP,
// `raw` is not slewed and stops in suspend (docs/safety.md). Readings of different machines are
// never compared.
struct Instant {
  Duration boot{0};
  Duration raw{0};

  friend bool operator==(const Instant&, const Instant&) = default;
};

// The longer of the two readings: what a holder of a lease must assume has passed.
inline Duration elapsed_at_most(Instant from, Instant to) {
  return std::max(to.boot - from.boot, to.raw - from.raw);
}

// The shorter of the two readings: what somebody who waits for a lease to end may assume has
// passed.
inline Duration elapsed_at_least(Instant from, Instant to) {
  return std::min(to.boot - from.boot, to.raw - from.raw);
}

inline Instant operator+(Instant at, Duration by) {
  return {at.boot + by, at.raw + by};
}

}  // namespace base
