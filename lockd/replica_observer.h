// What a replica does to its table, told as it happens: for the simulator's judges and for nothing
// else. The observer must not call back.
#pragma once

#include "evs/event.h"
#include "lockd/epoch.h"
#include "lockd/ring_message.h"
#include "lockd/state.h"

namespace lockd {

class ReplicaObserver {
 public:
  virtual ~ReplicaObserver() = default;

  // ACTIVATE was delivered in `configuration` and taken; `epoch` is that of the regular one of
  // `members`.
  virtual void activated(const Epoch& epoch, const std::vector<base::Processor>& members,
                         const std::vector<base::Processor>& holders, const Activate& activate,
                         const evs::Configuration& configuration) = 0;

  // The command of `delivery` was applied to the table of `epoch`, which now is `state`; also the
  // departures of an ACTIVATE. A newcomer's table is
  // told of from the moment its snapshot is loaded.
  virtual void applied(const Epoch& epoch, const evs::Delivery& delivery,
                       const evs::Configuration& configuration, const State& state,
                       const Effects& effects) = 0;
};

}  // namespace lockd
