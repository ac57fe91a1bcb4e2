// Ringlock's locks by liblock: each client is a session at the daemon with this socket.
#pragma once

#include <liblock/lock.h>

#include "tests/bench/load/ringlock.h"
#include "tests/bench/lock_load/locks.h"

namespace tests::lock_load {

class RinglockLocks : public Locks {
 public:
  RinglockLocks(load::Loop& loop, const std::string& socket);

  void acquire(const std::string& name, Done granted) override;
  void release(Done released) override;

 private:
  tools::Client client_;
  lock_grant grant_{};
  int error_ = 0;
  Done done_;
};

}  // namespace tests::lock_load
