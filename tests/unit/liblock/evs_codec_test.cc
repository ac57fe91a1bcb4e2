#include <doctest/doctest.h>

#include <string>

#include "liblock/protocol/codec.h"

using namespace liblock::protocol;

namespace {

std::vector<GroupKey> keys(std::size_t count) {
  std::vector<GroupKey> all(count);
  for (std::size_t i = 0; i < count; ++i) all[i].bytes[i % 32] = static_cast<std::byte>(i + 1);
  return all;
}

EvsDelivery delivery(std::size_t groups, std::size_t payload) {
  return {
      {NodeId{3}, base::Incarnation{44}}, {5, NodeId{1}, 6}, 17, 2, Guarantee::safe, keys(groups),
      base::Buffer(payload, std::byte{9})};
}

template <typename Message>
base::Buffer content_of(const Message& message) {
  base::Buffer frame;
  encode(message, frame);
  frame.erase(frame.begin(), frame.begin() + kFrameHeaderBytes);
  return frame;
}

}  // namespace

TEST_CASE("messages to groups survive the wire, from the shortest to the longest") {
  for (const std::size_t groups : {std::size_t{1}, kEvsGroupsMax}) {
    for (const std::size_t payload : {std::size_t{0}, std::size_t{1}, kEvsPayloadBytesMax}) {
      const Request sent =
          EvsMulticast{Guarantee::fifo, keys(groups), base::Buffer(payload, std::byte{9})};
      const base::Buffer request = content_of(sent);
      CHECK(request.size() <= kEvsFrameBytesMax);
      REQUIRE(decode_request(request).has_value());
      CHECK(*decode_request(request) == sent);
      const Response told = delivery(groups, payload);
      const base::Buffer response = content_of(told);
      CHECK(response.size() <= kEvsFrameBytesMax);
      REQUIRE(decode_response(response).has_value());
      CHECK(*decode_response(response) == told);
    }
  }
}

TEST_CASE("the bytes of a message to a group are those of docs/wire.md") {
  const base::Buffer content =
      content_of(Request{EvsMulticast{Guarantee::safe, keys(1), base::Buffer{std::byte{7}}}});
  base::Buffer expected = {std::byte{13}, std::byte{3}, std::byte{1}, std::byte{0}, std::byte{1}};
  expected.resize(4 + 32);
  expected.push_back(std::byte{7});
  CHECK(content == expected);
}

TEST_CASE("a message to no group, to too many, or over a MiB is refused") {
  const base::Buffer good = content_of(Request{EvsMulticast{Guarantee::safe, keys(2), {}}});
  for (std::size_t size = 0; size < good.size(); ++size) {
    CHECK_FALSE(decode_request(base::Bytes(good).first(size)).has_value());
  }
  base::Buffer bad = good;
  bad[1] = std::byte{4};  // Guarantee.
  CHECK_FALSE(decode_request(bad).has_value());
  bad = good;
  bad[2] = std::byte{0};  // Groups.
  CHECK_FALSE(decode_request(bad).has_value());
  bad = good;
  bad[3] = std::byte{2};
  bad.resize(4 + 512 * 32);
  CHECK_FALSE(decode_request(bad).has_value());
  bad = good;
  bad.resize(good.size() + kEvsPayloadBytesMax + 1);
  CHECK_FALSE(decode_request(bad).has_value());
}

TEST_CASE("only messages to groups may be longer than the others") {
  base::Buffer long_one = content_of(Request{Close{}});
  long_one.resize(kRequestBytesMax + 1);
  CHECK(decode_request(long_one).error() == DecodeError::too_long);
  base::Buffer longer = content_of(Response{EvsDone{1}});
  longer.resize(kResponseBytesMax + 1);
  CHECK(decode_response(longer).error() == DecodeError::too_long);
}
