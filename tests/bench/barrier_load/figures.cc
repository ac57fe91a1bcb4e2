#include "tests/bench/barrier_load/figures.h"

#include <sstream>
#include <stdexcept>

#include "tests/bench/load/quantile.h"

namespace tests::barrier_load {

std::string line_of(Found found) {
  if (found.all.empty()) throw std::runtime_error("not one use was completed");
  std::ostringstream out;
  out << std::fixed;
  out.precision(1);
  out << "uses=" << static_cast<double>(found.all.size());
  const auto tell = [&out](const char* name, std::vector<base::Duration>& times) {
    out << " " << name << "_p50_us=" << load::microseconds(load::quantile(times, 0.5)) << " "
        << name << "_p99_us=" << load::microseconds(load::quantile(times, 0.99));
  };
  tell("enter", found.enter);
  tell("leave", found.leave);
  tell("use", found.use);
  tell("all", found.all);
  out << " load_percent="
      << 100 * load::microseconds(found.processor_time) / load::microseconds(found.took);
  return out.str();
}

}  // namespace tests::barrier_load
