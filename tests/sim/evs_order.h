// Whether the events of a run have an order that every processor's own order fits into.
#pragma once

#include <optional>
#include <string>

#include "tests/sim/evs_history.h"

namespace sim {

// Nothing if there is such an order, else a circle of events, in words. All processors' installs of
// a configuration are one event; if `merge_deliveries`, so are all deliveries of a message.
std::optional<std::string> find_cycle(const EvsHistory& history, bool merge_deliveries);

}  // namespace sim
