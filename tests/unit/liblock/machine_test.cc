#include <string>
#include <vector>

#include "tests/unit/liblock/machine_wire.h"

using namespace liblock_test;

TEST_CASE("a client says hello, is welcomed, asks, is granted, gives back") {
  ClientConfig config;
  config.command = std::string(1000, 'x');
  config.instance.fill(std::byte{3});
  Wire wire(config);
  CHECK(wire.machine.wants_connection());
  wire.connect();
  REQUIRE(wire.sent.size() == 1);
  const auto hello = std::get<protocol::Hello>(wire.sent.front());
  CHECK(hello.kind == protocol::HelloKind::open);
  CHECK(hello.command.size() == protocol::kCommandBytesMax);
  CHECK(hello.instance == config.instance);
  CHECK(hello.stamp == wire.now);
  wire.welcome();
  CHECK_FALSE(wire.only_event<Opened>().resumed);

  wire.clear();
  const RequestId request = wire.acquire("jobs");
  const auto acquire = std::get<protocol::Acquire>(wire.sent.front());
  CHECK(acquire.request == request);
  CHECK(acquire.resource == "jobs");
  CHECK(acquire.acknowledged == RequestId{0});
  wire.reply(request, Answer::queued);
  CHECK(wire.events.empty());
  wire.reply(request, Answer::granted, 55);
  CHECK(wire.only_event<Granted>().token == Token{55});
  CHECK(wire.machine.valid_for(wire.now, request) == kLease);

  wire.clear();
  REQUIRE(wire.machine.release(wire.now, request).has_value());
  CHECK(wire.machine.valid_for(wire.now, request) == 0s);
  wire.drain();
  const auto release = std::get<protocol::Release>(wire.sent.front());
  CHECK(release.acquire == request);
  CHECK(release.token == Token{55});
  CHECK(release.acknowledged == request);
  wire.reply(release.request, Answer::released);
  CHECK(wire.only_event<Released>().request == request);
  CHECK(wire.only_event<Released>().in_time);
  CHECK(wire.machine.release(wire.now, request).error() == CallError::not_held);
}

TEST_CASE("the deadline counts from before the send, not from the receipt [4.4]") {
  Wire wire;
  wire.open();
  const RequestId request = wire.acquire("jobs");
  const Instant asked = wire.now;
  wire.pass(1500ms);  // The answer is slow on its way.
  wire.reply(request, Answer::granted, 1);
  CHECK(wire.machine.valid_for(wire.now, request) == 500ms);
  CHECK(wire.machine.valid_for(asked + kLease, request) == 0s);
}

TEST_CASE("the deadline holds by the clock that runs faster") {
  Wire wire;
  wire.open();
  const RequestId request = wire.hold("jobs", 1);
  CHECK(wire.machine.valid_for({wire.now.boot + 500ms, wire.now.raw + 1900ms}, request) == 100ms);
  CHECK(wire.machine.valid_for({wire.now.boot + 3s, wire.now.raw + 1ms}, request) ==
        0s);  // Suspend.
}

TEST_CASE("an older promise that reaches further is kept, a newer one moves the deadline") {
  Wire wire;
  wire.open();
  const RequestId request = wire.hold("jobs", 1);
  wire.say(protocol::State{false, 1, wire.note(0s)});
  CHECK(wire.machine.valid_for(wire.now, request) == kLease);
  CHECK_FALSE(wire.machine.primary());
  wire.pass(500ms);
  wire.tick();
  REQUIRE(wire.all_sent<protocol::Keepalive>().size() == 1);
  wire.say(protocol::State{true, 1, wire.note()});
  CHECK(wire.machine.valid_for(wire.now, request) == kLease);
}

TEST_CASE(
    "keep-alives go out at a quarter of the lease, one at a time, with the acknowledged mark") {
  Wire wire;
  wire.open();
  const RequestId request = wire.hold("jobs", 1);
  REQUIRE(wire.machine.next_timeout().has_value());
  CHECK(*wire.machine.next_timeout() == wire.now.boot + kLease / 4);
  wire.pass(kLease / 4);
  wire.tick();
  REQUIRE(wire.sent.size() == 1);
  CHECK(std::get<protocol::Keepalive>(wire.sent[0]) == protocol::Keepalive{request, wire.now});
  wire.pass(kLease / 4);
  wire.tick();
  CHECK(wire.sent.size() == 1);
  CHECK(*wire.machine.next_timeout() > wire.now.boot);  // Then only the deadline is awaited.
}

TEST_CASE("a silent daemon: held until the deadline, then lost") {
  Wire wire;
  wire.open();
  const RequestId request = wire.hold("jobs", 9);
  Duration last{0};
  while (wire.events.empty()) {
    const auto next = wire.machine.next_timeout();
    REQUIRE(next.has_value());
    REQUIRE(*next > last);  // It never asks to be woken for nothing.
    last = *next;
    wire.pass(*next - wire.now.boot);
    wire.tick();
  }
  CHECK(wire.only_event<GrantLost>().request == request);
  CHECK(wire.only_event<GrantLost>().token == Token{9});
  CHECK(wire.now.boot == Duration(1002s));
}

TEST_CASE("half a lease without a word is jeopardy, and a word ends it") {
  Wire wire;
  wire.open();
  const RequestId held = wire.hold("jobs", 9);
  CHECK_FALSE(wire.machine.in_jeopardy(wire.now));
  wire.pass(kLease / 2 - 1ms);
  wire.tick();
  CHECK(wire.jeopardy.empty());
  wire.pass(1ms);
  wire.tick();
  CHECK(wire.jeopardy == std::vector<bool>{true});
  CHECK(wire.machine.in_jeopardy(wire.now));
  CHECK(wire.machine.valid_for(wire.now, held) == kLease / 2);
  wire.say(protocol::State{true, 1, wire.note()});
  CHECK(wire.jeopardy == std::vector<bool>{true, false});
  CHECK(wire.events.empty());
}

TEST_CASE("no connection and no majority are jeopardy at once, for who holds something") {
  Wire wire;
  wire.open();
  wire.say(protocol::State{false, 1, wire.note()});
  CHECK(wire.jeopardy.empty());
  wire.say(protocol::State{true, 1, wire.note()});
  const RequestId held = wire.hold("jobs", 9);
  wire.say(protocol::State{false, 1, wire.note()});
  CHECK(wire.jeopardy == std::vector<bool>{true});
  wire.say(protocol::State{true, 1, wire.note()});
  wire.disconnect();
  CHECK(wire.jeopardy == std::vector<bool>{true, false, true});
  wire.reconnect();
  CHECK(wire.jeopardy.size() == 3);
  wire.welcome(true);
  CHECK(wire.jeopardy == std::vector<bool>{true, false, true, false});
  CHECK(wire.machine.valid_for(wire.now, held) > 0s);
}

TEST_CASE("jeopardy that ends in the loss, or with the last lock given back, is not told to end") {
  Wire wire;
  wire.open();
  const RequestId held = wire.hold("jobs", 9);
  wire.disconnect();
  REQUIRE(wire.machine.release(wire.now, held).has_value());
  wire.drain();
  CHECK(wire.jeopardy == std::vector<bool>{true});

  Wire other;
  other.open();
  other.hold("jobs", 9);
  other.pass(kLease / 2);
  other.tick();
  other.pass(kLease / 2);
  other.tick();
  CHECK(other.only_event<GrantLost>().token == Token{9});
  CHECK(other.jeopardy == std::vector<bool>{true});
}

TEST_CASE(
    "after a pause beyond the deadline lost is told first, though the daemon says otherwise") {
  Wire wire;
  wire.open();
  const RequestId held = wire.hold("jobs", 9);
  const RequestId waiting = wire.acquire("other");
  wire.clear();
  wire.pass(3s);
  base::Buffer late;
  protocol::encode(protocol::Response{protocol::State{true, 1, {wire.newest, 60s}}}, late);
  protocol::encode(
      protocol::Response{protocol::Reply{
          waiting, Answer::granted, Mode::ex, Token{10}, 0, {}, {wire.newest, 60s}, ""}},
      late);
  wire.machine.handle_bytes(wire.now, late);
  wire.drain();
  REQUIRE(wire.events.size() == 2);
  CHECK(std::get<GrantLost>(wire.events[0]).request == held);
  CHECK(std::get<Granted>(wire.events[1]).request == waiting);

  // Lost is final, and the daemon hears of it, so that the lock does not stay ours in the table.
  CHECK(wire.machine.valid_for(wire.now, held) == 0s);
  REQUIRE(wire.all_sent<protocol::Release>().size() == 1);
  CHECK(wire.all_sent<protocol::Release>()[0].acquire == held);
  CHECK(wire.all_sent<protocol::Release>()[0].token == Token{9});
  CHECK(wire.machine.release(wire.now, held).error() == CallError::lost);
  CHECK(wire.machine.release(wire.now, held).error() == CallError::not_held);
}

TEST_CASE("a grant that is heard of after its lease is not ok, and is given back") {
  Wire wire;
  wire.open();
  const RequestId request = wire.acquire("jobs");
  const LeaseNote then = wire.note();
  wire.pass(2s);
  wire.clear();
  wire.say(protocol::Reply{request, Answer::granted, Mode::ex, Token{4}, 0, {}, then, ""});
  CHECK(wire.only_event<Failed>().failure == Failure::lost);
  CHECK(wire.machine.valid_for(wire.now, request) == 0s);
  REQUIRE(wire.all_sent<protocol::Release>().size() == 1);
  const auto release = wire.all_sent<protocol::Release>()[0];
  CHECK(release.acquire == request);
  wire.clear();
  wire.reply(release.request, Answer::released);
  CHECK(wire.events.empty());
}

TEST_CASE("a reconnect resumes the session and asks again, under the same ids") {
  Wire wire;
  wire.open();
  const RequestId held = wire.hold("held", 1);
  const RequestId queued = wire.acquire("queued");
  wire.reply(queued, Answer::queued);
  const RequestId asked = wire.acquire("asked");
  const RequestId given = wire.hold("given", 2);
  REQUIRE(wire.machine.release(wire.now, given).has_value());
  wire.drain();
  const RequestId release = wire.all_sent<protocol::Release>()[0].request;
  wire.disconnect();
  CHECK_FALSE(wire.machine.wants_connection());
  wire.reconnect();
  const auto hello = wire.all_sent<protocol::Hello>().at(0);
  CHECK(hello.kind == protocol::HelloKind::resume);
  CHECK(hello.resume.session == base::SessionId{7});
  CHECK(hello.resume.secret[0] == std::byte{5});
  CHECK(hello.resume.generation == 1);
  CHECK(wire.sent.size() == 1);  // Nothing else before the welcome.
  CHECK(wire.machine.valid_for(wire.now, held) == 1s);

  wire.clear();
  wire.welcome(true);
  CHECK(wire.only_event<Opened>().resumed);
  const auto acquires = wire.all_sent<protocol::Acquire>();
  REQUIRE(acquires.size() == 2);
  CHECK(acquires[0].request == queued);
  CHECK(acquires[1].request == asked);
  CHECK(acquires[1].acknowledged == queued);  // Gapless: `asked` has no answer yet.
  REQUIRE(wire.all_sent<protocol::Release>().size() == 1);
  CHECK(wire.all_sent<protocol::Release>()[0].request == release);

  // The answer of the table, twice even: granted once.
  wire.clear();
  wire.reply(queued, Answer::granted, 20);
  wire.reply(queued, Answer::granted, 20);
  CHECK(wire.only_event<Granted>().request == queued);
}

TEST_CASE(
    "a daemon that is gone: the lock is held until the deadline, and lost in spite of a resume") {
  Wire wire;
  wire.open();
  const RequestId held = wire.hold("jobs", 1);
  wire.disconnect();
  CHECK(wire.machine.valid_for(wire.now, held) == kLease);
  int attempts = 0;
  while (wire.events.empty()) {
    wire.pass(*wire.machine.next_timeout() - wire.now.boot);
    wire.tick();
    if (!wire.machine.wants_connection()) continue;
    wire.machine.handle_disconnected(wire.now);  // Connection refused.
    ++attempts;
  }
  CHECK(wire.only_event<GrantLost>().request == held);
  CHECK(attempts > 3);
  CHECK(attempts < 20);

  wire.clear();
  wire.tick();
  wire.reconnect();
  wire.clear();
  wire.welcome(true);
  CHECK(wire.machine.valid_for(wire.now, held) == 0s);
  CHECK(wire.all_events<Granted>().empty());
  CHECK(wire.all_sent<protocol::Release>().at(0).acquire == held);
}

TEST_CASE(
    "a session that has ended: what was held is lost, what waits is asked for in the next one") {
  Wire wire;
  wire.open();
  const RequestId held = wire.hold("held", 1);
  const RequestId given = wire.hold("given", 2);
  const RequestId waiting = wire.acquire("waiting");
  wire.reply(waiting, Answer::queued);
  const RequestId cancelled = wire.acquire("cancelled");
  REQUIRE(wire.machine.cancel(wire.now, cancelled).has_value());
  REQUIRE(wire.machine.release(wire.now, given).has_value());
  wire.drain();
  wire.clear();
  SUBCASE("the daemon says so") {
    wire.say(protocol::Lost{protocol::LostReason::expired});
  }
  SUBCASE("the resume is refused") {
    wire.disconnect();
    wire.reconnect();
    wire.say(protocol::Refused{protocol::Refusal::session_lost, ""});
  }
  CHECK_FALSE(wire.machine.wants_connection());
  REQUIRE(wire.events.size() == 4);
  CHECK(std::get<GrantLost>(wire.events[0]).request == held);
  CHECK(std::get<Failed>(wire.events[1]).request == cancelled);
  CHECK(std::get<Failed>(wire.events[1]).failure == Failure::cancelled);
  CHECK(std::get<Released>(wire.events[2]).request == given);
  CHECK_FALSE(std::get<Released>(wire.events[2]).in_time);
  CHECK(std::holds_alternative<SessionLost>(wire.events[3]));

  wire.disconnect();
  wire.reconnect();
  CHECK(wire.all_sent<protocol::Hello>().at(0).kind == protocol::HelloKind::open);
  wire.clear();
  wire.welcome(false, 8);
  REQUIRE(wire.all_sent<protocol::Acquire>().size() == 1);
  CHECK(wire.all_sent<protocol::Acquire>()[0].request == waiting);
  CHECK(wire.all_sent<protocol::Acquire>()[0].acknowledged < waiting);
  CHECK(wire.all_sent<protocol::Release>().empty());
}

TEST_CASE("a daemon that leaves ends the connection, not the lock") {
  Wire wire;
  wire.open();
  const RequestId held = wire.hold("jobs", 1);
  wire.say(protocol::Lost{protocol::LostReason::shutdown});
  CHECK(wire.events.empty());
  CHECK_FALSE(wire.machine.wants_connection());
  wire.disconnect();
  CHECK(wire.machine.valid_for(wire.now, held) == kLease);
}

TEST_CASE("a cancelled wait ends in whatever was ordered first") {
  Wire wire;
  wire.open();
  const RequestId request = wire.acquire("jobs");
  wire.reply(request, Answer::queued);
  wire.clear();
  REQUIRE(wire.machine.cancel(wire.now, request).has_value());
  REQUIRE(wire.machine.cancel(wire.now, request).has_value());  // Once is enough.
  wire.drain();
  REQUIRE(wire.all_sent<protocol::Cancel>().size() == 1);
  const auto cancel = wire.all_sent<protocol::Cancel>()[0];
  CHECK(cancel.acquire == request);
  CHECK(cancel.acknowledged == request);
  wire.clear();

  SUBCASE("the cancellation") {
    wire.reply(cancel.request, Answer::cancelled);
    CHECK(wire.only_event<Failed>().failure == Failure::cancelled);
    wire.reply(request, Answer::cancelled);
    CHECK(wire.events.size() == 1);
  }
  SUBCASE("the cancellation, told under the acquire's id first") {
    wire.reply(request, Answer::cancelled);
    wire.reply(cancel.request, Answer::cancelled);
    CHECK(wire.only_event<Failed>().failure == Failure::cancelled);
  }
  SUBCASE("the grant") {
    wire.reply(request, Answer::granted, 6);
    wire.reply(cancel.request, Answer::not_waiting);
    CHECK(wire.only_event<Granted>().token == Token{6});
    CHECK(wire.machine.valid_for(wire.now, request) > 0s);
  }
  SUBCASE("the grant, which a broken connection kept from us") {
    wire.disconnect();
    wire.reconnect();
    wire.welcome(true);
    wire.clear();
    wire.reply(request, Answer::granted, 6);
    wire.reply(cancel.request, Answer::not_waiting);
    CHECK(wire.only_event<Granted>().token == Token{6});
  }
  SUBCASE("the cancellation, which a broken connection kept from us") {
    wire.disconnect();
    wire.reconnect();
    wire.welcome(true);
    wire.clear();
    wire.reply(request, Answer::stale);
    wire.reply(cancel.request, Answer::cancelled);
    CHECK(wire.only_event<Failed>().failure == Failure::cancelled);
  }
}

TEST_CASE("a request that never left is cancelled without a word") {
  Wire wire;
  const RequestId request = wire.acquire("jobs");
  REQUIRE(wire.machine.cancel(wire.now, request).has_value());
  wire.drain();
  CHECK(wire.only_event<Failed>().failure == Failure::cancelled);
  wire.open();
  CHECK(wire.sent.empty());
}

TEST_CASE("what is granted to nobody is given back") {
  Wire wire;
  wire.open();
  const RequestId request = wire.acquire("jobs");
  wire.machine.forget(wire.now, request);
  wire.clear();
  wire.reply(request, Answer::granted, 6);
  CHECK(wire.events.empty());
  CHECK(wire.machine.held() == 0);
  CHECK(wire.all_sent<protocol::Release>().at(0).acquire == request);
}

TEST_CASE("each answer has its outcome") {
  Wire wire;
  wire.open();
  const std::pair<Answer, Failure> outcomes[] = {
      {Answer::busy, Failure::busy},           {Answer::not_quorate, Failure::not_quorate},
      {Answer::limit, Failure::limit},         {Answer::invalid, Failure::invalid},
      {Answer::cancelled, Failure::cancelled}, {Answer::stale, Failure::lost}};
  for (const auto& [answer, failure] : outcomes) {
    const RequestId request = wire.acquire("jobs", true);
    wire.clear();
    wire.reply(request, answer);
    CHECK(wire.only_event<Failed>().request == request);
    CHECK(wire.only_event<Failed>().failure == failure);
  }
}

TEST_CASE("calls out of their range are refused before anything is sent") {
  Wire wire;
  wire.open();
  const auto acquire = [&](const std::string& lockspace, const std::string& name, Mode mode) {
    return wire.machine.acquire(wire.now, lockspace, name, mode, false);
  };
  CHECK(acquire("default", "", Mode::ex).error() == CallError::invalid);
  CHECK(acquire("", "a", Mode::ex).error() == CallError::invalid);
  CHECK(acquire("default", std::string(256, 'a'), Mode::ex).error() == CallError::invalid);
  CHECK(acquire(std::string(65, 'a'), "a", Mode::ex).error() == CallError::invalid);
  CHECK(acquire("default", "a", Mode{6}).error() == CallError::invalid);
  CHECK(wire.machine.release(wire.now, RequestId{1}).error() == CallError::not_held);
  CHECK(wire.machine.cancel(wire.now, RequestId{1}).error() == CallError::not_held);
  wire.drain();
  CHECK(wire.sent.empty());
  CHECK(acquire("default", std::string(255, '\0'), Mode::nl).has_value());
}

TEST_CASE("at most so many wait, so many are on their way, and the mark is never left far behind") {
  Wire wire;
  wire.open();
  for (std::size_t i = 0; i < kWaitingMax; ++i) wire.acquire("jobs");
  CHECK(wire.machine.acquire(wire.now, "default", "jobs", Mode::ex, false).error() ==
        CallError::limit);
  CHECK(wire.all_sent<protocol::Acquire>().size() == protocol::kInFlightMax);

  // All but the first are answered, as they come, until the window is used up.
  for (std::size_t i = 1; i < wire.sent.size(); ++i) {
    wire.reply(std::get<protocol::Acquire>(wire.sent[i]).request, Answer::queued);
  }
  CHECK(wire.all_sent<protocol::Acquire>().size() == protocol::kRequestWindow);
  for (const auto& acquire : wire.all_sent<protocol::Acquire>()) {
    CHECK(acquire.acknowledged == RequestId{0});
  }
  wire.clear();
  wire.reply(RequestId{1}, Answer::queued);
  REQUIRE(wire.all_sent<protocol::Acquire>().size() == protocol::kInFlightMax);
  CHECK(wire.all_sent<protocol::Acquire>()[0].acknowledged == RequestId{protocol::kRequestWindow});
}

TEST_CASE("a daemon without a quorum says so before it welcomes") {
  Wire wire;
  wire.connect();
  wire.say(protocol::State{false, 0, wire.note(0s)});
  CHECK_FALSE(wire.machine.open());
  CHECK(wire.machine.heard());
  wire.pass(10s);
  wire.clear();
  wire.welcome();
  CHECK(wire.machine.primary());
  // What the welcome promises counts from the hello, and is over: a keep-alive goes out at once.
  CHECK(wire.all_sent<protocol::Keepalive>().size() == 1);
}

TEST_CASE("a refusal that may pass is tried again, less and less often") {
  Wire wire;
  std::vector<Duration> pauses;
  for (int i = 0; i < 8; ++i) {
    wire.connect();
    wire.say(protocol::Refused{protocol::Refusal::limit, "close some"});
    CHECK(wire.only_event<Refused>().advice == "close some");
    CHECK_FALSE(wire.machine.wants_connection());
    wire.disconnect();
    pauses.push_back(*wire.machine.next_timeout() - wire.now.boot);
    wire.pass(pauses.back());
    wire.tick();
    CHECK(wire.machine.wants_connection());
    wire.clear();
  }
  CHECK(pauses.front() == ClientConfig{}.retry_first);
  CHECK(pauses.back() == ClientConfig{}.retry_last);
}

TEST_CASE("a refusal for good ends everything that waits") {
  Wire wire;
  const RequestId request = wire.acquire("jobs");
  wire.connect();
  wire.say(protocol::Refused{protocol::Refusal::version, "update"});
  REQUIRE(wire.events.size() == 2);
  CHECK(std::get<Disabled>(wire.events[0]).advice == "update");
  CHECK(std::get<Failed>(wire.events[1]).request == request);
  CHECK(std::get<Failed>(wire.events[1]).failure == Failure::disabled);
  wire.disconnect();
  wire.pass(10s);
  wire.tick();
  CHECK_FALSE(wire.machine.wants_connection());
  CHECK_FALSE(wire.machine.next_timeout().has_value());
  CHECK(wire.machine.acquire(wire.now, "a", "b", Mode::ex, false).error() == CallError::disabled);
}

TEST_CASE("what makes no sense ends the connection, not the process") {
  Wire wire;
  wire.connect();
  SUBCASE("garbage") {
    wire.machine.handle_bytes(wire.now, base::bytes_of("HTTP/1.1 400 Bad Request\r\n\r\n"));
  }
  SUBCASE("a stamp that we never sent") {
    wire.newest = wire.now + 1s;
    wire.welcome();
  }
  SUBCASE("a stamp of before the connection") {
    wire.newest = wire.now + -1s;
    wire.welcome();
  }
  SUBCASE("a resume that nobody asked for") {
    wire.welcome(true);
  }
  SUBCASE("two welcomes") {
    wire.welcome();
    wire.welcome();
  }
  wire.drain();
  CHECK_FALSE(wire.machine.wants_connection());
  CHECK(std::get<Refused>(wire.events.back()).refusal == protocol::Refusal::malformed);
}

TEST_CASE("a closed client holds nothing, whatever is still on its way") {
  Wire wire;
  wire.open();
  const RequestId held = wire.hold("jobs", 1);
  const RequestId waiting = wire.acquire("other");
  wire.clear();
  wire.machine.close(wire.now);
  wire.drain();
  CHECK(std::holds_alternative<protocol::Close>(wire.sent.at(0)));
  CHECK(wire.machine.valid_for(wire.now, held) == 0s);
  wire.reply(waiting, Answer::granted, 2);
  CHECK(wire.events.empty());
  wire.disconnect();
  CHECK(std::holds_alternative<Closed>(wire.events.at(0)));
  CHECK_FALSE(wire.machine.wants_connection());
  CHECK_FALSE(wire.machine.next_timeout().has_value());
}

TEST_CASE("a watch is told of again and again, across connections, until it is forgotten") {
  ClientConfig config;
  config.query_only = true;
  Wire wire(config);
  wire.connect();
  wire.welcome();
  protocol::Watch wish;
  wish.resource = "jobs";
  const auto watch = wire.machine.query(wire.now, wish);
  REQUIRE(watch.has_value());
  wire.drain();
  CHECK(std::get<protocol::Watch>(wire.sent.back()).query == *watch);
  CHECK(std::get<protocol::Watch>(wire.sent.back()).resource == "jobs");
  CHECK(wire.machine.query(wire.now, wish).error() == CallError::limit);
  for (const bool again : {false, true}) {
    CAPTURE(again);
    wire.clear();
    wire.say(protocol::WatchGap{*watch, true, 0});
    CHECK(std::get<protocol::WatchGap>(wire.only_event<Watched>().news).resync);
    wire.clear();
    protocol::LockWatched lock;
    lock.query = *watch;
    lock.lockspace = "default";
    lock.resource = "jobs";
    lock.reason = Answer::granted;
    wire.say(lock);
    CHECK(std::get<protocol::LockWatched>(wire.only_event<Watched>().news) == lock);
    if (again) break;
    wire.disconnect();
    wire.reconnect();
    wire.welcome();
    CHECK(std::get<protocol::Watch>(wire.sent.back()).query == *watch);
  }
  wire.clear();
  wire.machine.forget_query(wire.now, *watch);
  wire.drain();
  CHECK(std::get<protocol::Watch>(wire.sent.back()).events == 0);
  wire.say(protocol::WatchGap{*watch, true, 0});
  CHECK(wire.events.empty());
  CHECK(wire.machine.query(wire.now, wish).has_value());
}

TEST_CASE("questions are answered, and asked again after a reconnect") {
  ClientConfig config;
  config.query_only = true;
  Wire wire(config);
  const auto query = wire.machine.query(wire.now, protocol::Show{0, "default", "jobs", 0});
  REQUIRE(query.has_value());
  wire.connect();
  CHECK(std::get<protocol::Hello>(wire.sent.at(0)).kind == protocol::HelloKind::query);
  wire.welcome();
  CHECK(std::get<protocol::Show>(wire.sent.at(1)).query == *query);
  wire.disconnect();
  wire.reconnect();
  wire.welcome();
  CHECK(std::get<protocol::Show>(wire.sent.at(1)).query == *query);
  wire.clear();
  wire.say(protocol::ShowPage{*query, true, false, false, false, {}, {}});
  CHECK(std::get<protocol::ShowPage>(wire.only_event<QueryAnswered>().answer).stale);
  wire.say(protocol::ShowPage{*query, true, false, false, false, {}, {}});
  CHECK(wire.events.size() == 1);
  CHECK(wire.machine.acquire(wire.now, "a", "b", Mode::ex, false).error() == CallError::invalid);
  CHECK(wire.machine.query(wire.now, protocol::Close{}).error() == CallError::invalid);
}
