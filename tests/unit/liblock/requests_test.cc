// Requests with everything, several at once, releases by force, and why a wait was a deadlock.
#include "tests/unit/liblock/machine_wire.h"

using namespace liblock_test;
namespace flag = base::lock_flag;

namespace {

protocol::ValueBlock value_of(int byte) {
  protocol::ValueBlock value;
  value.fill(std::byte(byte));
  return value;
}

// Three locks, `a`, `b` and `c`.
RequestId acquire_all(Wire& wire, LockFlags flags = 0, std::uint32_t patience = 0) {
  AllRequest request{{}, flags, 7, patience};
  for (const char* name : {"a", "b", "c"}) request.parts.push_back({Mode::ex, "default", name});
  const auto first = wire.machine.acquire_all(wire.now, request);
  REQUIRE(first.has_value());
  wire.drain();
  return *first;
}

RequestId plus(RequestId id, std::uint64_t more) {
  return RequestId{base::value(id) + more};
}

}  // namespace

TEST_CASE("a request is sent with all that it has, and its outcome is told with all of it") {
  Wire wire;
  wire.open();
  const auto request = wire.machine.acquire(
      wire.now, {"space", "name", Mode::pw, flag::value_block | flag::or_pr, 11, 12});
  REQUIRE(request.has_value());
  wire.drain();
  const auto sent = wire.only_sent<protocol::Acquire>();
  CHECK(sent.mode == Mode::pw);
  CHECK(sent.flags == (flag::value_block | flag::or_pr));
  CHECK(sent.owner == 11);
  CHECK(sent.patience == 12);
  CHECK(sent.lockspace == "space");
  wire.say(protocol::Reply{*request, Answer::granted, Mode::pr, Token{5},
                           base::grant_note::other_mode, value_of(3), wire.note(), ""});
  const auto granted = wire.only_event<Granted>();
  CHECK(granted.mode == Mode::pr);
  CHECK(granted.notes == base::grant_note::other_mode);
  CHECK(granted.value == value_of(3));
  CHECK(wire.machine.grant(*request)->mode() == Mode::pr);
}

TEST_CASE("flags that do not go together are refused before anything is sent") {
  Wire wire;
  wire.open();
  const auto ask = [&](Mode mode, LockFlags flags) {
    return wire.machine.acquire(wire.now, {"default", "a", mode, flags});
  };
  CHECK(ask(Mode::ex, flag::expedite).error() == CallError::invalid);
  CHECK(ask(Mode::ex, flag::queue_convert).error() == CallError::invalid);
  CHECK(ask(Mode::ex, 0x80000000).error() == CallError::invalid);
  AllRequest all{{{Mode::ex, "default", "a"}, {Mode::ex, "default", "a"}}};
  CHECK(wire.machine.acquire_all(wire.now, all).error() == CallError::invalid);
  all.parts[1].resource = "b";
  all.flags = flag::or_pr;
  CHECK(wire.machine.acquire_all(wire.now, all).error() == CallError::invalid);
  all.parts.clear();
  CHECK(wire.machine.acquire_all(wire.now, all).error() == CallError::invalid);
  const RequestId held = wire.hold("held", 1);
  CHECK(wire.machine.release(wire.now, held, flag::persistent).error() == CallError::invalid);
  wire.drain();
  CHECK(wire.sent.empty());
}

TEST_CASE("each end of a wait has its outcome") {
  Wire wire;
  wire.open();
  const std::pair<Answer, Failure> outcomes[] = {{Answer::timed_out, Failure::timed_out},
                                                 {Answer::deadlock, Failure::deadlock},
                                                 {Answer::not_found, Failure::not_found},
                                                 {Answer::not_permitted, Failure::not_permitted}};
  for (const auto& [answer, failure] : outcomes) {
    const RequestId request = wire.acquire("jobs");
    wire.reply(request, Answer::queued);
    wire.clear();
    wire.reply(request, answer);
    CHECK(wire.only_event<Failed>().failure == failure);
  }
}

TEST_CASE("a wait whose patience ended while nobody could tell has timed out") {
  Wire wire;
  wire.open();
  const auto request = wire.machine.acquire(wire.now, {"default", "a", Mode::ex, 0, 0, 50});
  wire.drain();
  wire.reply(*request, Answer::queued);
  wire.disconnect();
  wire.reconnect();
  wire.welcome(true);
  wire.clear();
  wire.reply(*request, Answer::stale);
  CHECK(wire.only_event<Failed>().failure == Failure::timed_out);
}

TEST_CASE("several at once: one message, as many ids, told when all are") {
  Wire wire;
  wire.open();
  const RequestId first = acquire_all(wire, flag::value_block, 9);
  const auto sent = wire.only_sent<protocol::AcquireAll>();
  CHECK(sent.request == first);
  CHECK(sent.flags == flag::value_block);
  CHECK(sent.owner == 7);
  CHECK(sent.patience == 9);
  CHECK(sent.parts.size() == 3);
  CHECK(wire.acquire("next") == plus(first, 3));
  wire.clear();

  wire.reply(plus(first, 1), Answer::granted, 21);
  wire.reply(first, Answer::granted, 20);
  CHECK(wire.events.empty());
  CHECK(wire.machine.held() == 0);
  wire.reply(plus(first, 2), Answer::granted, 22);
  const auto granted = wire.only_event<GrantedAll>().parts;
  REQUIRE(granted.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(granted[i].request == plus(first, i));
    CHECK(granted[i].token == Token{20 + i});
    CHECK(wire.machine.valid_for(wire.now, plus(first, i)) > 0s);
  }
  REQUIRE(wire.machine.release(wire.now, plus(first, 1)).has_value());
  CHECK(wire.machine.held() == 2);
}

TEST_CASE("several at once: what was told of a part before the connection broke is told again") {
  Wire wire;
  wire.open();
  const RequestId first = acquire_all(wire);
  const RequestId behind = wire.acquire("behind");
  wire.reply(behind, Answer::queued);
  wire.reply(first, Answer::granted, 20);
  wire.disconnect();
  wire.reconnect();
  wire.clear();
  wire.welcome(true);
  const auto again = wire.only_sent<protocol::AcquireAll>();
  CHECK(again.request == first);
  CHECK(again.acknowledged < first);  // As long as a part is not answered.
  wire.clear();
  for (std::uint64_t i = 0; i < 3; ++i) wire.reply(plus(first, i), Answer::granted, 20 + i);
  CHECK(wire.only_event<GrantedAll>().parts.size() == 3);
}

TEST_CASE("several at once: queued counts as answered when all parts are") {
  Wire wire;
  wire.open();
  const RequestId first = acquire_all(wire);
  const auto mark = [&] {
    wire.clear();
    wire.acquire("other");
    return wire.only_sent<protocol::Acquire>().acknowledged;
  };
  wire.reply(first, Answer::queued);
  wire.reply(plus(first, 1), Answer::queued);
  wire.reply(plus(first, 1), Answer::queued);
  CHECK(mark() < first);
  wire.reply(plus(first, 2), Answer::queued);
  CHECK(mark() == plus(first, 2));
}

TEST_CASE("several at once: one refusal is that of all") {
  Wire wire;
  wire.open();
  const RequestId first = acquire_all(wire);
  for (std::uint64_t i = 0; i < 3; ++i) wire.reply(plus(first, i), Answer::queued);
  wire.clear();
  SUBCASE("a time-out") {
    for (std::uint64_t i = 0; i < 3; ++i) wire.reply(plus(first, i), Answer::timed_out);
    CHECK(wire.only_event<Failed>().request == first);
    CHECK(wire.only_event<Failed>().failure == Failure::timed_out);
  }
  SUBCASE("a cancellation, by the id of any") {
    REQUIRE(wire.machine.cancel(wire.now, plus(first, 2)).has_value());
    wire.drain();
    const auto cancel = wire.only_sent<protocol::Cancel>();
    CHECK(cancel.acquire == first);
    wire.reply(cancel.request, Answer::cancelled);
    wire.reply(plus(first, 1), Answer::cancelled);
    CHECK(wire.only_event<Failed>().failure == Failure::cancelled);
  }
  SUBCASE("of what is not there any more after a resume, the rest is given back") {
    wire.disconnect();
    wire.reconnect();
    wire.welcome(true);
    wire.clear();
    wire.reply(first, Answer::stale);
    wire.reply(plus(first, 1), Answer::granted, 21);
    wire.reply(plus(first, 2), Answer::granted, 22);
    CHECK(wire.only_event<Failed>().failure == Failure::lost);
    CHECK(wire.all_sent<protocol::Release>().size() == 2);
  }
  CHECK(wire.machine.held() == 0);
}

TEST_CASE("several at once: heard of after the lease, or by nobody, they are given back") {
  Wire wire;
  wire.open();
  const RequestId first = acquire_all(wire);
  const LeaseNote then = wire.note();
  Failure failure = Failure::invalid;
  SUBCASE("after the lease") {
    wire.pass(3s);
    failure = Failure::lost;
  }
  SUBCASE("by nobody") {
    wire.machine.forget(wire.now, first);
  }
  wire.clear();
  for (std::uint64_t i = 0; i < 3; ++i) {
    wire.say(
        protocol::Reply{plus(first, i), Answer::granted, Mode::ex, Token{20 + i}, 0, {}, then, ""});
  }
  if (failure == Failure::lost) {
    CHECK(wire.only_event<Failed>().failure == Failure::lost);
  } else {
    CHECK(wire.events.empty());
  }
  CHECK(wire.machine.held() == 0);
  CHECK(wire.all_sent<protocol::Release>().size() == 3);
}

TEST_CASE("several at once go into the next session as one") {
  Wire wire;
  wire.open();
  const RequestId first = acquire_all(wire);
  wire.reply(first, Answer::granted, 20);
  wire.say(protocol::Lost{protocol::LostReason::expired});
  wire.disconnect();
  wire.reconnect();
  wire.clear();
  wire.welcome(false, 8);
  CHECK(wire.only_sent<protocol::AcquireAll>().request == first);
  wire.clear();
  // The grant of the old session does not count.
  wire.reply(plus(first, 1), Answer::granted, 31);
  wire.reply(plus(first, 2), Answer::granted, 32);
  CHECK(wire.events.empty());
  wire.reply(first, Answer::granted, 30);
  CHECK(wire.only_event<GrantedAll>().parts[0].token == Token{30});
}

TEST_CASE("a request that waits is released by force: it is cancelled, then released") {
  Wire wire;
  wire.open();
  const RequestId request = wire.acquire("jobs");
  wire.reply(request, Answer::queued);
  wire.clear();
  CHECK(wire.machine.release(wire.now, request).error() == CallError::not_held);
  const auto release = wire.machine.release(wire.now, request, flag::force);
  REQUIRE(release.has_value());
  wire.drain();
  CHECK(wire.only_event<Failed>().failure == Failure::cancelled);
  const auto sent = wire.only_sent<protocol::Release>();
  CHECK(sent.acquire == request);
  CHECK(sent.flags == flag::force);
  CHECK(wire.machine.release(wire.now, request, flag::force).error() == CallError::not_held);
  CHECK(wire.machine.cancel(wire.now, request).has_value());
  wire.clear();
  SUBCASE("it waited") {
    wire.reply(*release, Answer::released);
  }
  SUBCASE("it had been granted before") {
    wire.reply(request, Answer::granted, 4);
    CHECK(wire.events.empty());
    CHECK(wire.all_sent<protocol::Release>().empty());
    wire.reply(*release, Answer::released);
  }
  SUBCASE("it had ended before") {
    wire.reply(request, Answer::timed_out);
    wire.reply(*release, Answer::not_held);
  }
  CHECK(wire.only_event<Released>().in_time);
  CHECK(wire.only_event<Released>().operation == *release);
  CHECK(wire.machine.held() == 0);
}

TEST_CASE("a release takes flags and value along") {
  Wire wire;
  wire.open();
  const RequestId held = wire.hold("jobs", 1);
  REQUIRE(wire.machine.release(wire.now, held, flag::value_block, value_of(9)).has_value());
  wire.drain();
  CHECK(wire.only_sent<protocol::Release>().flags == flag::value_block);
  CHECK(wire.only_sent<protocol::Release>().value == value_of(9));
}

TEST_CASE("the ring of a deadlock comes with the failure, and with no other") {
  Wire wire;
  wire.open();
  const RequestId first = wire.acquire("a");
  const RequestId second = wire.acquire("b");
  protocol::Deadlock deadlock{first, {}};
  deadlock.steps.resize(2);
  for (auto& step : deadlock.steps) step.lockspace = step.resource = "x";
  wire.clear();
  wire.say(deadlock);
  wire.reply(second, Answer::deadlock);
  CHECK(wire.only_event<Failed>().deadlock.empty());
  wire.clear();
  wire.reply(first, Answer::deadlock);
  CHECK(wire.only_event<Failed>().deadlock.size() == 2);
}

TEST_CASE("orphans are dropped once, and not known to be if the session ends before a word") {
  Wire wire;
  wire.open();
  const auto drop = wire.machine.drop_orphans(wire.now, base::NodeId{3}, 4);
  REQUIRE(drop.has_value());
  wire.drain();
  CHECK(wire.only_sent<protocol::DropOrphans>().node == base::NodeId{3});
  CHECK(wire.only_sent<protocol::DropOrphans>().pid == 4);
  SUBCASE("done") {
    wire.reply(*drop, Answer::done);
    CHECK_FALSE(wire.only_event<Done>().failure.has_value());
  }
  SUBCASE("not permitted") {
    wire.reply(*drop, Answer::not_permitted);
    CHECK(wire.only_event<Done>().failure == Failure::not_permitted);
  }
  SUBCASE("lost") {
    wire.say(protocol::Lost{protocol::LostReason::expired});
    CHECK(wire.all_events<Done>().at(0).failure == Failure::lost);
  }
  SUBCASE("asked again after a reconnect") {
    wire.disconnect();
    wire.reconnect();
    wire.clear();
    wire.welcome(true);
    CHECK(wire.only_sent<protocol::DropOrphans>().request == *drop);
  }
  CHECK(wire.all_events<Failed>().empty());
}
