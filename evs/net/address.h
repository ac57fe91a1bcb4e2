// An IPv4 or IPv6 address with its port, as configurations have it: "192.0.2.1:7001",
// "[2001:db8::1]:7001". Names are not looked up: a ring must not depend on a name service.
#pragma once

#include <netinet/in.h>

#include <string>
#include <string_view>

#include "base/result.h"

namespace evs::net {

class Address {
 public:
  Address() = default;  // None: matches nothing and cannot be sent to.

  // The error names the text and says what is expected.
  static base::Result<Address, std::string> parse(std::string_view text);

  bool is_multicast() const;
  bool is_ipv6() const { return any_.sin6_family == AF_INET6; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&any_); }
  socklen_t size() const { return is_ipv6() ? sizeof(sockaddr_in6) : sizeof(sockaddr_in); }

  std::string to_string() const;

 private:
  sockaddr_in6 any_{};  // Or a sockaddr_in, which is smaller; the family tells.
};

}  // namespace evs::net
