// What a program that is told to use a SOCKS5 proxy says before its own bytes, as far as the relay
// understands it: no authentication, CONNECT to a numeric address or a name (RFC 1928). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace tools::relay {

constexpr std::size_t kSocksBytesMax = 600;  // More than a hello and a request can be together.

// How long the hello is with which `said` begins; nothing if it has not all come, an error if it
// is none that can be answered.
base::Result<std::optional<std::size_t>, std::string> socks_hello(base::Bytes said);

struct SocksRequest {
  std::uint16_t port = 0;  // Where to. The host does not matter to the relay.
  std::size_t size = 0;
};

base::Result<std::optional<SocksRequest>, std::string> socks_request(base::Bytes said);

enum class SocksReply : std::uint8_t { kConnected = 0, kRefused = 5 };

base::Buffer socks_hello_answer();
base::Buffer socks_answer(SocksReply reply);

}  // namespace tools::relay
