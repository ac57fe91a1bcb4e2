// What the system knows of a running daemon.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "base/time.h"

namespace tools::lockbench {

// Resident memory; 0 if there is no such process.
std::uint64_t resident_bytes(pid_t pid);

// Processor time used so far, user and system.
base::Duration processor_time(pid_t pid);

}  // namespace tools::lockbench
