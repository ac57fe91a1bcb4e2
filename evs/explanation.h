// Why the configuration changed, in words: what the flight recorder says of the ring that
// ended and of each member that left or came. Pure; what the recorder does not say is called not
// known.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "evs/flight_recorder.h"

namespace evs {

struct MemberChange {
  base::Processor processor;
  bool came = false;  // Else it left. One that did both stands here twice.
  std::string why;    // "said so": what stands behind "node 3 left: ".
};

struct Explanation {
  // False if the recorder has no such change. The configuration of the start is none.
  bool changed = false;
  base::RingId ring;  // The regular configuration that was installed.
  base::Duration at{0};
  std::vector<base::NodeId> members;
  base::Duration took{0};  // From the end of the ring before, if the recorder still has it.
  std::string trigger;     // What ended the ring before.
  std::vector<MemberChange> changes;  // Those who left come first.
};

// The last change, or the one so many before it. `nodes` are the configured ones, sorted; `records`
// are in their order.
Explanation explain(const std::vector<base::NodeId>& nodes,
                    const std::vector<FlightRecord>& records, std::size_t back = 0);

}  // namespace evs
