// A grant that goes from mode to mode, and what its holder hears of those who wait for it.
#include "tests/unit/liblock/machine_wire.h"

using namespace liblock_test;
namespace flag = base::lock_flag;

namespace {

RequestId convert(Wire& wire, RequestId lock, Mode mode, LockFlags flags = 0,
                  std::uint32_t patience = 0) {
  const auto asked = wire.machine.convert(wire.now, lock, {mode, flags, patience, {}});
  REQUIRE(asked.has_value());
  wire.drain();
  return *asked;
}

void answer(Wire& wire, RequestId conversion, Mode mode, std::uint64_t token) {
  wire.say(
      protocol::Reply{conversion, Answer::granted, mode, Token{token}, 0, {}, wire.note(), ""});
}

void blocks(Wire& wire, RequestId lock, std::uint64_t token, Mode mode) {
  wire.say(protocol::Blocks{lock, Token{token}, mode});
}

}  // namespace

TEST_CASE("a conversion: held as it was until it is granted, then under a new token") {
  Wire wire;
  wire.open();
  const RequestId lock = wire.hold("jobs", 5, Mode::pr);
  protocol::ValueBlock value;
  value.fill(std::byte{7});
  const auto asked = wire.machine.convert(wire.now, lock, {Mode::ex, flag::value_block, 30, value});
  REQUIRE(asked.has_value());
  wire.drain();
  const auto sent = wire.only_sent<protocol::Convert>();
  CHECK(sent.request == *asked);
  CHECK(sent.acquire == lock);
  CHECK(sent.mode == Mode::ex);
  CHECK(sent.flags == flag::value_block);
  CHECK(sent.patience == 30);
  CHECK(sent.value == value);
  wire.reply(*asked, Answer::queued);
  CHECK(wire.machine.valid_for(wire.now, lock) > 0s);
  CHECK(wire.machine.grant(lock)->token() == Token{5});
  CHECK(wire.machine.convert(wire.now, lock, {}).error() == CallError::in_progress);
  CHECK(wire.machine.release(wire.now, lock).error() == CallError::in_progress);
  wire.clear();
  answer(wire, *asked, Mode::ex, 9);
  const auto converted = wire.only_event<Converted>();
  CHECK(converted.operation == *asked);
  CHECK(converted.lock.request == lock);
  CHECK(converted.lock.token == Token{9});
  CHECK(wire.machine.grant(lock)->mode() == Mode::ex);
  REQUIRE(wire.machine.release(wire.now, lock).has_value());
  wire.drain();
  CHECK(wire.only_sent<protocol::Release>().token == Token{9});
}

TEST_CASE("a conversion that fails leaves the lock as it was, unless it was demoted") {
  Wire wire;
  wire.open();
  const RequestId lock = wire.hold("jobs", 5, Mode::pr);
  const std::pair<Answer, Failure> outcomes[] = {{Answer::busy, Failure::busy},
                                                 {Answer::cancelled, Failure::cancelled},
                                                 {Answer::timed_out, Failure::timed_out},
                                                 {Answer::deadlock, Failure::deadlock},
                                                 {Answer::not_quorate, Failure::not_quorate},
                                                 {Answer::in_progress, Failure::in_progress}};
  for (const auto& [answer, failure] : outcomes) {
    const RequestId conversion = convert(wire, lock, Mode::ex);
    wire.clear();
    wire.reply(conversion, answer);
    const auto failed = wire.only_event<ConversionFailed>();
    CHECK(failed.failure == failure);
    CHECK(failed.lock.token == Token{5});
    CHECK(failed.lock.mode == Mode::pr);
    CHECK(wire.machine.valid_for(wire.now, lock) > 0s);
  }
  const RequestId conversion = convert(wire, lock, Mode::ex, flag::demote_on_deadlock);
  wire.clear();
  wire.say(protocol::Reply{conversion,
                           Answer::timed_out,
                           Mode::nl,
                           Token{},
                           base::grant_note::demoted,
                           {},
                           wire.note(),
                           ""});
  CHECK(wire.only_event<ConversionFailed>().lock.mode == Mode::nl);
  CHECK(wire.only_event<ConversionFailed>().lock.notes == base::grant_note::demoted);
  CHECK(wire.machine.grant(lock)->mode() == Mode::nl);
}

TEST_CASE("what is no conversion is refused before anything is sent") {
  Wire wire;
  wire.open();
  const RequestId lock = wire.hold("jobs", 5, Mode::pr);
  const auto ask = [&](RequestId id, Mode mode, LockFlags flags) {
    return wire.machine.convert(wire.now, id, {mode, flags, 0, {}});
  };
  CHECK(ask(RequestId{99}, Mode::ex, 0).error() == CallError::not_held);
  CHECK(ask(lock, Mode{6}, 0).error() == CallError::invalid);
  CHECK(ask(lock, Mode::ex, flag::expedite).error() == CallError::invalid);
  CHECK(ask(lock, Mode::nl, flag::queue_convert).error() == CallError::invalid);
  CHECK(ask(lock, Mode::ex, flag::demote_on_deadlock | flag::no_queue).error() ==
        CallError::invalid);
  wire.drain();
  CHECK(wire.sent.empty());
  wire.pass(3s);
  wire.tick();
  CHECK(ask(lock, Mode::ex, 0).error() == CallError::lost);
}

TEST_CASE("a queued conversion that is asked for again is answered from the table") {
  Wire wire;
  wire.open();
  const RequestId lock = wire.hold("jobs", 5, Mode::pr);
  std::uint32_t patience = 0;
  Failure ended = Failure::deadlock;
  bool cancel = false;
  SUBCASE("of one without an end, a deadlock") {}
  SUBCASE("of one with patience, its end") {
    patience = 50;
    ended = Failure::timed_out;
  }
  SUBCASE("of one that we cancelled, that") {
    cancel = true;
    ended = Failure::cancelled;
  }
  const RequestId conversion = convert(wire, lock, Mode::ex, 0, patience);
  wire.reply(conversion, Answer::queued);
  if (cancel) REQUIRE(wire.machine.cancel(wire.now, lock).has_value());
  wire.disconnect();
  wire.reconnect();
  wire.clear();
  wire.welcome(true);
  CHECK(wire.only_sent<protocol::Convert>().request == conversion);
  wire.clear();
  wire.reply(conversion, Answer::queued);  // It still waits.
  CHECK(wire.events.empty());
  // The token that it had before: it came to nothing.
  answer(wire, conversion, Mode::pr, 5);
  CHECK(wire.only_event<ConversionFailed>().failure == ended);
  CHECK(wire.machine.grant(lock)->mode() == Mode::pr);
  CHECK_FALSE(wire.machine.grant(lock)->conversion.has_value());

  // Another one: it was granted.
  const RequestId next = convert(wire, lock, Mode::ex);
  wire.reply(next, Answer::queued);
  wire.clear();
  answer(wire, next, Mode::ex, 6);
  CHECK(wire.only_event<Converted>().lock.token == Token{6});
}

TEST_CASE("a conversion that came to nothing and took the mode along is seen to have") {
  Wire wire;
  wire.open();
  const RequestId lock = wire.hold("jobs", 5, Mode::pr);
  const RequestId conversion = convert(wire, lock, Mode::ex, flag::demote_on_deadlock, 50);
  wire.clear();
  answer(wire, conversion, Mode::nl, 5);
  CHECK(wire.only_event<ConversionFailed>().lock.notes == base::grant_note::demoted);
  CHECK(wire.machine.grant(lock)->mode() == Mode::nl);
}

TEST_CASE("a conversion is cancelled by the id of its lock, and ends in what was ordered first") {
  Wire wire;
  wire.open();
  const RequestId lock = wire.hold("jobs", 5, Mode::pr);
  CHECK(wire.machine.cancel(wire.now, lock).error() == CallError::not_held);
  const RequestId conversion = convert(wire, lock, Mode::ex);
  wire.reply(conversion, Answer::queued);
  wire.clear();
  REQUIRE(wire.machine.cancel(wire.now, lock).has_value());
  REQUIRE(wire.machine.cancel(wire.now, lock).has_value());
  wire.drain();
  const auto cancel = wire.only_sent<protocol::Cancel>();
  CHECK(cancel.acquire == lock);
  wire.clear();
  SUBCASE("the cancellation, which tells of a demotion") {
    wire.say(protocol::Reply{cancel.request,
                             Answer::cancelled,
                             Mode::nl,
                             Token{},
                             base::grant_note::demoted,
                             {},
                             wire.note(),
                             ""});
    CHECK(wire.only_event<ConversionFailed>().failure == Failure::cancelled);
    CHECK(wire.machine.grant(lock)->mode() == Mode::nl);
  }
  SUBCASE("the grant") {
    answer(wire, conversion, Mode::ex, 8);
    wire.reply(cancel.request, Answer::not_waiting);
    CHECK(wire.only_event<Converted>().lock.token == Token{8});
    // The next one is not hit by it.
    convert(wire, lock, Mode::pr);
    CHECK(wire.machine.grant(lock)->conversion.has_value());
  }
}

TEST_CASE("a conversion that never left is cancelled without a word") {
  Wire wire;
  wire.open();
  const RequestId lock = wire.hold("jobs", 5, Mode::pr);
  wire.disconnect();
  convert(wire, lock, Mode::ex);
  REQUIRE(wire.machine.cancel(wire.now, lock).has_value());
  wire.drain();
  CHECK(wire.only_event<ConversionFailed>().failure == Failure::cancelled);
  CHECK(wire.machine.grant(lock)->token() == Token{5});
}

TEST_CASE("a lock that is lost while it converts is given back whatever its token") {
  Wire wire;
  wire.open();
  const RequestId lock = wire.hold("jobs", 5, Mode::pr);
  const RequestId conversion = convert(wire, lock, Mode::ex);
  wire.reply(conversion, Answer::queued);
  wire.clear();
  wire.pass(3s);
  wire.tick();
  REQUIRE(wire.events.size() == 2);
  CHECK(std::get<GrantLost>(wire.events[0]).request == lock);
  CHECK(std::get<ConversionFailed>(wire.events[1]).failure == Failure::lost);
  const auto release = wire.only_sent<protocol::Release>();
  CHECK(release.acquire == lock);
  CHECK((release.flags & flag::force) != 0);
  wire.clear();
  // It was granted in between: nobody has it.
  answer(wire, conversion, Mode::ex, 9);
  wire.reply(release.request, Answer::released);
  CHECK(wire.events.empty());
  CHECK(wire.machine.held() == 0);
}

TEST_CASE("a lock is released by force while it converts: the conversion is cancelled first") {
  Wire wire;
  wire.open();
  const RequestId lock = wire.hold("jobs", 5, Mode::pr);
  const RequestId conversion = convert(wire, lock, Mode::ex);
  wire.reply(conversion, Answer::queued);
  wire.clear();
  const auto release = wire.machine.release(wire.now, lock, flag::force);
  REQUIRE(release.has_value());
  wire.drain();
  CHECK(wire.only_event<ConversionFailed>().failure == Failure::cancelled);
  wire.clear();
  wire.reply(conversion, Answer::cancelled);
  wire.reply(*release, Answer::released);
  CHECK(wire.only_event<Released>().in_time);
}

TEST_CASE("a lock that the daemon does not know is lost") {
  Wire wire;
  wire.open();
  const RequestId lock = wire.hold("jobs", 5, Mode::pr);
  const RequestId conversion = convert(wire, lock, Mode::ex);
  wire.clear();
  wire.reply(conversion, Answer::not_held);
  REQUIRE(wire.events.size() == 2);
  CHECK(std::get<GrantLost>(wire.events[0]).request == lock);
  CHECK(std::get<ConversionFailed>(wire.events[1]).failure == Failure::lost);
  CHECK(wire.machine.held() == 0);
}

TEST_CASE("a session that ends takes conversions along, and does not ask for them again") {
  Wire wire;
  wire.open();
  const RequestId lock = wire.hold("jobs", 5, Mode::pr);
  convert(wire, lock, Mode::ex);
  wire.clear();
  wire.say(protocol::Lost{protocol::LostReason::expired});
  REQUIRE(wire.events.size() == 3);
  CHECK(std::holds_alternative<GrantLost>(wire.events[0]));
  CHECK(std::get<ConversionFailed>(wire.events[1]).failure == Failure::lost);
  wire.disconnect();
  wire.reconnect();
  wire.clear();
  wire.welcome(false, 8);
  CHECK(wire.sent.empty());
}

TEST_CASE("a conversion that nobody waits for is taken back, and tells nobody how it ended") {
  Wire wire;
  wire.open();
  const RequestId lock = wire.hold("jobs", 5, Mode::pr);
  const RequestId conversion = convert(wire, lock, Mode::ex);
  wire.clear();
  wire.machine.forget_operation(wire.now, conversion);
  wire.drain();
  CHECK(wire.only_sent<protocol::Cancel>().acquire == lock);
  answer(wire, conversion, Mode::ex, 9);
  CHECK(wire.events.empty());
  CHECK(wire.machine.grant(lock)->token() == Token{9});
}

TEST_CASE("who waits is told to the holder once for each mode that excludes more") {
  Wire wire;
  wire.open();
  const RequestId lock = wire.hold("jobs", 5, Mode::ex);
  const auto told = [&] {
    std::vector<Mode> modes;
    for (const auto& blocked : wire.all_events<Blocked>()) modes.push_back(blocked.mode);
    wire.clear();
    return modes;
  };
  blocks(wire, lock, 5, Mode::cr);
  blocks(wire, lock, 5, Mode::cr);
  blocks(wire, lock, 5, Mode::pr);
  blocks(wire, lock, 5, Mode::cw);  // Does not follow from PR.
  blocks(wire, lock, 5, Mode::ex);
  blocks(wire, lock, 5, Mode::pw);
  CHECK(told() == std::vector<Mode>{Mode::cr, Mode::pr, Mode::cw, Mode::ex});
  // After a resume it is told again.
  wire.disconnect();
  wire.reconnect();
  wire.welcome(true);
  wire.clear();
  blocks(wire, lock, 5, Mode::ex);
  CHECK(told().empty());
  // And of the next grant anew.
  answer(wire, convert(wire, lock, Mode::pr), Mode::pr, 6);
  wire.clear();
  blocks(wire, lock, 5, Mode::ex);
  CHECK(told().empty());
  blocks(wire, lock, 6, Mode::ex);
  CHECK(told() == std::vector<Mode>{Mode::ex});
  REQUIRE(wire.machine.release(wire.now, lock).has_value());
  blocks(wire, lock, 6, Mode::ex);
  CHECK(told().empty());
}

TEST_CASE("what is told of a grant before we hear of the grant is told after it") {
  Wire wire;
  wire.open();
  const RequestId lock = wire.hold("jobs", 5, Mode::pr);
  const RequestId conversion = convert(wire, lock, Mode::ex);
  const RequestId waiting = wire.acquire("other");
  wire.clear();
  blocks(wire, lock, 9, Mode::pr);
  blocks(wire, waiting, 10, Mode::cr);
  CHECK(wire.events.empty());
  SUBCASE("and then both come") {
    answer(wire, conversion, Mode::ex, 9);
    wire.reply(waiting, Answer::granted, 10);
    REQUIRE(wire.events.size() == 4);
    CHECK(std::get<Blocked>(wire.events[1]).token == Token{9});
    CHECK(std::get<Blocked>(wire.events[3]).token == Token{10});
  }
  SUBCASE("and then the grant is another") {
    answer(wire, conversion, Mode::ex, 11);
    CHECK(wire.all_events<Blocked>().empty());
  }
  SUBCASE("and then the connection breaks: it is told again") {
    wire.disconnect();
    wire.reconnect();
    wire.welcome(true);
    answer(wire, conversion, Mode::ex, 9);
    CHECK(wire.all_events<Blocked>().empty());
  }
}
