#include "tools/relay/socks.h"

#include <algorithm>

namespace tools::relay {

namespace {

constexpr std::byte kVersion{5};
constexpr std::byte kNoAuthentication{0};
constexpr std::byte kConnect{1};
constexpr std::size_t kReplyBytes = 10;

std::size_t number(std::byte byte) {
  return std::to_integer<std::size_t>(byte);
}

}  // namespace

// Version, count, so many methods.
base::Result<std::optional<std::size_t>, std::string> socks_hello(base::Bytes said) {
  if (!said.empty() && said[0] != kVersion) return base::error(std::string("not SOCKS5"));
  if (said.size() < 2 || said.size() < 2 + number(said[1])) return std::optional<std::size_t>();
  const base::Bytes methods = said.subspan(2, number(said[1]));
  if (std::ranges::find(methods, kNoAuthentication) == methods.end()) {
    return base::error(std::string("wants to authenticate"));
  }
  return std::optional(2 + methods.size());
}

// Version, command, 0, kind of host, host, port.
base::Result<std::optional<SocksRequest>, std::string> socks_request(base::Bytes said) {
  constexpr std::size_t kHost = 4;
  if (said.size() <= kHost) return std::optional<SocksRequest>();
  if (said[0] != kVersion || said[1] != kConnect) return base::error(std::string("no CONNECT"));
  std::size_t host = 0;
  switch (number(said[3])) {
    case 1:
      host = 4;
      break;
    case 3:
      host = 1 + number(said[kHost]);
      break;
    case 4:
      host = 16;
      break;
    default:
      return base::error(std::string("an unknown kind of host"));
  }
  const std::size_t size = kHost + host + 2;
  if (said.size() < size) return std::optional<SocksRequest>();
  const std::size_t port = number(said[size - 2]) * 256 + number(said[size - 1]);
  return std::optional(SocksRequest{static_cast<std::uint16_t>(port), size});
}

base::Buffer socks_hello_answer() {
  return {kVersion, kNoAuthentication};
}

// It names the address from which the relay goes on; nobody needs it, so it is 0.0.0.0:0.
base::Buffer socks_answer(SocksReply reply) {
  base::Buffer answer(kReplyBytes);
  answer[0] = kVersion;
  answer[1] = static_cast<std::byte>(reply);
  answer[3] = std::byte{1};
  return answer;
}

}  // namespace tools::relay
