// A shell job's part in a barrier, and what operators do to barriers of others.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "tools/lockctl/answers.h"
#include "tools/lockctl/failure.h"
#include "tools/lockctl/options.h"

namespace tools::lockctl {

// What this job was told. Released or broken, all others were told the same.
struct BarrierReport {
  std::optional<BarrierOutcome> outcome;
  std::optional<Failure> failure;  // None: released.
  int signal = 0;                  // That asked us to end; we shall die of it.
};

// Waits as patiently as the options say. `tell`: a person is told what we wait for, when it takes a
// while.
BarrierReport wait_at_barrier(const BarrierOptions& options, const std::string& lockspace,
                              const std::string& socket, bool tell);

// Does what the options say but waiting.
base::Result<void, Failure> end_barrier(const BarrierOptions& options, const std::string& lockspace,
                                        const std::string& socket);

}  // namespace tools::lockctl
