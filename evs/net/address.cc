#include "evs/net/address.h"

#include <arpa/inet.h>
#include <uv.h>

#include <array>
#include <charconv>
#include <cstring>

namespace evs::net {

base::Result<Address, std::string> Address::parse(std::string_view text) {
  const auto wrong = [text](const std::string& what) {
    return base::error("address \"" + std::string(text) + "\": " + what);
  };
  const std::string expected =
      "expected a number address with a port, like 192.0.2.1:7001 or [2001:db8::1]:7001";

  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong(expected);
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (fault != std::errc() || end != digits.data() + digits.size() || port == 0) {
    return wrong("the port must be from 1 to 65535");
  }

  std::string host(text.substr(0, colon));
  Address address;
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (uv_ip6_addr(host.c_str(), port, &address.any_) != 0) return wrong(expected);
    return address;
  }
  sockaddr_in ipv4{};
  if (uv_ip4_addr(host.c_str(), port, &ipv4) != 0) return wrong(expected);
  std::memcpy(&address.any_, &ipv4, sizeof ipv4);
  return address;
}

bool Address::is_multicast() const {
  if (is_ipv6()) return IN6_IS_ADDR_MULTICAST(&any_.sin6_addr);
  sockaddr_in ipv4{};
  std::memcpy(&ipv4, &any_, sizeof ipv4);
  return IN_MULTICAST(ntohl(ipv4.sin_addr.s_addr));
}

std::string Address::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> host{};
  if (is_ipv6()) {
    inet_ntop(AF_INET6, &any_.sin6_addr, host.data(), host.size());
    return "[" + std::string(host.data()) + "]:" + std::to_string(ntohs(any_.sin6_port));
  }
  sockaddr_in ipv4{};
  std::memcpy(&ipv4, &any_, sizeof ipv4);
  inet_ntop(AF_INET, &ipv4.sin_addr, host.data(), host.size());
  return std::string(host.data()) + ":" + std::to_string(ntohs(ipv4.sin_port));
}

}  // namespace evs::net
