// Reads the two clocks that leases rest upon. The cores have their time from here, as an argument.
#pragma once

#include "base/time.h"

namespace evs::net {

// To be called after a datagram was received, never before: a stamp from before the wait would let
// a node that stood still believe that no time has passed [rule 6.2].
base::Instant read_clocks();

// How long the machine has been in suspend, in all.
base::Duration time_in_suspend();

}  // namespace evs::net
