// Unix sockets by their path.
#pragma once

#include <sys/socket.h>

#include <string>

namespace journal_recovery {

// Connects, or binds; throws std::system_error.
int open_socket(const std::string& path, decltype(&::connect) bind_or_connect);

}  // namespace journal_recovery
