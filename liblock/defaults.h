// What a connection is opened with when the program does not say.
#pragma once

#include <optional>
#include <string>

#include "liblock/protocol/messages.h"

namespace liblock {

// `given`, or the environment's LOCKD_SOCKET, or the usual place; none if it does not fit into a
// socket's address.
std::optional<std::string> socket_path(const char* given);

// The words of the command line, as `ps` shows them.
std::string command_line();

// Random; none if the system has none.
std::optional<protocol::Instance> draw_instance();

}  // namespace liblock
