// Reads the two clocks that leases rest upon (base/time.h). The one place of the daemon where time
// is read; the pure parts get it as an argument.
#pragma once

#include "base/time.h"

namespace lockd {

base::Instant read_clocks();

}  // namespace lockd
