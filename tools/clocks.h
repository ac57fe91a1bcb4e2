// The system's clocks for the tools: lease clocks as base::Instant, and the clock stamps are taken
// with.
#pragma once

#include <ctime>

#include "base/time.h"

namespace tools {

inline base::Duration read_clock(clockid_t clock) {
  timespec at{};
  clock_gettime(clock, &at);
  return std::chrono::seconds(at.tv_sec) + std::chrono::nanoseconds(at.tv_nsec);
}

inline base::Instant read_clocks() {
  return {read_clock(CLOCK_BOOTTIME), read_clock(CLOCK_MONOTONIC_RAW)};
}

}  // namespace tools
