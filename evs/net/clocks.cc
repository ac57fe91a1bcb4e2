#include "evs/net/clocks.h"

#include <ctime>

#include "base/check.h"

namespace evs::net {
namespace {

base::Duration read(clockid_t clock) {
  timespec time{};
  CHECK(clock_gettime(clock, &time) == 0);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

base::Instant read_clocks() {
  return {read(CLOCK_BOOTTIME), read(CLOCK_MONOTONIC_RAW)};
}

base::Duration time_in_suspend() {
  return read(CLOCK_BOOTTIME) - read(CLOCK_MONOTONIC);
}

}  // namespace evs::net
