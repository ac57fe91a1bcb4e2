// Connects, asks for a lock and waits for it, as patiently as `lockctl run` was told to be.
#pragma once

#include <liblock/request.h>

#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "tools/client.h"
#include "tools/lockctl/failure.h"

namespace tools::lockctl {

struct Wanted {
  std::string socket;
  std::string lockspace;  // Empty: "default".
  std::string name;
  std::string holder;  // What people see as the holder.
  lock_mode mode = LOCK_MODE_EX;

  // None: for our turn without end, but for a daemon or a quorum no longer than kPatience
  // (patience.h). 0: not at all. Else so long for all of it.
  std::optional<base::Duration> wait;

  // Tell a person what is waited for, when it takes a while.
  bool tell = false;

  unsigned flags = 0;  // Of enum lock_request_flag.
};

struct Held {
  Client client;
  lock_grant grant{};
  lock_outcome outcome{};  // How it was granted, and the value, if it was read.
};

base::Result<Held, Failure> acquire(const Wanted& wanted);

}  // namespace tools::lockctl
