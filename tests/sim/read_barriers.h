// Puts what a replica has done to barriers by one command into the terms of their judge. It reads
// the command, its effects and the state; what they should be, the judge says.
#pragma once

#include <memory>

#include "evs/event.h"
#include "lockd/state.h"
#include "tests/sim/barrier_checker.h"

namespace sim {

std::shared_ptr<const OrderedBarriers> read_barriers(const evs::Delivery& delivery,
                                                     const lockd::State& state,
                                                     const lockd::Effects& effects);

}  // namespace sim
