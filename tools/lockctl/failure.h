// Why a command of lockctl could not be done: the exit code for scripts, a sentence for people.
#pragma once

#include <liblock/evs.h>

#include <string>

#include "tools/client.h"

namespace tools::lockctl {

struct Failure {
  int exit_code;
  std::string message;
};

// The failure of a call of liblock, with the daemon's advice. `client` is null if lock_connect()
// failed.
Failure failure_of(int error, lock_client* client, const std::string& socket);

// The same of a call of liblock/evs.h; null if lock_evs_open() failed.
Failure failure_of_evs(int error, lock_evs* evs, const std::string& socket);

// The socket that liblock uses when `option` is empty.
std::string socket_in_use(const std::string& option);

}  // namespace tools::lockctl
