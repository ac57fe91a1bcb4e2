#include "evs/frame.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "evs/config.h"

namespace evs {
namespace {

constexpr std::size_t kRoom = std::size_t{4} * 1024 * 1024;

struct Sent {
  Service service;
  Buffer payload;
};

Buffer pattern(std::size_t size, std::size_t salt) {
  Buffer bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + salt + i / 251);
  return bytes;
}

// No frame of a packet is of the other kind, fragments included.
void check_services(const PackedPayload& packed) {
  base::ByteReader in(packed.payload);
  while (in.left() > 0) {
    const bool safe = Service{static_cast<std::uint8_t>(in.u8() & 3)} == Service::safe;
    CHECK(safe == packed.safe);
    in.bytes16();
  }
  CHECK(in.finish());
}

// Packs everything and puts it together again: the same messages, and no packet too long.
void check_carried(const std::vector<Sent>& messages, std::size_t bytes_max) {
  SendQueue queue(kRoom);
  for (const Sent& message : messages) REQUIRE(queue.push(message.service, message.payload));
  Reassembly reassembly;
  std::vector<Reassembled> arrived;
  while (!queue.empty()) {
    const PackedPayload packed = queue.pack(bytes_max);
    REQUIRE(packed.payload.size() <= bytes_max);
    REQUIRE(!packed.payload.empty());
    check_services(packed);
    auto ended = reassembly.take(packed.payload);
    REQUIRE(ended.has_value());
    CHECK(ended->size() == packed.messages_ended);
    for (Reassembled& message : *ended) arrived.push_back(std::move(message));
  }
  CHECK(queue.room() == kRoom - kFrameHeaderBytes);
  REQUIRE(arrived.size() == messages.size());
  for (std::size_t i = 0; i < messages.size(); ++i) {
    CHECK(arrived[i].service == messages[i].service);
    CHECK(arrived[i].payload == messages[i].payload);
  }
}

TEST_CASE("a message of any size around a packet's boundary arrives whole") {
  for (std::size_t bytes_max : {4U, 5U, 6U, 7U, 16U, 61U}) {
    for (std::size_t size = 0; size <= 3 * bytes_max + 1; ++size) {
      CAPTURE(bytes_max);
      CAPTURE(size);
      check_carried({{Service::agreed, pattern(size, 1)}}, bytes_max);
      check_carried({{Service::safe, pattern(size, 1)}, {Service::safe, pattern(size, 2)}},
                    bytes_max);
    }
  }
}

TEST_CASE("any row of messages of all services arrives whole and in order") {
  base::Random random(1);
  for (std::size_t run = 0; run < 400; ++run) {
    const std::size_t bytes_max = random.between(4, 80);
    std::vector<Sent> messages(random.between(1, 20));
    for (Sent& message : messages) {
      message.service = Service{static_cast<std::uint8_t>(random.below(4))};
      message.payload = pattern(random.chance(1, 4) ? 0 : random.below(2 * bytes_max), run);
    }
    check_carried(messages, bytes_max);
  }
}

TEST_CASE("a message that just fits takes one packet, one byte more takes two") {
  for (std::size_t more : {0U, 1U}) {
    SendQueue queue(kRoom);
    REQUIRE(queue.push(Service::agreed, pattern(100 - kFrameHeaderBytes + more, 0)));
    CHECK(queue.pack(100).messages_ended == 1 - more);
    CHECK(queue.empty() == (more == 0));
  }
}

TEST_CASE("a message is not cut for the last few bytes of a packet") {
  for (const std::size_t left : {std::size_t{10}, std::size_t{63}, std::size_t{64}}) {
    SendQueue queue(kRoom);
    REQUIRE(queue.push(Service::agreed, Buffer(400 - left)));
    REQUIRE(queue.push(Service::agreed, Buffer(200)));
    const PackedPayload first = queue.pack(400 + 2 * kFrameHeaderBytes);
    CHECK(first.payload.size() ==
          (left < 64 ? 400 - left + kFrameHeaderBytes : 400 + 2 * kFrameHeaderBytes));
    CHECK(queue.pack(400).messages_ended == 1);
    CHECK(queue.empty());
  }
}

TEST_CASE("small messages share a packet") {
  SendQueue queue(kRoom);
  for (std::size_t i = 0; i < 10; ++i) REQUIRE(queue.push(Service::agreed, pattern(5, i)));
  CHECK(queue.pack(1000).messages_ended == 10);
  CHECK(queue.empty());
}

TEST_CASE("safe and agreed messages never share a packet, nor overtake each other") {
  SendQueue queue(kRoom);
  for (Service service : {Service::agreed, Service::fifo, Service::safe, Service::unordered}) {
    REQUIRE(queue.push(service, pattern(5, 0)));
  }
  const PackedPayload first = queue.pack(1000);
  CHECK_FALSE(first.safe);
  CHECK(first.messages_ended == 2);
  const PackedPayload second = queue.pack(1000);
  CHECK(second.safe);
  CHECK(second.messages_ended == 1);
  CHECK_FALSE(queue.pack(1000).safe);
  CHECK(queue.empty());
}

TEST_CASE("the longest message arrives, also in the largest datagrams") {
  for (std::size_t bytes_max : {1338U, 60000U, 1U << 20U}) {
    check_carried({{Service::safe, pattern(kMessageBytesMax, 3)}}, bytes_max);
  }
}

TEST_CASE("a message that was begun starts again from its beginning") {
  SendQueue queue(kRoom);
  REQUIRE(queue.push(Service::agreed, pattern(50, 0)));
  REQUIRE(queue.push(Service::agreed, pattern(5, 1)));
  REQUIRE(queue.pack(20).messages_ended == 0);
  queue.restart_message();
  const PackedPayload whole = queue.pack(1000);
  CHECK(whole.messages_ended == 2);
  Reassembly other_ring;
  const auto arrived = other_ring.take(whole.payload);
  REQUIRE(arrived.has_value());
  REQUIRE(arrived->size() == 2);
  CHECK((*arrived)[0].payload == pattern(50, 0));
  CHECK(queue.room() == kRoom - kFrameHeaderBytes);
  queue.restart_message();  // Harmless on an empty queue.
  CHECK(queue.empty());
}

TEST_CASE("a full queue takes no more until a message has left it, and empty messages count") {
  SendQueue queue(100);
  REQUIRE(queue.push(Service::agreed, pattern(100 - kFrameHeaderBytes, 0)));
  CHECK(queue.room() == 0);
  CHECK_FALSE(queue.push(Service::agreed, {}));
  queue.pack(50);  // A message takes its room until its last frame is packed.
  CHECK_FALSE(queue.push(Service::agreed, {}));
  while (!queue.empty()) queue.pack(50);
  CHECK(queue.room() == 100 - kFrameHeaderBytes);
  int pushed = 0;
  while (queue.push(Service::agreed, {})) ++pushed;
  CHECK(pushed == 100 / static_cast<int>(kFrameHeaderBytes));
  queue.clear();
  CHECK(queue.room() == 100 - kFrameHeaderBytes);
  CHECK(queue.empty());
}

// Frames by hand: flags of docs/wire.md are the service, 4 for a first and 8 for a last frame.
Buffer frame(int flags, std::size_t size) {
  Buffer bytes;
  base::ByteWriter out(bytes);
  out.u8(static_cast<std::uint8_t>(flags));
  out.bytes16(pattern(size, 0));
  return bytes;
}

Buffer operator+(Buffer a, const Buffer& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

constexpr int kWhole = 4 | 8 | 2;
constexpr int kBegin = 4 | 2;
constexpr int kMiddle = 2;
constexpr int kEnd = 8 | 2;

TEST_CASE("frames that make no sense are refused and harm no later message") {
  const Buffer nonsense[] = {
      frame(kEnd, 5),                       // The end of nothing.
      frame(kMiddle, 5),                    // The middle of nothing.
      frame(kWhole | 16, 5),                // An unknown flag.
      frame(kBegin, 5) + frame(kWhole, 5),  // A message within a message.
      frame(kWhole, 5) + frame(kEnd, 5),    // Sense first, then none.
      Buffer{std::byte{kWhole}},            // No length.
      Buffer{std::byte{kWhole}, std::byte{9}, std::byte{0}, std::byte{1}},  // Too long a length.
  };
  for (const Buffer& payload : nonsense) {
    Reassembly reassembly;
    CHECK_FALSE(reassembly.take(payload).has_value());
    const auto later = reassembly.take(frame(kWhole, 7));
    REQUIRE(later.has_value());
    REQUIRE(later->size() == 1);
    CHECK(later->front().payload == pattern(7, 0));
  }
}

TEST_CASE("a message that was open when nonsense came is gone") {
  Reassembly reassembly;
  REQUIRE(reassembly.take(frame(kBegin, 5)).has_value());
  CHECK_FALSE(reassembly.take(frame(kWhole, 5)).has_value());
  CHECK_FALSE(reassembly.take(frame(kEnd, 5)).has_value());
  CHECK(reassembly.take(frame(kWhole, 5)).has_value());
}

TEST_CASE("a message that grows beyond the longest is refused") {
  Reassembly reassembly;
  REQUIRE(reassembly.take(frame(kBegin, 60000)).has_value());
  std::size_t size = 60000;
  while (size + 60000 <= kMessageBytesMax) {
    REQUIRE(reassembly.take(frame(kMiddle, 60000)).has_value());
    size += 60000;
  }
  SUBCASE("by one byte") {
    CHECK_FALSE(reassembly.take(frame(kEnd, kMessageBytesMax - size + 1)).has_value());
  }
  SUBCASE("but not just at it") {
    const auto ended = reassembly.take(frame(kEnd, kMessageBytesMax - size));
    REQUIRE(ended.has_value());
    REQUIRE(ended->size() == 1);
    CHECK(ended->front().payload.size() == kMessageBytesMax);
  }
}

}  // namespace
}  // namespace evs
