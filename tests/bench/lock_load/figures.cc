#include "tests/bench/lock_load/figures.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>

namespace tests::lock_load {

base::Duration quantile(std::vector<base::Duration>& all, double part) {
  const double rank = std::ceil(part * static_cast<double>(all.size()));
  const auto index = static_cast<std::size_t>(std::max(rank, 1.0)) - 1;
  const auto at = all.begin() + static_cast<std::ptrdiff_t>(std::min(index, all.size() - 1));
  std::nth_element(all.begin(), at, all.end());
  return *at;
}

std::string line_of(Found found) {
  if (found.cycle.empty() || found.acquire.empty())
    throw std::runtime_error("not one cycle was completed");
  using Seconds = std::chrono::duration<double>;
  using Microseconds = std::chrono::duration<double, std::micro>;
  const double seconds = Seconds(found.took).count();
  const auto microseconds = [](std::vector<base::Duration>& all, double part) {
    return Microseconds(quantile(all, part)).count();
  };
  std::ostringstream out;
  out << std::fixed;
  out.precision(1);
  out << "cycles_per_second=" << static_cast<double>(found.cycle.size()) / seconds
      << " handovers_per_second=" << static_cast<double>(found.handovers) / seconds
      << " acquire_p50_us=" << microseconds(found.acquire, 0.5)
      << " acquire_p99_us=" << microseconds(found.acquire, 0.99)
      << " cycle_p50_us=" << microseconds(found.cycle, 0.5)
      << " cycle_p99_us=" << microseconds(found.cycle, 0.99)
      << " load_percent=" << 100 * Seconds(found.processor_time).count() / seconds;
  return out.str();
}

}  // namespace tests::lock_load
