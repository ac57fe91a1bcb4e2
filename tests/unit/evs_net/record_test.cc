#include "evs/net/record.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/unit/evs_net/sealing.h"

using base::Buffer;
using base::Bytes;
using evs::net::ClusterKey;
using evs::net::KeyId;
using evs::net::RecordHeader;
using sealing::cluster_key;
using sealing::NodeId;
using sealing::Receiver;
using sealing::RecordType;
using sealing::Refusal;
using sealing::Sender;

namespace {

constexpr std::uint64_t kSubKey = std::uint64_t{1} << evs::net::kSubKeyBits;

std::string hex(Bytes bytes) {
  std::string text;
  for (std::byte b : bytes) {
    text += "0123456789abcdef"[std::to_integer<unsigned>(b) >> 4];
    text += "0123456789abcdef"[std::to_integer<unsigned>(b) & 15];
  }
  return text;
}

}  // namespace

TEST_CASE("a sealed datagram has exactly the bytes that docs/wire.md shows") {
  // Computed with another implementation of HKDF-SHA256 and ChaCha20-Poly1305.
  CHECK(hex(Sender().seal("token")) ==
        "0101020103000000a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0100000000000000"
        "267221bd4f"
        "85e62610b1c00604d3e486991fe7ab19");
  CHECK(hex(Sender(0, kSubKey).seal("token")) ==
        "0101020103000000a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0000000100000000"
        "f6483975b8"
        "13c68efb9474cb77cc9977f82897647f");
}

TEST_CASE("a header that was encoded is decoded to the same") {
  const RecordHeader header{evs::net::Cipher::aes_256_gcm,
                            evs::net::RecordType::answer,
                            KeyId{7},
                            NodeId{0xfffffffe},
                            sealing::salt(1),
                            0x0123456789abcdefu};
  Buffer datagram;
  encode(header, datagram);
  CHECK(datagram.size() == evs::net::kHeaderBytes);
  datagram.resize(evs::net::kSealBytes);
  const auto decoded = evs::net::decode_header(datagram);
  REQUIRE(decoded.has_value());
  CHECK(*decoded == header);
}

TEST_CASE("what one node seals every other one opens") {
  Sender sender;
  Receiver receiver;
  receiver.prove(sender);
  for (std::size_t size : {0u, 1u, 100u, 1400u, 65459u}) {
    const std::string text(size, 'x');
    CHECK(receiver.open(sender.seal(text)) == text);
  }
  CHECK(receiver.opener.opened() == 1 + 5);
  CHECK(sender.sealer.sealed() == 2 + 5);
}

TEST_CASE("the text does not travel in the clear") {
  CHECK(base::text_of(Sender().seal("a secret name")).find("secret") == std::string::npos);
}

TEST_CASE("each truncation of a datagram is refused, and the whole one is still welcome") {
  Sender sender;
  Receiver receiver;
  receiver.prove(sender);
  const Buffer datagram = sender.seal("a message");
  for (std::size_t size = 0; size < datagram.size(); ++size) {
    const bool has_tag = size >= evs::net::kSealBytes;
    CHECK(receiver.open(Bytes(datagram).first(size)) == (has_tag ? "forged" : "too_short"));
  }
  CHECK(receiver.opener.refused(Refusal::too_short) == evs::net::kSealBytes);
  CHECK(receiver.open(datagram) == "a message");
}

TEST_CASE("each flip of a single bit is refused, and the whole one is still welcome") {
  Sender sender;
  Receiver receiver;
  receiver.prove(sender);
  Buffer datagram = sender.seal("a message");
  for (std::size_t bit = 0; bit < 8 * datagram.size(); ++bit) {
    const std::byte mask{static_cast<unsigned char>(1u << (bit % 8))};
    datagram[bit / 8] ^= mask;
    CHECK_FALSE(receiver.opener.open(receiver.now, datagram).has_value());
    datagram[bit / 8] ^= mask;
  }
  CHECK(receiver.open(datagram) == "a message");
}

TEST_CASE("a datagram with bytes behind it is refused") {
  Sender sender;
  Receiver receiver;
  receiver.prove(sender);
  Buffer datagram = sender.seal("a message");
  datagram.push_back(std::byte{0});
  CHECK(receiver.open(datagram) == "forged");
}

TEST_CASE("each reason to refuse has a counter of its own") {
  Sender sender;
  Receiver receiver;
  receiver.prove(sender);
  Buffer datagram = sender.seal("x");

  Buffer other = datagram;
  other[0] = std::byte{2};
  CHECK(receiver.open(other) == "wrong_version");
  other = datagram;
  other[1] = std::byte{0x21};
  CHECK(receiver.open(other) == "wrong_type");
  other = datagram;
  other[1] = std::byte{0x11};
  CHECK(receiver.open(other) == "wrong_cipher");
  other = datagram;
  other[2] ^= std::byte{1};
  CHECK(receiver.open(other) == "wrong_key_id");
  other = datagram;
  other[4] = std::byte{4};
  CHECK(receiver.open(other) == "unknown_sender");
  other = datagram;
  other.back() ^= std::byte{1};
  CHECK(receiver.open(other) == "forged");
  CHECK(receiver.open(Bytes(datagram).first(47)) == "too_short");
  CHECK(receiver.open(datagram) == "x");
  CHECK(receiver.open(datagram) == "replayed");
  CHECK(receiver.open(sender.seal("x", RecordType::challenge)) == "stray");

  for (Refusal why : {Refusal::wrong_version, Refusal::wrong_type, Refusal::wrong_cipher,
                      Refusal::wrong_key_id, Refusal::unknown_sender, Refusal::forged,
                      Refusal::too_short, Refusal::replayed, Refusal::unproved, Refusal::stray}) {
    CHECK(receiver.opener.refused(why) == 1);
  }
  CHECK(receiver.opener.opened() == 1 + 1);
}

TEST_CASE("another key, and another cluster with the same key, do not open") {
  Receiver receiver;
  ClusterKey other = cluster_key();
  other.master.bytes()[0] ^= std::byte{1};
  CHECK(receiver.open(Sender(0, 1, other).seal("x")) == "forged");
  other = cluster_key();
  other.cluster[0] ^= std::byte{1};
  CHECK(receiver.open(Sender(0, 1, other).seal("x")) == "forged");
}

TEST_CASE("a datagram of our own that comes back is refused, and so is one of a stranger") {
  Receiver receiver;
  CHECK(receiver.open(Sender(0, 1, cluster_key(), sealing::kReceiver).seal("x")) == "own");
  CHECK(receiver.open(Sender(0, 1, cluster_key(), NodeId{4}).seal("x")) == "unknown_sender");
}

TEST_CASE("one node's datagram can not be passed off as another's") {
  Receiver receiver;
  Buffer datagram = Sender().seal("x");
  datagram[4] = std::byte{9};
  CHECK(receiver.open(datagram) == "forged");
}

TEST_CASE("datagrams may overtake each other within the window, each is accepted once") {
  Sender sender;
  Receiver receiver;
  receiver.prove(sender);
  std::vector<Buffer> datagrams;
  for (int i = 0; i < 500; ++i) datagrams.push_back(sender.seal(std::to_string(i)));
  base::Random random(7);
  for (std::size_t i = datagrams.size() - 1; i > 0; --i) {
    std::swap(datagrams[i], datagrams[random.below(i + 1)]);
  }
  for (const Buffer& datagram : datagrams) {
    CHECK(receiver.opener.open(receiver.now, datagram).has_value());
    CHECK(receiver.open(datagram) == "replayed");
  }
  CHECK(receiver.opener.opened() == 1 + 500);
}

TEST_CASE("forged datagrams from far ahead do not shut out the genuine ones") {
  Sender sender;
  Receiver receiver;
  receiver.prove(sender);
  CHECK(receiver.open(sender.seal("1")) == "1");
  Buffer forged = sender.seal("2");
  for (std::size_t i = 24; i < 32; ++i) forged[i] = std::byte{0xff};
  CHECK(receiver.open(forged) == "forged");
  CHECK(receiver.open(sender.seal("3")) == "3");
}

TEST_CASE("the key changes after 2^24 datagrams, also for those that come late") {
  Sender sender(0, kSubKey - 4);
  Receiver receiver;
  receiver.prove(sender);
  const Buffer last_but_one = sender.seal("last but one");
  const Buffer last = sender.seal("last");
  const Buffer first = sender.seal("first");
  CHECK(receiver.open(last_but_one) == "last but one");
  CHECK(receiver.open(first) == "first");
  CHECK(receiver.open(last) == "last");
  CHECK(receiver.open(last) == "replayed");
  CHECK(receiver.open(sender.seal("second")) == "second");
}

TEST_CASE("each key of the receiver opens, and one that was taken away does not") {
  Sender sender;
  Receiver receiver;
  receiver.prove(sender);
  evs::net::Keyring keys = cluster_key();
  keys.keys.push_back(cluster_key());
  keys.keys[1].id = KeyId{7};
  keys.keys[1].master.bytes()[0] ^= std::byte{1};
  const Buffer recorded = sender.seal("before");
  CHECK(receiver.open(recorded) == "before");
  sender.sealer.use(keys.keys[1]);
  CHECK(sender.sealer.key_id() == KeyId{7});
  CHECK(receiver.open(sender.seal("too early")) == "wrong_key_id");

  receiver.opener.use(keys);
  CHECK(receiver.open(recorded) == "replayed");
  CHECK(receiver.open(sender.seal("now")) == "now");
  CHECK(receiver.opener.key_of(sealing::kSender) == KeyId{7});
  sender.sealer.use(keys.keys[0]);
  CHECK(receiver.open(sender.seal("back again")) == "back again");
  CHECK(receiver.opener.key_of(sealing::kSender) == cluster_key().id);

  keys.keys.erase(keys.keys.begin());
  receiver.opener.use(keys);
  CHECK(receiver.open(sender.seal("of old")) == "wrong_key_id");
  CHECK_FALSE(receiver.opener.key_of(NodeId{9}).has_value());
}

TEST_CASE("a key id that gets another key opens with that one only") {
  Sender sender;
  Receiver receiver;
  receiver.prove(sender);
  CHECK(receiver.open(sender.seal("a")) == "a");
  ClusterKey other = cluster_key();
  other.master.bytes()[0] ^= std::byte{1};
  receiver.opener.use(other);
  CHECK(receiver.open(sender.seal("b")) == "forged");
  sender.sealer.use(other);
  CHECK(receiver.open(sender.seal("c")) == "c");
}

TEST_CASE("with the other cipher all is sealed and opened alike, and a mixture is told apart") {
  using evs::net::Cipher;
  Sender sender(0, 1, cluster_key(), sealing::kSender, Cipher::aes_256_gcm);
  Receiver receiver(1, Cipher::aes_256_gcm);
  CHECK(receiver.prove(sender, "first") == "first");
  for (std::size_t size : {0u, 1u, 15u, 16u, 100u, 1400u, 65459u}) {
    const std::string text(size, 'x');
    CHECK(receiver.open(sender.seal(text)) == text);
  }
  Buffer datagram = sender.seal("a message");
  for (std::size_t bit = 0; bit < 8 * datagram.size(); ++bit) {
    const std::byte mask{static_cast<unsigned char>(1u << (bit % 8))};
    datagram[bit / 8] ^= mask;
    CHECK_FALSE(receiver.opener.open(receiver.now, datagram).has_value());
    datagram[bit / 8] ^= mask;
  }
  CHECK(receiver.open(datagram) == "a message");
  CHECK(receiver.open(Sender(1).seal("of the other cipher")) == "wrong_cipher");
  CHECK(Receiver().open(sender.seal("of this one")) == "wrong_cipher");
}

TEST_CASE("random bytes are refused, whatever they are") {
  base::Random random(11);
  Receiver receiver;
  for (int i = 0; i < 20000; ++i) {
    Buffer datagram(random.below(200));
    for (std::byte& b : datagram) b = static_cast<std::byte>(random.below(256));
    if (datagram.size() > 8 && random.chance(1, 2)) {
      const Buffer genuine = Sender().seal("x");
      std::copy_n(genuine.begin(), 8, datagram.begin());
    }
    CHECK_FALSE(receiver.opener.open(receiver.now, datagram).has_value());
  }
}
