#include "lockd/group_flow.h"

#include <doctest/doctest.h>

#include <chrono>

namespace lockd {
namespace {

using namespace std::chrono_literals;

constexpr ConnectionId kReader{1};
constexpr ConnectionId kOther{2};
constexpr base::Processor kOne{base::NodeId{1}, base::Incarnation{11}};
constexpr base::Processor kTwo{base::NodeId{2}, base::Incarnation{22}};

constexpr std::size_t kMuch = GroupFlow::kBehindBytes;
constexpr std::size_t kSome = GroupFlow::kCaughtUpBytes + 1;
constexpr std::size_t kLittle = GroupFlow::kCaughtUpBytes;

struct Flow : GroupFlow {
  Instant now{1000s, 1000s};
  void pass(base::Duration time) {
    now = now + time;
    handle_timeout(now);
  }
};

}  // namespace

TEST_CASE("a reader that is behind is told of once, and once more when it has caught up") {
  Flow flow;
  CHECK_FALSE(flow.poll_word(flow.now).has_value());
  flow.unread(flow.now, kReader, kMuch - 1);
  CHECK_FALSE(flow.poll_word(flow.now).has_value());
  flow.unread(flow.now, kReader, kMuch);
  CHECK(flow.poll_word(flow.now) == true);
  CHECK_FALSE(flow.poll_word(flow.now).has_value());
  flow.unread(flow.now, kReader, kSome);
  CHECK_FALSE(flow.poll_word(flow.now).has_value());
  flow.unread(flow.now, kReader, kLittle);
  CHECK(flow.poll_word(flow.now) == false);
  CHECK_FALSE(flow.poll_word(flow.now).has_value());
  CHECK_FALSE(flow.next_timeout().has_value());
}

TEST_CASE("the word is repeated before it is over, as long as anybody is behind") {
  Flow flow;
  flow.unread(flow.now, kReader, kMuch);
  flow.unread(flow.now, kOther, kMuch);
  CHECK(flow.poll_word(flow.now) == true);
  CHECK(*flow.next_timeout() < flow.now.boot + GroupFlow::kPause);
  flow.unread(flow.now, kReader, 0);
  flow.pass(*flow.next_timeout() - flow.now.boot);
  CHECK(flow.poll_word(flow.now) == true);
  flow.forget(kOther);
  CHECK(flow.poll_word(flow.now) == false);
}

TEST_CASE("a reader that does not catch up is not waited for any more, until it has") {
  Flow flow;
  flow.unread(flow.now, kReader, kMuch);
  CHECK(flow.poll_word(flow.now) == true);
  flow.pass(GroupFlow::kPatience);
  flow.unread(flow.now, kReader, 2 * kMuch);
  CHECK(flow.poll_word(flow.now) == false);
  flow.unread(flow.now, kReader, kMuch);
  CHECK_FALSE(flow.poll_word(flow.now).has_value());
  flow.unread(flow.now, kReader, kLittle);
  flow.unread(flow.now, kReader, kMuch);
  CHECK(flow.poll_word(flow.now) == true);
}

TEST_CASE("one word to pause closes the way, and it opens when all have said to go on") {
  Flow flow;
  CHECK(flow.open(flow.now));
  flow.hear(flow.now, kOne, true);
  flow.hear(flow.now, kTwo, true);
  CHECK_FALSE(flow.open(flow.now));
  flow.hear(flow.now, kOne, false);
  CHECK_FALSE(flow.open(flow.now));
  flow.hear(flow.now, kTwo, false);
  CHECK(flow.open(flow.now));
}

TEST_CASE("a word that is not repeated is over after a while") {
  Flow flow;
  flow.hear(flow.now, kOne, true);
  flow.pass(GroupFlow::kPause / 2);
  flow.hear(flow.now, kOne, true);
  flow.pass(GroupFlow::kPause / 2);
  CHECK_FALSE(flow.open(flow.now));
  CHECK(flow.next_timeout() == flow.now.boot + GroupFlow::kPause / 2);
  flow.pass(GroupFlow::kPause / 2);
  CHECK(flow.open(flow.now));
  CHECK_FALSE(flow.next_timeout().has_value());
}

TEST_CASE("in a new configuration nothing is paused, and who is still behind says so again") {
  Flow flow;
  flow.unread(flow.now, kReader, kMuch);
  CHECK(flow.poll_word(flow.now) == true);
  flow.hear(flow.now, kOne, true);
  flow.forget_words();
  CHECK(flow.open(flow.now));
  CHECK(flow.poll_word(flow.now) == true);
}

TEST_CASE("a word that nobody takes asks for no more time-outs") {
  Flow flow;
  flow.unread(flow.now, kReader, kMuch);
  CHECK(flow.poll_word(flow.now) == true);
  flow.pass(GroupFlow::kPause);
  CHECK_FALSE(flow.next_timeout().has_value());
  CHECK(flow.poll_word(flow.now) == true);
}

TEST_CASE("a word has one form in bytes") {
  for (const bool pause : {false, true}) {
    CHECK(GroupFlow::decode(GroupFlow::encode(pause)) == pause);
  }
  CHECK_FALSE(GroupFlow::decode({}).has_value());
  CHECK_FALSE(GroupFlow::decode(base::Buffer{std::byte{2}}).has_value());
  CHECK_FALSE(GroupFlow::decode(base::Buffer(2)).has_value());
}

}  // namespace lockd
