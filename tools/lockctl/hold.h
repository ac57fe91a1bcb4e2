// Locks that a shell holds beyond one command: `lockctl lock`, `convert`, `unlock` and `held`. What
// keeps them is keeper.h.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "tools/lockctl/failure.h"
#include "tools/lockctl/keeper_message.h"
#include "tools/lockctl/options.h"

namespace tools::lockctl {

// Which lock, of which cluster.
struct HoldPlace {
  std::string socket;
  std::string lockspace;  // Empty: "default".
};

// `tell` prints the answer; the lock is the shell's once that has succeeded. Blocks as long as
// options.wait says.
base::Result<void, Failure> hold(const LockOptions& options, const HoldPlace& place,
                                 const std::function<bool(const KeeperAnswer&)>& tell);

// Asks the keeper.
base::Result<KeeperAnswer, Failure> ask_keeper(const std::string& name, const HoldPlace& place,
                                               KeeperRequest request);

}  // namespace tools::lockctl
