#include "evs/net/lives.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/evs_net/sealing.h"

using evs::net::Lives;
using evs::net::Secret;
using sealing::salt;

namespace {

Secret key(unsigned char fill) {
  Secret secret;
  std::ranges::fill(secret.bytes(), std::byte{fill});
  return secret;
}

bool same(const Secret* a, const Secret& b) {
  return a && std::ranges::equal(a->view(), b.view());
}

}  // namespace

TEST_CASE("the lives of a sender have windows of their own") {
  Lives lives;
  lives.accept(salt(1), 10, key(1));
  CHECK_FALSE(lives.fresh(salt(1), 10));
  CHECK(lives.fresh(salt(1), 9));
  CHECK(lives.fresh(salt(2), 10));
  CHECK_FALSE(lives.fresh(salt(2), 0));
}

TEST_CASE("the key at hand is the one of the newest datagram") {
  constexpr std::uint64_t kFirstOfSubKey1 = std::uint64_t{1} << 24;
  Lives lives;
  CHECK(lives.key(salt(1), 0) == nullptr);
  lives.accept(salt(1), kFirstOfSubKey1 - 5, key(1));
  CHECK(same(lives.key(salt(1), 0), key(1)));
  lives.accept(salt(1), kFirstOfSubKey1, key(2));
  CHECK(same(lives.key(salt(1), 1), key(2)));
  lives.accept(salt(1), kFirstOfSubKey1 - 4, key(1));
  CHECK(same(lives.key(salt(1), 1), key(2)));
  CHECK(lives.key(salt(1), 0) == nullptr);
}

TEST_CASE("a life out of use accepts nothing up to its highest counter, and comes back above it") {
  Lives lives;
  lives.accept(salt(0), 10, key(1));
  for (std::uint32_t other = 1; other <= Lives::kLivesInUseMax; ++other) {
    lives.accept(salt(other), 1, key(1));
  }
  CHECK(lives.key(salt(0), 0) == nullptr);
  CHECK_FALSE(lives.fresh(salt(0), 9));
  CHECK_FALSE(lives.fresh(salt(0), 10));
  REQUIRE(lives.fresh(salt(0), 12));

  lives.accept(salt(0), 12, key(7));
  CHECK(same(lives.key(salt(0), 0), key(7)));
  CHECK_FALSE(lives.fresh(salt(0), 10));
  CHECK_FALSE(lives.fresh(salt(0), 12));
  CHECK(lives.fresh(salt(0), 11));
}

TEST_CASE("the life heard most recently is not the one that falls out of use") {
  Lives lives;
  lives.accept(salt(0), 1, key(1));
  for (std::uint32_t other = 1; other <= 100; ++other) {
    lives.accept(salt(other), 1, key(1));
    lives.accept(salt(0), 1 + 10 * other, key(1));
  }
  CHECK(lives.fresh(salt(0), 1 + 10 * 100 - 1));
}

TEST_CASE("at the bound a further life is refused, and the known ones go on") {
  Lives lives;
  for (std::uint32_t life = 0; life < Lives::kLivesMax; ++life) {
    REQUIRE(lives.room_for(salt(life)));
    lives.accept(salt(life), 1, key(1));
  }
  CHECK(lives.size() == Lives::kLivesMax);
  CHECK_FALSE(lives.room_for(salt(Lives::kLivesMax)));
  CHECK(lives.room_for(salt(0)));
  CHECK_FALSE(lives.fresh(salt(0), 1));
  CHECK(lives.fresh(salt(0), 2));
}
