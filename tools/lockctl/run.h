// `lockctl run`: takes a lock, runs a command while it is held, gives it back.
#pragma once

#include <string>

#include "base/result.h"
#include "tools/lockctl/failure.h"
#include "tools/lockctl/json.h"
#include "tools/lockctl/options.h"

namespace tools::lockctl {

// The report of a command that ran, its exit code included: the command's own, or kLost. What a
// person should know meanwhile goes to standard error, unless `json`.
base::Result<RunReport, Failure> run(const RunOptions& options, const std::string& lockspace,
                                     const std::string& socket, bool json);

}  // namespace tools::lockctl
