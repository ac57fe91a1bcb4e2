// Ringlock's locks by liblock: each client is a session at the daemon with this socket.
#pragma once

#include <liblock/lock.h>

#include "tests/bench/lock_load/locks.h"
#include "tests/bench/lock_load/loop.h"
#include "tools/client.h"

namespace tests::lock_load {

// For whoever uses liblock directly, too. Callbacks must not throw, so they note an error, which
// the loop throws afterwards.
tools::Client connect_ringlock(const std::string& socket);
void dispatch_in(Loop& loop, lock_client* client, const int& noted_error);
void require(int error, const char* what);

class RinglockLocks : public Locks {
 public:
  RinglockLocks(Loop& loop, const std::string& socket);

  void acquire(const std::string& name, Done granted) override;
  void release(Done released) override;

 private:
  tools::Client client_;
  lock_grant grant_{};
  int error_ = 0;
  Done done_;
};

}  // namespace tests::lock_load
