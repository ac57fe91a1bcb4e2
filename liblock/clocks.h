// The two clocks that deadlines rest upon, read in the caller's thread (docs/safety.md).
#pragma once

#include "base/time.h"

namespace liblock {

base::Instant read_clocks();

}  // namespace liblock
