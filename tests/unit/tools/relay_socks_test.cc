#include <doctest/doctest.h>

#include <cstdint>
#include <initializer_list>

#include "tools/relay/socks.h"

namespace tools::relay {

namespace {

base::Buffer bytes(std::initializer_list<int> values) {
  base::Buffer all;
  for (const int value : values) all.push_back(static_cast<std::byte>(value));
  return all;
}

// Of a request for each kind of host, with port 258.
const base::Buffer kRequests[] = {
    bytes({5, 1, 0, 1, 0, 0, 0, 0, 1, 2}),
    bytes({5, 1, 0, 3, 2, 'n', '1', 1, 2}),
    bytes({5, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2}),
};

}  // namespace

TEST_CASE("a hello is taken when it has come, and what follows is left") {
  const base::Buffer hello = bytes({5, 2, 1, 0, 9, 9});
  for (std::size_t size = 0; size < 4; ++size) {
    const auto part = socks_hello(base::Bytes(hello).first(size));
    REQUIRE(part);
    CHECK_FALSE(*part);
  }
  const auto whole = socks_hello(hello);
  REQUIRE(whole);
  CHECK(*whole == 4);
}

TEST_CASE("who speaks something else, or wants to authenticate, is told no") {
  CHECK_FALSE(socks_hello(bytes({'G', 'E', 'T'})));
  CHECK_FALSE(socks_hello(bytes({4, 1})));
  CHECK_FALSE(socks_hello(bytes({5, 1, 2})));
  CHECK_FALSE(socks_hello(bytes({5, 0})));
}

TEST_CASE("a request is taken when it has come, whatever kind of host it names") {
  for (base::Buffer request : kRequests) {
    const std::size_t size = request.size();
    request.push_back(std::byte{7});
    for (std::size_t part = 0; part < size; ++part) {
      const auto taken = socks_request(base::Bytes(request).first(part));
      REQUIRE(taken);
      CHECK_FALSE(*taken);
    }
    const auto taken = socks_request(request);
    REQUIRE(taken);
    REQUIRE(*taken);
    CHECK((*taken)->port == 258);
    CHECK((*taken)->size == size);
  }
}

TEST_CASE("a request for anything but a connection is refused") {
  CHECK_FALSE(socks_request(bytes({5, 2, 0, 1, 0})));
  CHECK_FALSE(socks_request(bytes({4, 1, 0, 1, 0})));
  CHECK_FALSE(socks_request(bytes({5, 1, 0, 2, 0})));
}

}  // namespace tools::relay
