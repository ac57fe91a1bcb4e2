// Times in order of size.
#pragma once

#include <vector>

#include "base/time.h"

namespace tests::load {

// The value that `part` of all do not exceed. Reorders them; there has to be one.
base::Duration quantile(std::vector<base::Duration>& all, double part);

double microseconds(base::Duration time);

}  // namespace tests::load
