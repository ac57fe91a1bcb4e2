// Who is told what this node does to its table while somebody watches: its commands and departures,
// not those that a newcomer catches up with. A watcher must not call back.
#pragma once

#include <cstdint>

#include "lockd/command.h"
#include "lockd/state.h"

namespace lockd {

class TableWatcher {
 public:
  virtual ~TableWatcher() = default;

  // `command` was applied to the table, which now is `state`, and has what it has changed.
  virtual void applied(const Command& command, const State& state, const Effects& effects) = 0;

  // The same of the departures of an ACTIVATE.
  virtual void departed(const State& state, const Effects& effects) = 0;

  // The table is another one: it was loaded, or begins empty.
  virtual void replaced(const State& state) = 0;
};

}  // namespace lockd
