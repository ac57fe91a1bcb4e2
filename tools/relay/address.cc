#include "tools/relay/address.h"

#include <uv.h>

#include <algorithm>

namespace tools::relay {

std::optional<sockaddr_storage> parse(const std::string& host, std::uint16_t port) {
  sockaddr_storage address{};
  if (uv_ip4_addr(host.c_str(), port, reinterpret_cast<sockaddr_in*>(&address)) == 0 ||
      uv_ip6_addr(host.c_str(), port, reinterpret_cast<sockaddr_in6*>(&address)) == 0) {
    return address;
  }
  return std::nullopt;
}

std::optional<sockaddr_storage> parse(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return std::nullopt;
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  const std::string digits = text.substr(colon + 1);
  const bool plain = !digits.empty() && digits.size() <= 5 &&
                     std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
  const int port = plain ? std::stoi(digits) : 0;
  if (port < 1 || port > 65535) return std::nullopt;
  return parse(host, static_cast<std::uint16_t>(port));
}

const sockaddr* generic(const sockaddr_storage& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

std::uint16_t port_of(const sockaddr_storage& address) {
  return ntohs(address.ss_family == AF_INET
                   ? reinterpret_cast<const sockaddr_in*>(&address)->sin_port
                   : reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
}

std::string text_of(const sockaddr_storage& address) {
  char host[64] = {};
  if (address.ss_family == AF_INET) {
    const auto* ip4 = reinterpret_cast<const sockaddr_in*>(&address);
    uv_ip4_name(ip4, host, sizeof host);
    return std::string(host) + ":" + std::to_string(ntohs(ip4->sin_port));
  }
  const auto* ip6 = reinterpret_cast<const sockaddr_in6*>(&address);
  uv_ip6_name(ip6, host, sizeof host);
  return "[" + std::string(host) + "]:" + std::to_string(ntohs(ip6->sin6_port));
}

}  // namespace tools::relay
