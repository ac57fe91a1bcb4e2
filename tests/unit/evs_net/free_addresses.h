// Addresses that members of a ring can be given in a test.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <vector>

// UDP ports of loopback that were free a moment ago. None on a machine without IPv6, if that is
// asked for.
inline std::vector<std::string> free_addresses(std::size_t count, bool ipv6 = false) {
  std::vector<std::string> addresses;
  std::vector<int> sockets;
  for (std::size_t i = 0; i < count; ++i) {
    const int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
    sockaddr_storage any{};
    socklen_t size = sizeof any;
    std::string host = "127.0.0.1";
    if (ipv6) {
      auto& in6 = reinterpret_cast<sockaddr_in6&>(any);
      in6.sin6_family = AF_INET6;
      in6.sin6_addr = in6addr_loopback;
      host = "[::1]";
    } else {
      auto& in4 = reinterpret_cast<sockaddr_in&>(any);
      in4.sin_family = AF_INET;
      in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&any), size) == 0;
    if (!bound && ipv6) {
      close(fd);
      return {};
    }
    REQUIRE(bound);
    REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&any), &size) == 0);
    const auto port = ntohs(ipv6 ? reinterpret_cast<sockaddr_in6&>(any).sin6_port
                                 : reinterpret_cast<sockaddr_in&>(any).sin_port);
    addresses.push_back(host + ":" + std::to_string(port));
    sockets.push_back(fd);
  }
  for (int fd : sockets) close(fd);
  return addresses;
}
