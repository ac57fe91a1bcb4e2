// Addresses of sockets as text: HOST:PORT or [HOST]:PORT, numeric.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>

namespace tools::relay {

// Nothing if the text is no address.
std::optional<sockaddr_storage> parse(const std::string& host, std::uint16_t port);
std::optional<sockaddr_storage> parse(const std::string& text);

const sockaddr* generic(const sockaddr_storage& address);
std::uint16_t port_of(const sockaddr_storage& address);
std::string text_of(const sockaddr_storage& address);

}  // namespace tools::relay
