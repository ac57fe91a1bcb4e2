// A client of liblock in a loop: a session at the daemon with this socket. Callbacks must not
// throw, so they note an error, which the loop throws afterwards.
#pragma once

#include <liblock/lock.h>

#include <string>

#include "tests/bench/load/loop.h"
#include "tools/client.h"

namespace tests::load {

tools::Client connect_ringlock(const std::string& socket);
void dispatch_in(Loop& loop, lock_client* client, const int& noted_error);
void require(int error, const char* what);

}  // namespace tests::load
