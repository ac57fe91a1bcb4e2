// Follows what happens to locks at this machine's daemon.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "tools/lockctl/failure.h"
#include "tools/lockctl/options.h"

namespace tools::lockctl {

// Gives `tell` line after line, until it has had enough, the count is reached, or the daemon
// refuses. An empty lockspace: all of them.
base::Result<void, Failure> watch(const WatchOptions& options, const std::string& lockspace,
                                  const std::string& socket,
                                  const std::function<bool(const std::string& line)>& tell);

}  // namespace tools::lockctl
