#include "evs/net/address.h"

#include <doctest/doctest.h>

#include <string>

using evs::net::Address;

TEST_CASE("addresses of both families are read, and written the same") {
  for (const char* text :
       {"127.0.0.1:7001", "192.0.2.255:65535", "[::1]:1", "[2001:db8::1]:7001"}) {
    const auto address = Address::parse(text);
    REQUIRE(address.has_value());
    CHECK(address->to_string() == text);
    CHECK(address->is_ipv6() == (text[0] == '['));
  }
}

TEST_CASE("what is no address is refused, and the text is named") {
  for (const char* text :
       {"", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:70x",
        "127.0.0.1: 7001", "127.0.0.1:+1", "127.0.0:7001", "localhost:7001", "::1:7001",
        "[127.0.0.1]:7001", "[::1:7001", "[]:7001", "[::1]7001", "127.0.0.1:7001 "}) {
    const auto address = Address::parse(text);
    REQUIRE_FALSE(address.has_value());
    CHECK(address.error().find("\"" + std::string(text) + "\"") != std::string::npos);
  }
}
