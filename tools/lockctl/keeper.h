// The process that holds a lock for a shell: takes it, keeps it while its commands come and go, and
// gives it back when it is told to, or when the process that it follows has ended. Each lock has a
// keeper and a session of its own.
#pragma once

#include <optional>

#include "base/result.h"
#include "tools/lockctl/acquire.h"
#include "tools/lockctl/followed.h"
#include "tools/lockctl/keeper_message.h"
#include "tools/lockctl/keeper_place.h"

namespace tools::lockctl {

struct KeeperPlan {
  Wanted wanted;
  KeeperId id;
  std::optional<Followed> followed;  // None: it ends by `lockctl unlock` only, or with the lock.
};

// A keeper that was started, seen from the command that started it.
class StartedKeeper {
 public:
  // Blocks until the lock is taken, or not to be had.
  static base::Result<StartedKeeper, Failure> start(const KeeperPlan& plan);

  StartedKeeper(StartedKeeper&& other) noexcept;
  StartedKeeper& operator=(StartedKeeper&& other) = delete;

  // Without confirm() before, the keeper gives the lock back and ends.
  ~StartedKeeper();

  const KeeperAnswer& answer() const { return answer_; }

  // The shell knows of its lock. False: the keeper has ended meanwhile.
  bool confirm();

 private:
  StartedKeeper(int channel, KeeperAnswer answer) : channel_(channel), answer_(std::move(answer)) {}

  int channel_;
  KeeperAnswer answer_;
};

}  // namespace tools::lockctl
