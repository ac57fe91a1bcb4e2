#include "evs/net/repeater.h"

#include <doctest/doctest.h>

#include <bit>
#include <chrono>
#include <map>
#include <string>

#include "evs/codec.h"

namespace evs::net {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr NodeMask kSelf = 1;
constexpr NodeMask kOne = 2;
constexpr NodeMask kBoth = 6;

base::Buffer sealed(const std::string& name, std::size_t bytes = 200) {
  base::Buffer datagram(bytes);
  const base::Bytes text = base::bytes_of(name);
  std::copy(text.begin(), text.end(), datagram.begin());
  return datagram;
}

void add(Repeater& repeater, base::Duration now, const Message& message, NodeMask to,
         const base::Buffer& datagram) {
  repeater.add(now, RecordType::ring, to, encode(message), datagram);
}

TokenMessage token(std::uint64_t hop) {
  TokenMessage message;
  message.hop = hop;
  message.acknowledged.resize(3);
  return message;
}

PacketMessage packet(std::uint64_t sequence) {
  PacketMessage message;
  message.sequence = sequence;
  return message;
}

// How often each datagram, by its first letter, was repeated, polling each millisecond.
std::map<char, int> copies(Repeater& repeater, base::Duration from, base::Duration to) {
  std::map<char, int> times;
  for (base::Duration now = from; now < to; now += milliseconds(1)) {
    while (const auto copy = repeater.poll(now)) {
      ++times[static_cast<char>(std::to_integer<int>(copy->datagram->front()))];
    }
  }
  return times;
}

}  // namespace

TEST_CASE("nothing is repeated unless it is asked for") {
  Repeater repeater(Redundancy{}, kSelf);
  add(repeater, seconds(1), token(1), kOne, sealed("a"));
  CHECK_FALSE(repeater.next_due());
  CHECK_FALSE(repeater.poll(seconds(2)));
}

TEST_CASE("a datagram is repeated so many times, byte for byte, and then no more") {
  Repeater repeater({100, 10'000'000}, kSelf);
  const base::Buffer datagram = sealed("a");
  add(repeater, seconds(1), token(1), kOne, datagram);
  int times = 0;
  for (base::Duration now = seconds(1); now < seconds(3); now += milliseconds(1)) {
    while (const auto copy = repeater.poll(now)) {
      ++times;
      CHECK(*copy->datagram == datagram);
      CHECK(copy->to == kOne);
    }
  }
  CHECK(times == 100);
  CHECK(repeater.copies() == 100);
  CHECK_FALSE(repeater.next_due());
}

TEST_CASE("copies stay within the rate, and a late poll makes up for 20 ms at most") {
  for (const auto pause : {milliseconds(1), milliseconds(100)}) {
    Repeater repeater({1'000'000, 1'000'000}, kSelf);
    add(repeater, seconds(1), token(1), kOne, sealed("t"));
    for (std::uint64_t sequence = 1; sequence < 10; ++sequence) {
      add(repeater, seconds(1), packet(sequence), kBoth, sealed("p", 1000));
    }
    std::size_t bytes = 0;
    for (base::Duration now = seconds(1); now < seconds(11); now += pause) {
      while (const auto copy = repeater.poll(now)) {
        bytes += static_cast<std::size_t>(std::popcount(copy->to)) * (copy->datagram->size() + 28);
      }
    }
    const std::size_t polls = static_cast<std::size_t>(seconds(10) / pause);
    const std::size_t rated = pause == milliseconds(1) ? 1'250'000 : 250'000;
    // A datagram that begins within its time may end after it.
    CHECK(bytes <= rated + 2100 * (pause == milliseconds(1) ? 1 : polls));
    CHECK(bytes >= rated - 2100);
  }
}

TEST_CASE("the next poll is never due at once again") {
  Repeater repeater({100, 1'000'000'000}, kSelf);
  add(repeater, seconds(1), token(1), kOne, sealed("a"));
  while (repeater.poll(seconds(1))) {
  }
  REQUIRE(repeater.next_due());
  CHECK(*repeater.next_due() == seconds(1) + milliseconds(1));
}

TEST_CASE("a newer token takes the place of the older one, and a Join that of the Join before") {
  Repeater repeater({1000, 10'000'000}, kSelf);
  add(repeater, seconds(1), token(1), kOne, sealed("a"));
  add(repeater, seconds(1), token(4), kOne, sealed("b"));
  add(repeater, seconds(1), JoinMessage{}, kBoth, sealed("c"));
  add(repeater, seconds(1), JoinMessage{}, kBoth, sealed("d"));
  const auto times = copies(repeater, seconds(1), seconds(2));
  CHECK(times.find('a') == times.end());
  CHECK(times.at('b') > 10);
  CHECK(times.find('c') == times.end());
  CHECK(times.at('d') > 10);
}

TEST_CASE("challenges and answers to different nodes do not take each other's place") {
  Repeater repeater({1000, 10'000'000}, kSelf);
  const base::Buffer text(28);
  repeater.add(seconds(1), RecordType::challenge, 2, text, sealed("a"));
  repeater.add(seconds(1), RecordType::challenge, 4, text, sealed("b"));
  repeater.add(seconds(1), RecordType::answer, 2, text, sealed("c"));
  repeater.add(seconds(1), RecordType::answer, 2, text, sealed("d"));
  const auto times = copies(repeater, seconds(1), seconds(2));
  CHECK(times.at('a') > 10);
  CHECK(times.at('b') > 10);
  CHECK(times.find('c') == times.end());
  CHECK(times.at('d') > 10);
}

TEST_CASE("packets are all repeated, up to a bound; then the oldest is given up") {
  Repeater repeater({1000, 10'000'000}, kSelf);
  for (std::size_t i = 0; i <= Repeater::kPacketsMax; ++i) {
    add(repeater, seconds(1), packet(i + 1), kBoth,
        sealed(std::string(1, static_cast<char>('a' + i))));
  }
  const auto times = copies(repeater, seconds(1), seconds(2));
  CHECK(times.size() == Repeater::kPacketsMax);
  CHECK(times.find('a') == times.end());
}

TEST_CASE("the token has a quarter of the rate, however many packets there are") {
  Repeater repeater({1'000'000, 10'000'000}, kSelf);
  add(repeater, seconds(1), token(1), kOne, sealed("t", 172));
  for (char c = 'a'; c < 'i'; ++c) {
    add(repeater, seconds(1), packet(static_cast<std::uint64_t>(c)), kBoth,
        sealed(std::string(1, c), 1372));
  }
  const auto times = copies(repeater, seconds(1), seconds(5));
  CHECK(times.at('t') * 200 > 1'200'000);
  CHECK(times.at('t') * 200 < 1'300'000);
}

TEST_CASE("a packet is repeated to those alone who have not acknowledged it on a token") {
  Repeater repeater({1000, 10'000'000}, kSelf);
  add(repeater, seconds(1), packet(5), kBoth, sealed("a"));
  TokenMessage passed = token(1);
  passed.sequence = 6;
  passed.acknowledged = {6, 5, 4};  // Of this node, and of those of the bits 2 and 4.
  add(repeater, seconds(1), passed, kOne, sealed("t"));
  add(repeater, seconds(1), packet(6), kBoth, sealed("b"));
  add(repeater, seconds(1), packet(4), kBoth, sealed("c"));
  std::map<char, NodeMask> to;
  for (base::Duration now = seconds(1); now < seconds(2); now += milliseconds(1)) {
    while (const auto copy = repeater.poll(now)) {
      to[static_cast<char>(std::to_integer<int>(copy->datagram->front()))] = copy->to;
    }
  }
  CHECK(to.at('a') == 4);
  CHECK(to.at('b') == kBoth);
  CHECK(to.find('c') == to.end());
}

TEST_CASE("a packet that is sent again is repeated in the place of the first") {
  Repeater repeater({1000, 10'000'000}, kSelf);
  add(repeater, seconds(1), packet(1), kBoth, sealed("a"));
  add(repeater, seconds(1), packet(2), kBoth, sealed("b"));
  add(repeater, seconds(1), packet(1), kBoth, sealed("c"));
  const auto times = copies(repeater, seconds(1), seconds(2));
  CHECK(times.find('a') == times.end());
  CHECK(times.at('b') > 10);
  CHECK(times.at('c') > 10);
}

TEST_CASE("what all have acknowledged on a token of its ring is not repeated") {
  Repeater repeater({1000, 10'000'000}, kSelf);
  for (std::uint64_t sequence : {1u, 2u, 3u}) {
    add(repeater, seconds(1), packet(sequence), kBoth,
        sealed(std::string(1, static_cast<char>('a' + sequence))));
  }
  PacketMessage other = packet(1);
  other.ring.sequence = 4;
  add(repeater, seconds(1), other, kBoth, sealed("x"));
  TokenMessage passed = token(1);
  passed.sequence = 3;
  passed.acknowledged = {3, 2, 3};
  add(repeater, seconds(1), passed, kOne, sealed("t"));
  const auto times = copies(repeater, seconds(1), seconds(2));
  CHECK(times.find('b') == times.end());
  CHECK(times.find('c') == times.end());
  CHECK(times.at('d') > 10);
  CHECK(times.at('x') > 10);
}

TEST_CASE("a token ends the copies of what it was agreed with, and hints are not repeated") {
  Repeater repeater({1000, 10'000'000}, kSelf);
  add(repeater, seconds(1), JoinMessage{}, kBoth, sealed("j"));
  add(repeater, seconds(1), CommitMessage{}, kOne, sealed("c"));
  add(repeater, seconds(1), WakeMessage{}, kOne, sealed("w"));
  add(repeater, seconds(1), TokenReceiptMessage{}, kOne, sealed("r"));
  add(repeater, seconds(1), AcknowledgementMessage{}, kBoth, sealed("a"));
  auto times = copies(repeater, seconds(1), seconds(1) + milliseconds(100));
  CHECK(times.size() == 2);
  CHECK(times.at('j') > 1);
  CHECK(times.at('c') > 1);
  add(repeater, seconds(2), token(1), kOne, sealed("t"));
  times = copies(repeater, seconds(2), seconds(3));
  CHECK(times.size() == 1);
  CHECK(times.at('t') > 10);
}

}  // namespace evs::net
