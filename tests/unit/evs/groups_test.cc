#include "evs/groups.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>

using namespace evs;

namespace {

GroupKey key(const std::string& text) {
  GroupKey key;
  const base::Bytes bytes = base::bytes_of(text);
  std::copy(bytes.begin(), bytes.end(), key.bytes.begin());
  return key;
}

std::vector<GroupKey> keys(std::size_t count) {
  std::vector<GroupKey> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(key("group " + std::to_string(i)));
  return all;
}

base::Buffer encoded(const std::vector<GroupKey>& groups, base::Bytes payload) {
  base::Buffer out;
  encode_group_message(groups, payload, out);
  return out;
}

std::optional<GroupMessage> decoded(base::Bytes bytes) {
  GroupMessage message;
  return decode_group_message(bytes, message) ? std::optional(message) : std::nullopt;
}

constexpr ReceiverId kOne{1};
constexpr ReceiverId kTwo{2};

using Receivers = std::vector<ReceiverId>;

}  // namespace

TEST_CASE("a message reaches whoever joined one of its groups, once and in the order of ids") {
  Groups groups;
  const auto a = key("a");
  const auto b = key("b");
  CHECK(groups.receivers({{a}}).empty());
  REQUIRE(groups.join(kTwo, {{a, b}}));
  REQUIRE(groups.join(kOne, {{b}}));
  CHECK(groups.receivers({{a}}) == Receivers{kTwo});
  CHECK(groups.receivers({{b}}) == Receivers{kOne, kTwo});
  CHECK(groups.receivers({{a, b, a}}) == Receivers{kOne, kTwo});
  CHECK(groups.receivers({{key("c")}}).empty());
}

TEST_CASE("all 32 bytes of a key count") {
  Groups groups;
  GroupKey last;
  last.bytes[31] = std::byte{1};
  REQUIRE(groups.join(kOne, {{last}}));
  CHECK(groups.receivers({{GroupKey{}}}).empty());
  CHECK(groups.receivers({{last}}) == Receivers{kOne});
}

TEST_CASE("joining twice is joining once, and who has left hears nothing more") {
  Groups groups;
  const auto a = key("a");
  const auto b = key("b");
  REQUIRE(groups.join(kOne, {{a}}));
  REQUIRE(groups.join(kOne, {{a, b}}));
  CHECK(groups.joined(kOne) == 2);
  groups.leave(kOne, {{a, key("never joined")}});
  CHECK(groups.receivers({{a}}).empty());
  CHECK(groups.receivers({{b}}) == Receivers{kOne});
  groups.leave_all(kOne);
  CHECK(groups.receivers({{b}}).empty());
  CHECK(groups.joined(kOne) == 0);
}

TEST_CASE("a receiver is in 256 groups at most, and one that asks for more joins none of them") {
  Groups groups;
  const auto all = keys(kGroupsMax + 1);
  CHECK_FALSE(groups.join(kOne, all));
  CHECK(groups.joined(kOne) == 0);
  CHECK(groups.receivers(all).empty());
  REQUIRE(groups.join(kOne, std::span(all).first(kGroupsMax)));
  REQUIRE(groups.join(kOne, std::span(all).first(kGroupsMax)));
  CHECK_FALSE(groups.join(kOne, std::span(all).last(1)));
  CHECK(groups.receivers(std::span(all).last(1)).empty());
  CHECK(groups.joined(kOne) == kGroupsMax);
}

TEST_CASE("a group message survives the wire, at the limits of its fields") {
  for (const std::size_t count : {std::size_t{1}, std::size_t{3}, kGroupsMax}) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kGroupPayloadBytesMax}) {
      const base::Buffer payload(size, std::byte{7});
      const auto groups = keys(count);
      const base::Buffer bytes = encoded(groups, payload);
      CHECK(bytes.size() < kMessageBytesMax);
      const auto back = decoded(bytes);
      REQUIRE(back.has_value());
      CHECK(back->groups == groups);
      CHECK(base::Buffer(back->payload.begin(), back->payload.end()) == payload);
    }
  }
}

TEST_CASE("a key survives the wire, whatever zeros are in it") {
  GroupKey inner = key("ab");
  inner.bytes[1] = std::byte{0};
  inner.bytes[31] = std::byte{1};
  const std::vector<GroupKey> groups = {GroupKey(), inner, key(std::string(32, 'k'))};
  const auto back = decoded(encoded(groups, {}));
  REQUIRE(back.has_value());
  CHECK(back->groups == groups);
}

TEST_CASE("the bytes of a group message are those of docs/wire.md") {
  const base::Buffer bytes = encoded({key("chat")}, base::bytes_of("hello"));
  base::Buffer expected = {std::byte{1},   std::byte{0},   std::byte{4},  std::byte{'c'},
                           std::byte{'h'}, std::byte{'a'}, std::byte{'t'}};
  for (const char c : std::string("hello")) expected.push_back(static_cast<std::byte>(c));
  CHECK(bytes == expected);
}

TEST_CASE("bytes that are no group message are refused") {
  const base::Buffer good = encoded({key("a"), key("chat")}, base::bytes_of("text"));
  constexpr std::size_t kHead = 2 + 1 + 1 + 1 + 4;
  for (std::size_t size = 0; size < kHead; ++size) {
    CHECK_FALSE(decoded(base::Bytes(good).first(size)).has_value());
  }
  CHECK(decoded(base::Bytes(good).first(kHead)).has_value());

  base::Buffer zero_at_the_end = good;
  zero_at_the_end[kHead - 1] = std::byte{0};
  CHECK_FALSE(decoded(zero_at_the_end).has_value());

  base::Buffer long_key(2 + 1 + 33, std::byte{1});
  long_key[1] = std::byte{0};
  long_key[2] = std::byte{32};
  CHECK(decoded(long_key).has_value());
  long_key[2] = std::byte{33};
  CHECK_FALSE(decoded(long_key).has_value());

  base::Buffer none = good;
  none[0] = std::byte{0};
  CHECK_FALSE(decoded(none).has_value());

  base::Buffer many(2 + kGroupsMax + 1);
  many[0] = std::byte{kGroupsMax & 0xff};
  many[1] = std::byte{kGroupsMax >> 8};
  CHECK(decoded(many).has_value());
  many[0] = std::byte{(kGroupsMax + 1) & 0xff};
  many[1] = std::byte{(kGroupsMax + 1) >> 8};
  CHECK_FALSE(decoded(many).has_value());

  base::Buffer longer = encoded(keys(1), base::Buffer(kGroupPayloadBytesMax));
  longer.push_back(std::byte{0});
  CHECK_FALSE(decoded(longer).has_value());
}
