// What a connection is opened with when the program does not say.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "liblock/protocol/messages.h"

namespace liblock {

// Those in `given`, or in the environment's LOCKD_SOCKET, or the usual one; a ':' is between two.
// None if there are more than kSocketsMax, or if one does not fit into a socket's address.
constexpr std::size_t kSocketsMax = 8;
std::optional<std::vector<std::string>> socket_paths(const char* given);

// The words of the command line, as `ps` shows them.
std::string command_line();

// Random; none if the system has none.
std::optional<protocol::Instance> draw_instance();

}  // namespace liblock
