#include "tests/bench/load/quantile.h"

#include <algorithm>
#include <cmath>

namespace tests::load {

base::Duration quantile(std::vector<base::Duration>& all, double part) {
  const double rank = std::ceil(part * static_cast<double>(all.size()));
  const auto index = static_cast<std::size_t>(std::max(rank, 1.0)) - 1;
  const auto at = all.begin() + static_cast<std::ptrdiff_t>(std::min(index, all.size() - 1));
  std::nth_element(all.begin(), at, all.end());
  return *at;
}

double microseconds(base::Duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

}  // namespace tests::load
