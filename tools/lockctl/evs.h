// Messages to groups from the shell, through an EVS instance of this machine's daemon.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "tools/lockctl/answers.h"
#include "tools/lockctl/failure.h"
#include "tools/lockctl/options.h"

namespace tools::lockctl {

struct EvsPrinters {
  std::function<void(const EvsMessage&)> message;
  std::function<void(const EvsConfiguration&)> configuration;
};

// Hands over what comes until the count is reached, or the instance ends.
base::Result<void, Failure> evs_join(const EvsJoinOptions& options, const std::string& socket,
                                     EvsPrinters printers);

// Returns when the daemon has handed all messages to the ring.
base::Result<void, Failure> evs_send(const EvsSendOptions& options, const std::string& socket);

base::Result<EvsMembers, Failure> evs_members(const std::string& socket);

}  // namespace tools::lockctl
