#include "tests/bench/lock_load/figures.h"

#include <sstream>
#include <stdexcept>

#include "tests/bench/load/quantile.h"

namespace tests::lock_load {

std::string line_of(Found found) {
  if (found.cycle.empty() || found.acquire.empty())
    throw std::runtime_error("not one cycle was completed");
  using Seconds = std::chrono::duration<double>;
  const double seconds = Seconds(found.took).count();
  const auto microseconds = [](std::vector<base::Duration>& all, double part) {
    return load::microseconds(load::quantile(all, part));
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
