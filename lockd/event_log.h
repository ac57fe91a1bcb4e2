// Writes what happens in a daemon (lockd/daemon_event.h) to its log: which event is worth which
// line.
#pragma once

#include "lockd/daemon_event.h"
#include "lockd/log.h"

namespace lockd {

void write(Log& log, const DaemonEvent& event);

}  // namespace lockd
