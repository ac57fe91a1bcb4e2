#include "evs/net/peer.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/evs_net/sealing.h"

using evs::net::KeyId;
using evs::net::Peer;
using evs::net::RecordHeader;
using evs::net::Secret;
using sealing::salt;

namespace {

constexpr std::uint64_t kFirstOfSubKey1 = std::uint64_t{1} << evs::net::kSubKeyBits;

Secret key(unsigned char fill) {
  Secret secret;
  std::ranges::fill(secret.bytes(), std::byte{fill});
  return secret;
}

bool same(const Secret* a, const Secret& b) {
  return a && std::ranges::equal(a->view(), b.view());
}

RecordHeader header(std::uint32_t life, std::uint64_t counter, std::uint16_t key_id = 1) {
  return {evs::net::Cipher::chacha20_poly1305,
          evs::net::RecordType::ring,
          KeyId{key_id},
          sealing::kSender,
          salt(life),
          counter};
}

void prove(Peer& peer, const RecordHeader& answer, const Secret& with = key(1)) {
  REQUIRE(peer.answered(*peer.challenge({}), answer, with, {}));
}

}  // namespace

TEST_CASE("no life is proved before it has answered, and then no other one is") {
  Peer peer;
  CHECK_FALSE(peer.proved(salt(1)));
  CHECK_FALSE(peer.fresh(1));
  CHECK_FALSE(peer.answered(1, header(1, 1), key(1), {}));
  prove(peer, header(1, 10));
  CHECK(peer.proved(salt(1)));
  prove(peer, header(2, 1));
  CHECK(peer.proved(salt(2)));
  CHECK_FALSE(peer.proved(salt(1)));
}

TEST_CASE("what a life sealed up to its proof counts as accepted") {
  Peer peer;
  prove(peer, header(1, 10));
  CHECK_FALSE(peer.fresh(9));
  CHECK_FALSE(peer.fresh(10));
  CHECK(peer.fresh(11));
}

TEST_CASE("a further proof of the present life changes nothing of what was accepted") {
  Peer peer;
  prove(peer, header(1, 10));
  peer.accept(header(1, 12), key(1));
  peer.accept(header(1, 14), key(1));
  prove(peer, header(1, 14));
  CHECK(peer.fresh(11));
  CHECK(peer.fresh(13));
  CHECK_FALSE(peer.fresh(12));
}

TEST_CASE("the key at hand is the one of the newest datagram") {
  Peer peer;
  CHECK(peer.key(header(1, 1)) == nullptr);
  prove(peer, header(1, kFirstOfSubKey1 - 5));
  CHECK(same(peer.key(header(1, 1)), key(1)));
  CHECK(peer.key(header(2, 1)) == nullptr);
  CHECK(peer.key(header(1, 1, 2)) == nullptr);
  peer.accept(header(1, kFirstOfSubKey1), key(2));
  CHECK(same(peer.key(header(1, kFirstOfSubKey1)), key(2)));
  peer.accept(header(1, kFirstOfSubKey1 - 4), key(1));
  CHECK(same(peer.key(header(1, kFirstOfSubKey1)), key(2)));
  CHECK(peer.key(header(1, 1)) == nullptr);
}

TEST_CASE("a challenge is repeated after a pause, and made anew when it is too old") {
  Peer peer;
  base::Instant now;
  CHECK(peer.challenge(now) == 1);
  CHECK_FALSE(peer.challenge(now).has_value());
  now = now + Peer::kHandshakePause;
  CHECK(peer.challenge(now) == 1);
  now = now + Peer::kChallengeLifetime;
  CHECK(peer.challenge(now) == 2);
}

TEST_CASE("what is held is the last datagram of the life that is proved, if it is not too large") {
  Peer peer;
  const base::Buffer large(Peer::kHeldBytesMax + 1);
  peer.hold(header(1, 1), base::bytes_of("first"));
  peer.hold(header(1, 2), base::bytes_of("second"));
  peer.hold(header(1, 3), large);
  prove(peer, header(1, 4));
  const auto held = peer.take_held();
  REQUIRE(held.has_value());
  CHECK(base::text_of(held->text) == "second");
  CHECK_FALSE(peer.take_held().has_value());

  peer.hold(header(2, 1), base::bytes_of("of another life"));
  prove(peer, header(3, 1));
  CHECK_FALSE(peer.take_held().has_value());
}

TEST_CASE("nothing is held of a life that was proved before") {
  Peer peer;
  prove(peer, header(1, 1));
  peer.accept(header(1, 2), key(1));
  prove(peer, header(2, 1));
  peer.hold(header(1, 2), base::bytes_of("again"));
  prove(peer, header(1, 3));
  CHECK_FALSE(peer.take_held().has_value());
}
