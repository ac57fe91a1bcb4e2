// Arrivals at barriers, their outcomes part by part, and what a loss of connection or session does
// to them.
#include "tests/unit/liblock/machine_wire.h"

using namespace liblock_test;
using protocol::BarrierArrive;
using protocol::BarrierConfig;
using protocol::BarrierConfirm;
using protocol::BarrierEnding;
using protocol::BarrierGeneration;
using protocol::BarrierMore;
using protocol::BarrierOutcome;
using protocol::BarrierStep;
using protocol::BarrierWithdraw;

namespace {

constexpr BarrierGeneration kGeneration{70};

BarrierConfig config(bool two_steps = false) {
  BarrierConfig config;
  config.parties = 3;
  config.two_steps = two_steps;
  return config;
}

RequestId arrive(Wire& wire, bool two_steps = false, const std::string& barrier = "loaded") {
  const auto asked = wire.machine.arrive(wire.now, {"space", barrier, config(two_steps), "value"});
  REQUIRE(asked.has_value());
  wire.drain();
  return *asked;
}

RequestId arrived(Wire& wire, bool two_steps = false, const std::string& barrier = "loaded") {
  const RequestId id = arrive(wire, two_steps, barrier);
  wire.reply(id, Answer::arrived);
  wire.clear();
  return id;
}

void withdraw(Wire& wire, RequestId arrival) {
  REQUIRE(wire.machine.withdraw(wire.now, arrival).has_value());
  wire.drain();
}

void forget(Wire& wire, RequestId operation) {
  wire.machine.forget_operation(wire.now, operation);
  wire.drain();
}

RequestId leave(Wire& wire, BarrierGeneration generation = kGeneration) {
  const auto asked = wire.machine.leave_barrier(wire.now, generation, "bye");
  REQUIRE(asked.has_value());
  wire.drain();
  return *asked;
}

// Of so many members, of which it tells those from `first` to `last`, counted from 1.
BarrierOutcome outcome(RequestId request, std::uint32_t total, std::uint32_t first,
                       std::uint32_t last, BarrierStep step = BarrierStep::enter) {
  BarrierOutcome outcome;
  outcome.request = request;
  outcome.generation = kGeneration;
  outcome.step = step;
  outcome.ring = {4, base::NodeId{1}, 9};
  outcome.membership = 12;
  outcome.members_total = total;
  for (std::uint32_t i = first; i <= last; ++i) {
    outcome.members.push_back({base::SessionId{i}, {base::NodeId{i % 3}, {}}, "v"});
  }
  return outcome;
}

BarrierOutcome released(RequestId request) {
  return outcome(request, 3, 1, 3);
}

BarrierOutcome left(RequestId request, BarrierEnding ending = BarrierEnding::released) {
  BarrierOutcome of = outcome(request, 3, 1, 3, BarrierStep::leave);
  of.ending = ending;
  return of;
}

BarrierOutcome of(BarrierOutcome outcome, BarrierGeneration generation) {
  outcome.generation = generation;
  return outcome;
}

// Released from the first step of one with two.
RequestId inside(Wire& wire) {
  const RequestId id = arrived(wire, true);
  wire.say(released(id));
  REQUIRE(wire.only_event<BarrierEnded>().operation == id);
  wire.clear();
  return id;
}

void resume(Wire& wire) {
  wire.disconnect();
  wire.reconnect();
  wire.clear();
  wire.welcome(true);
}

void lose_session(Wire& wire) {
  wire.say(protocol::Lost{protocol::LostReason::expired});
  wire.disconnect();
  wire.reconnect();
  wire.welcome(false, 8);
}

bool confirmed(const Wire& wire, BarrierStep step = BarrierStep::enter) {
  const auto all = wire.all_sent<BarrierConfirm>();
  return all == std::vector<BarrierConfirm>{{kGeneration, step}};
}

bool hung_up(const Wire& wire) {
  return !wire.machine.wants_connection() && wire.all_events<Refused>().size() == 1;
}

}  // namespace

TEST_CASE("who arrives is told the outcome, and confirms it") {
  Wire wire;
  wire.open();
  const RequestId id = arrive(wire);
  const auto sent = wire.only_sent<BarrierArrive>();
  CHECK(sent.request == id);
  CHECK(sent.stamp == wire.now);
  CHECK(sent.lockspace == "space");
  CHECK(sent.barrier == "loaded");
  CHECK(sent.config == config());
  CHECK(sent.value == "value");
  wire.clear();
  wire.reply(id, Answer::arrived);
  CHECK(wire.events.empty());
  CHECK(wire.sent.empty());

  wire.say(released(id));
  const auto ended = wire.only_event<BarrierEnded>();
  CHECK(ended.operation == id);
  CHECK(ended.end.self == base::SessionId{7});
  CHECK(ended.end.outcome == released(id));
  CHECK(confirmed(wire));
  CHECK(wire.machine.outcomes() == 0);
}

TEST_CASE("that one has arrived is an answer: the mark passes it, and others are asked beside it") {
  Wire wire;
  wire.open();
  const RequestId id = arrived(wire);
  wire.acquire("jobs");
  CHECK(wire.only_sent<protocol::Acquire>().acknowledged == id);
  wire.clear();
  for (std::size_t i = 1; i < protocol::kInFlightMax; ++i) wire.acquire("jobs");
  CHECK(wire.all_sent<protocol::Acquire>().size() == protocol::kInFlightMax - 1);
}

TEST_CASE("each refusal of an arrival has its outcome") {
  const std::pair<Answer, Failure> outcomes[] = {{Answer::different, Failure::different},
                                                 {Answer::not_member, Failure::not_member},
                                                 {Answer::already_arrived, Failure::in_progress},
                                                 {Answer::inside, Failure::in_progress},
                                                 {Answer::full, Failure::busy},
                                                 {Answer::not_found, Failure::not_found},
                                                 {Answer::limit, Failure::limit},
                                                 {Answer::invalid, Failure::invalid},
                                                 {Answer::not_permitted, Failure::not_permitted},
                                                 {Answer::stale, Failure::lost},
                                                 {Answer::granted, Failure::invalid}};
  Wire wire;
  wire.open();
  for (const auto& [answer, failure] : outcomes) {
    const RequestId id = arrive(wire);
    wire.clear();
    wire.reply(id, answer);
    CHECK(wire.only_event<BarrierFailed>().operation == id);
    CHECK(wire.only_event<BarrierFailed>().failure == failure);
  }
  CHECK(wire.machine.outcomes() == 0);
}

TEST_CASE("what is no barrier, and who can have none, is refused") {
  Wire wire;
  wire.open();
  const auto refused = [&](const BarrierArrival& arrival) {
    return wire.machine.arrive(wire.now, arrival).error() == CallError::invalid;
  };
  const std::string value(protocol::kBarrierValueBytesMax + 1, 'v');
  CHECK(refused({"", "loaded", config(), ""}));
  CHECK(refused({std::string(65, 's'), "loaded", config(), ""}));
  CHECK(refused({"space", "", config(), ""}));
  CHECK(refused({"space", std::string(256, 's'), config(), ""}));
  CHECK(refused({"space", "loaded", config(), value}));
  BarrierConfig wrong = config();
  wrong.parties = 4097;
  CHECK(refused({"space", "loaded", wrong, ""}));
  wrong = config();
  wrong.on_death = protocol::BarrierOnDeath::shrink;
  CHECK(refused({"space", "loaded", wrong, ""}));
  CHECK(wire.machine.create_barrier(wire.now, "space", "loaded", wrong).error() ==
        CallError::invalid);
  wrong.parties = 0;
  CHECK(wire.machine.arrive(wire.now, {"space", "loaded", wrong, ""}).has_value());
  CHECK(wire.machine.cancel_barrier(wire.now, "space", "").error() == CallError::invalid);
  CHECK(wire.machine.delete_barrier(wire.now, "", "loaded", false).error() == CallError::invalid);
  CHECK(wire.machine
            .change_barrier(wire.now, "space", "loaded", protocol::BarrierAttribute::auto_delete, 2)
            .error() == CallError::invalid);
  CHECK(wire.machine.leave_barrier(wire.now, kGeneration, value).error() == CallError::invalid);
  CHECK(wire.machine.leave_barrier(wire.now, kGeneration, "").error() == CallError::not_found);
  CHECK(wire.machine.withdraw(wire.now, RequestId{99}).error() == CallError::not_held);

  ClientConfig query_only;
  query_only.query_only = true;
  Wire other(query_only);
  CHECK(other.machine.arrive(other.now, {"space", "loaded", config(), ""}).error() ==
        CallError::invalid);
  other.connect();
  other.welcome();
  other.clear();
  other.say(released(RequestId{1}));
  CHECK(hung_up(other));
}

// ---- Parts ----

TEST_CASE("a long outcome is asked for part by part, and told and confirmed when it is whole") {
  Wire wire;
  wire.open();
  const RequestId id = arrived(wire);
  wire.say(outcome(id, 450, 1, 192));
  CHECK(wire.events.empty());
  CHECK(wire.only_sent<BarrierMore>() ==
        BarrierMore{kGeneration, BarrierStep::enter, base::SessionId{192}});
  wire.clear();
  wire.say(outcome(id, 450, 193, 384));
  CHECK(wire.events.empty());
  CHECK(wire.only_sent<BarrierMore>().after == base::SessionId{384});
  CHECK(wire.all_sent<BarrierConfirm>().empty());
  wire.clear();
  wire.say(outcome(id, 450, 385, 450));
  CHECK(wire.only_event<BarrierEnded>().end.outcome.members == outcome(id, 450, 1, 450).members);
  CHECK(confirmed(wire));
  CHECK(wire.all_sent<BarrierMore>().empty());
}

TEST_CASE("an outcome that is told again while it is collected is not asked for twice") {
  Wire wire;
  wire.open();
  const RequestId id = arrived(wire);
  wire.say(outcome(id, 300, 1, 192));
  wire.clear();
  wire.say(outcome(id, 300, 1, 192));
  CHECK(wire.sent.empty());
  wire.say(outcome(id, 300, 193, 300));
  CHECK(wire.only_event<BarrierEnded>().end.outcome.members.size() == 300);
}

TEST_CASE("parts that contradict each other are no outcome") {
  const auto refuses = [](auto change) {
    Wire wire;
    wire.open();
    const RequestId id = arrived(wire);
    wire.say(outcome(id, 300, 1, 192));
    BarrierOutcome next = outcome(id, 300, 193, 300);
    change(next);
    wire.say(next);
    return hung_up(wire) && wire.all_events<BarrierEnded>().empty();
  };
  CHECK_FALSE(refuses([](BarrierOutcome&) {}));
  CHECK(refuses([](BarrierOutcome& part) { part.members_total = 301; }));
  CHECK(refuses([](BarrierOutcome& part) { part.generation = BarrierGeneration{71}; }));
  CHECK(refuses([](BarrierOutcome& part) { part.ending = BarrierEnding::cancelled; }));
  CHECK(refuses([](BarrierOutcome& part) { part.ring.sequence = 5; }));
  CHECK(refuses([](BarrierOutcome& part) { part.membership = 13; }));
  CHECK(refuses([](BarrierOutcome& part) { part.losses = 1; }));
  CHECK(refuses([](BarrierOutcome& part) { part.members.clear(); }));
  CHECK(refuses([](BarrierOutcome& part) { part.members[0].session = base::SessionId{192}; }));
  CHECK(refuses([](BarrierOutcome& part) { std::swap(part.members[0], part.members[1]); }));
  CHECK(refuses([](BarrierOutcome& part) {
    part.members.push_back({base::SessionId{400}, {}, ""});
  }));
}

TEST_CASE("outcomes that can not be are refused at once") {
  const auto refuses = [](const BarrierOutcome& first) {
    Wire wire;
    wire.open();
    arrived(wire);
    wire.say(first);
    return hung_up(wire);
  };
  const RequestId id{1};
  CHECK_FALSE(refuses(outcome(id, 0, 1, 0)));
  CHECK_FALSE(refuses(outcome(id, 4096, 1, 192)));
  CHECK(refuses(outcome(id, 4097, 1, 192)));
  CHECK(refuses(outcome(id, 3, 1, 0)));
  CHECK(refuses(outcome(id, 2, 1, 3)));
  BarrierOutcome twice = released(id);
  twice.members[1] = twice.members[0];
  CHECK(refuses(twice));
}

TEST_CASE("nobody hears of an outcome before the session is there") {
  Wire wire;
  wire.connect();
  wire.say(released(RequestId{1}));
  CHECK(hung_up(wire));
}

// ---- Told again ----

TEST_CASE("an outcome that is told again is confirmed again, and told to nobody") {
  Wire wire;
  wire.open();
  const RequestId id = arrived(wire);
  wire.say(released(id));
  wire.clear();
  wire.say(released(id));
  CHECK(wire.events.empty());
  CHECK(confirmed(wire));

  // Also if that of which there is more to tell.
  wire.clear();
  wire.say(outcome(id, 300, 1, 192));
  CHECK(confirmed(wire));
  CHECK(wire.all_sent<BarrierMore>().empty());
}

TEST_CASE("an outcome that comes before the reply is the answer; the reply is none any more") {
  Wire wire;
  wire.open();
  const RequestId id = arrive(wire);
  wire.clear();
  wire.say(released(id));
  CHECK(wire.only_event<BarrierEnded>().operation == id);
  CHECK(confirmed(wire));
  wire.clear();
  wire.reply(id, Answer::arrived);
  CHECK(wire.events.empty());
  CHECK(wire.machine.wants_connection());
  wire.acquire("jobs");
  CHECK(wire.only_sent<protocol::Acquire>().acknowledged == id);
}

// ---- Reconnects ----

TEST_CASE("what was not answered is asked again after a reconnect, under the same id") {
  Wire wire;
  wire.open();
  const RequestId id = arrive(wire);
  resume(wire);
  CHECK(wire.only_sent<BarrierArrive>().request == id);
  CHECK(wire.only_sent<BarrierArrive>().value == "value");
  wire.reply(id, Answer::arrived);
  wire.say(released(id));
  CHECK(wire.all_events<BarrierEnded>().size() == 1);
}

TEST_CASE("who has arrived says so again after a reconnect, and is told once") {
  Wire wire;
  wire.open();
  const RequestId id = arrived(wire);
  resume(wire);
  CHECK(wire.only_sent<BarrierArrive>().request == id);
  CHECK(wire.only_sent<BarrierArrive>().acknowledged == id);
  wire.reply(id, Answer::arrived);
  wire.clear();
  wire.say(released(id));
  CHECK(wire.only_event<BarrierEnded>().operation == id);
  wire.clear();
  wire.say(released(id));
  CHECK(wire.events.empty());
  CHECK(confirmed(wire));
}

TEST_CASE("what was collected of an outcome is collected anew after a reconnect") {
  Wire wire;
  wire.open();
  const RequestId id = arrived(wire);
  wire.say(outcome(id, 300, 1, 192));
  resume(wire);
  CHECK(wire.all_sent<BarrierMore>().empty());
  wire.reply(id, Answer::arrived);
  wire.clear();
  wire.say(outcome(id, 300, 1, 100));
  CHECK(wire.only_sent<BarrierMore>().after == base::SessionId{100});
  wire.say(outcome(id, 300, 101, 292));
  wire.say(outcome(id, 300, 293, 300));
  CHECK(wire.only_event<BarrierEnded>().end.outcome.members.size() == 300);

  // Also of the second step.
  const RequestId next = arrived(wire, true);
  wire.say(of(released(next), BarrierGeneration{80}));
  wire.say(of(outcome({}, 300, 1, 192, BarrierStep::leave), BarrierGeneration{80}));
  resume(wire);
  wire.say(of(outcome({}, 300, 1, 100, BarrierStep::leave), BarrierGeneration{80}));
  wire.say(of(outcome({}, 300, 101, 292, BarrierStep::leave), BarrierGeneration{80}));
  wire.say(of(outcome({}, 300, 293, 300, BarrierStep::leave), BarrierGeneration{80}));
  CHECK(wire.machine.wants_connection());
  leave(wire, BarrierGeneration{80});
  CHECK(wire.all_events<BarrierEnded>().size() == 1);
}

TEST_CASE("a confirmation that was lost with the connection is repeated when it is told again") {
  Wire wire;
  wire.open();
  const RequestId id = arrived(wire);
  wire.say(released(id));
  resume(wire);
  CHECK(wire.all_sent<BarrierArrive>().empty());
  CHECK(wire.all_sent<BarrierConfirm>().empty());
  wire.say(released(id));
  CHECK(confirmed(wire));
  CHECK(wire.all_events<BarrierEnded>().empty());
}

TEST_CASE("who takes part in a barrier keeps its session alive") {
  Wire wire;
  wire.open();
  arrived(wire);
  REQUIRE(wire.machine.next_timeout().has_value());
  CHECK(*wire.machine.next_timeout() == wire.now.boot + kLease / 4);
  wire.pass(kLease / 4);
  wire.tick();
  CHECK(wire.all_sent<protocol::Keepalive>().size() == 1);
}

// ---- Sessions ----

TEST_CASE("an arrival that a daemon may have counted ends with its session") {
  Wire wire;
  wire.open();
  const RequestId asked = arrive(wire, false, "asked");
  const RequestId waits = arrived(wire, false, "waits");
  const auto made = wire.machine.create_barrier(wire.now, "space", "made", config());
  wire.drain();
  wire.clear();
  wire.say(protocol::Lost{protocol::LostReason::expired});
  REQUIRE(wire.all_events<BarrierFailed>().size() == 2);
  for (const auto& failed : wire.all_events<BarrierFailed>()) {
    CHECK((failed.operation == asked || failed.operation == waits));
    CHECK(failed.failure == Failure::lost);
  }
  REQUIRE(wire.all_events<Done>().size() == 1);
  CHECK(wire.all_events<Done>()[0].operation == *made);
  CHECK(wire.all_events<Done>()[0].failure == Failure::lost);
  wire.disconnect();
  wire.reconnect();
  wire.clear();
  wire.welcome(false, 8);
  CHECK(wire.sent.empty());
  CHECK(wire.machine.outcomes() == 0);
}

TEST_CASE("an arrival that no daemon has seen goes on in the next session") {
  Wire wire;
  wire.open();
  wire.disconnect();
  const RequestId id = arrive(wire);
  const auto made = wire.machine.create_barrier(wire.now, "space", "made", config());
  wire.reconnect();
  wire.say(protocol::Refused{protocol::Refusal::session_lost, ""});
  CHECK(wire.all_events<SessionLost>().size() == 1);
  wire.disconnect();
  wire.reconnect();
  wire.clear();
  wire.welcome(false, 8);
  CHECK(wire.all_events<BarrierFailed>().empty());
  CHECK(wire.only_sent<BarrierArrive>().request == id);
  CHECK(wire.only_sent<protocol::BarrierCreate>().request == *made);
  wire.reply(id, Answer::arrived);
  wire.clear();
  wire.say(released(id));
  CHECK(wire.only_event<BarrierEnded>().end.self == base::SessionId{8});
}

TEST_CASE("who was inside when the session ended is told so when it leaves, once") {
  Wire wire;
  wire.open();
  inside(wire);
  lose_session(wire);
  CHECK(wire.machine.leave_barrier(wire.now, kGeneration, "").error() == CallError::lost);
  CHECK(wire.machine.leave_barrier(wire.now, kGeneration, "").error() == CallError::not_found);
  CHECK(wire.machine.outcomes() == 0);
}

TEST_CASE("a leave ends with the session, waited for or not") {
  for (const bool waited : {true, false}) {
    Wire wire;
    wire.open();
    inside(wire);
    const RequestId id = leave(wire);
    wire.reply(id, Answer::arrived);
    if (!waited) forget(wire, id);
    lose_session(wire);
    CHECK(wire.all_sent<protocol::BarrierLeave>().empty());
    const CallError error = wire.machine.leave_barrier(wire.now, kGeneration, "").error();
    CHECK(error == (waited ? CallError::not_found : CallError::lost));
  }
}

TEST_CASE("what is known of the second step outlives the session") {
  Wire wire;
  wire.open();
  inside(wire);
  wire.say(left({}, BarrierEnding::participant_died));
  lose_session(wire);
  wire.clear();
  const RequestId id = leave(wire);
  CHECK(wire.only_event<BarrierEnded>().operation == id);
  CHECK(wire.only_event<BarrierEnded>().end.self == base::SessionId{7});
}

TEST_CASE("a refusal for good ends all of barriers") {
  Wire wire;
  wire.open();
  inside(wire);
  const RequestId waits = arrived(wire, false, "waits");
  const RequestId leaves = leave(wire);
  const auto made = wire.machine.create_barrier(wire.now, "space", "made", config());
  wire.disconnect();
  wire.reconnect();
  wire.clear();
  wire.say(protocol::Refused{protocol::Refusal::version, "update"});
  REQUIRE(wire.all_events<BarrierFailed>().size() == 2);
  CHECK(wire.all_events<BarrierFailed>()[0].operation == waits);
  CHECK(wire.all_events<BarrierFailed>()[0].failure == Failure::disabled);
  CHECK(wire.all_events<BarrierFailed>()[1].operation == leaves);
  CHECK(wire.all_events<Done>().at(0).operation == *made);
  CHECK(wire.machine.arrive(wire.now, {"space", "loaded", config(), ""}).error() ==
        CallError::disabled);
}

TEST_CASE("nothing of barriers is told when the client is closed") {
  Wire wire;
  wire.open();
  const RequestId id = arrived(wire);
  wire.machine.close(wire.now);
  wire.drain();
  wire.clear();
  wire.say(released(id));
  CHECK(wire.events.empty());
  CHECK(wire.sent.empty());
  CHECK(wire.machine.leave_barrier(wire.now, kGeneration, "").error() == CallError::disabled);
  CHECK(wire.machine.cancel_barrier(wire.now, "space", "loaded").error() == CallError::disabled);
}

// ---- Withdrawals ----

TEST_CASE("an arrival that was withdrawn in time is cancelled") {
  Wire wire;
  wire.open();
  const RequestId id = arrived(wire);
  withdraw(wire, id);
  withdraw(wire, id);  // It is under way.
  const auto sent = wire.only_sent<BarrierWithdraw>();
  CHECK(sent.arrival == id);
  CHECK(sent.lockspace == "space");
  CHECK(sent.barrier == "loaded");
  CHECK(wire.events.empty());
  wire.reply(sent.request, Answer::cancelled);
  CHECK(wire.only_event<BarrierFailed>().operation == id);
  CHECK(wire.only_event<BarrierFailed>().failure == Failure::cancelled);
  CHECK(wire.machine.withdraw(wire.now, id).error() == CallError::not_held);
  CHECK(wire.machine.outcomes() == 0);
}

TEST_CASE("a withdrawal that comes too late leaves the outcome as it is, before it or after") {
  for (const bool outcome_first : {true, false}) {
    Wire wire;
    wire.open();
    const RequestId id = arrived(wire);
    withdraw(wire, id);
    const RequestId request = wire.only_sent<BarrierWithdraw>().request;
    if (outcome_first) wire.say(released(id));
    wire.reply(request, Answer::too_late);
    if (!outcome_first) {
      CHECK(wire.events.empty());
      wire.say(released(id));
    }
    CHECK(wire.only_event<BarrierEnded>().operation == id);
    CHECK(confirmed(wire));
  }
}

TEST_CASE("a withdrawal that found nothing leaves the arrival to its own answer") {
  Wire wire;
  wire.open();
  const RequestId id = arrive(wire);
  withdraw(wire, id);
  const RequestId request = wire.only_sent<BarrierWithdraw>().request;
  wire.reply(request, Answer::not_found);
  CHECK(wire.events.empty());
  wire.reply(id, Answer::different);
  CHECK(wire.only_event<BarrierFailed>().failure == Failure::different);
}

TEST_CASE("an arrival that was not sent is taken back at once") {
  Wire wire;
  const RequestId id = arrive(wire);
  withdraw(wire, id);
  CHECK(wire.only_event<BarrierFailed>().failure == Failure::cancelled);
  wire.open();
  CHECK(wire.sent.empty());
}

TEST_CASE("a withdrawal is asked again after a reconnect, and may have succeeded before it") {
  Wire wire;
  wire.open();
  const RequestId id = arrived(wire);
  withdraw(wire, id);
  resume(wire);
  CHECK(wire.only_sent<BarrierArrive>().request == id);
  const RequestId request = wire.only_sent<BarrierWithdraw>().request;
  wire.clear();
  wire.reply(id, Answer::stale);
  CHECK(wire.only_event<BarrierFailed>().failure == Failure::cancelled);
  wire.reply(request, Answer::cancelled);
  CHECK(wire.all_events<BarrierFailed>().size() == 1);
}

TEST_CASE("whether a withdrawal succeeded that ended with its session nobody knows") {
  Wire wire;
  wire.open();
  const RequestId id = arrived(wire);
  withdraw(wire, id);
  wire.say(protocol::Lost{protocol::LostReason::expired});
  REQUIRE(wire.all_events<BarrierFailed>().size() == 1);
  CHECK(wire.all_events<BarrierFailed>()[0].failure == Failure::lost);
  wire.disconnect();
  wire.reconnect();
  wire.welcome(false, 8);
  CHECK(wire.all_sent<BarrierWithdraw>().empty());
}

TEST_CASE("an arrival that was forgotten is withdrawn, and told to nobody whatever comes") {
  for (const bool too_late : {true, false}) {
    Wire wire;
    wire.open();
    const RequestId id = arrived(wire);
    forget(wire, id);
    const RequestId request = wire.only_sent<BarrierWithdraw>().request;
    wire.reply(request, too_late ? Answer::too_late : Answer::cancelled);
    if (too_late) {
      CHECK(wire.machine.outcomes() == 1);
      wire.say(released(id));
      CHECK(confirmed(wire));
    }
    CHECK(wire.events.empty());
    CHECK(wire.machine.outcomes() == 0);
  }
}

TEST_CASE("who was forgotten and released into a barrier is inside, until it breaks") {
  Wire wire;
  wire.open();
  const RequestId id = arrived(wire, true);
  forget(wire, id);
  wire.say(released(id));
  CHECK(wire.machine.outcomes() == 1);
  wire.clear();
  wire.say(left({}, BarrierEnding::cancelled));
  CHECK(confirmed(wire, BarrierStep::leave));
  CHECK(wire.events.empty());
  CHECK(wire.machine.outcomes() == 0);
}

// ---- Two steps ----

TEST_CASE("who was released is inside, leaves, and is told when all have left") {
  Wire wire;
  wire.open();
  inside(wire);
  CHECK(wire.machine.outcomes() == 1);
  const RequestId id = leave(wire);
  const auto sent = wire.only_sent<protocol::BarrierLeave>();
  CHECK(sent.request == id);
  CHECK(sent.generation == kGeneration);
  CHECK(sent.value == "bye");
  CHECK(wire.machine.leave_barrier(wire.now, kGeneration, "").error() == CallError::in_progress);
  wire.reply(id, Answer::arrived);
  CHECK(wire.events.empty());
  wire.clear();
  wire.say(left(id));
  CHECK(wire.only_event<BarrierEnded>().operation == id);
  CHECK(wire.only_event<BarrierEnded>().end.outcome == left(id));
  CHECK(confirmed(wire, BarrierStep::leave));
  CHECK(wire.machine.leave_barrier(wire.now, kGeneration, "").error() == CallError::not_found);
  CHECK(wire.machine.outcomes() == 0);
  wire.clear();
  wire.say(left(id));
  CHECK(wire.events.empty());
  CHECK(confirmed(wire, BarrierStep::leave));
}

TEST_CASE("nobody is inside a barrier that has one step, or was broken") {
  for (const bool two_steps : {true, false}) {
    Wire wire;
    wire.open();
    const RequestId id = arrived(wire, two_steps);
    BarrierOutcome outcome = released(id);
    if (two_steps) outcome.ending = BarrierEnding::timed_out;
    wire.say(outcome);
    CHECK(wire.machine.leave_barrier(wire.now, kGeneration, "").error() == CallError::not_found);
    CHECK(wire.machine.outcomes() == 0);
  }
}

TEST_CASE("a second step that breaks is told to who is inside, and again when it leaves") {
  Wire wire;
  wire.open();
  inside(wire);
  const BarrierOutcome broken = left({}, BarrierEnding::participant_died);
  wire.say(broken);
  CHECK(wire.only_event<BarrierBroken>().end.outcome == broken);
  CHECK(confirmed(wire, BarrierStep::leave));
  CHECK(wire.machine.outcomes() == 1);
  wire.clear();
  wire.say(broken);
  CHECK(wire.events.empty());
  CHECK(confirmed(wire, BarrierStep::leave));

  resume(wire);  // It is known for good.
  wire.clear();
  const RequestId id = leave(wire);
  CHECK(wire.sent.empty());
  CHECK(wire.only_event<BarrierEnded>().operation == id);
  CHECK(wire.only_event<BarrierEnded>().end.outcome == broken);
  CHECK(wire.machine.outcomes() == 0);
  CHECK(wire.machine.leave_barrier(wire.now, kGeneration, "").error() == CallError::not_found);
}

TEST_CASE("a second step that breaks while the leave is under way answers it") {
  Wire wire;
  wire.open();
  inside(wire);
  const RequestId id = leave(wire);
  wire.clear();
  wire.say(left({}, BarrierEnding::timed_out));
  CHECK(wire.only_event<BarrierEnded>().operation == id);
  wire.reply(id, Answer::not_found);
  CHECK(wire.events.size() == 1);
  CHECK(wire.machine.wants_connection());
}

TEST_CASE("a leave that was forgotten goes on, and who asks again is told") {
  Wire wire;
  wire.open();
  inside(wire);
  const RequestId id = leave(wire);
  wire.reply(id, Answer::arrived);
  forget(wire, id);
  wire.clear();
  CHECK(leave(wire) == id);  // The same one.
  CHECK(wire.sent.empty());
  forget(wire, id);
  wire.say(left(id));
  CHECK(wire.events.empty());
  CHECK(confirmed(wire, BarrierStep::leave));
  const RequestId again = leave(wire);
  CHECK(wire.only_event<BarrierEnded>().operation == again);
  CHECK(wire.only_event<BarrierEnded>().end.outcome == left(id));
}

TEST_CASE("a leave is asked again after a reconnect") {
  Wire wire;
  wire.open();
  inside(wire);
  const RequestId id = leave(wire);
  wire.reply(id, Answer::arrived);
  resume(wire);
  CHECK(wire.only_sent<protocol::BarrierLeave>().request == id);
  wire.say(left(id));
  CHECK(wire.all_events<BarrierEnded>().size() == 1);
}

TEST_CASE("each refusal of a leave has its outcome, and who is inside can ask again") {
  const std::pair<Answer, Failure> outcomes[] = {{Answer::not_found, Failure::not_found},
                                                 {Answer::stale, Failure::lost},
                                                 {Answer::limit, Failure::limit},
                                                 {Answer::already_arrived, Failure::in_progress}};
  for (const auto& [answer, failure] : outcomes) {
    Wire wire;
    wire.open();
    inside(wire);
    const RequestId id = leave(wire);
    wire.clear();
    wire.reply(id, answer);
    CHECK(wire.only_event<BarrierFailed>().operation == id);
    CHECK(wire.only_event<BarrierFailed>().failure == failure);
    const bool inside = failure == Failure::limit || failure == Failure::in_progress;
    CHECK(wire.machine.outcomes() == (inside ? 1 : 0));
    CHECK(wire.machine.leave_barrier(wire.now, kGeneration, "").has_value() == inside);
  }
}

TEST_CASE("after a resume the second step may be told before the first") {
  Wire wire;
  wire.open();
  const RequestId id = arrived(wire, true);
  resume(wire);
  wire.clear();
  const BarrierOutcome broken = left({}, BarrierEnding::participant_died);
  wire.say(broken);
  CHECK(wire.events.empty());
  CHECK(confirmed(wire, BarrierStep::leave));
  CHECK(wire.machine.leave_barrier(wire.now, kGeneration, "").error() == CallError::not_found);
  wire.reply(id, Answer::arrived);
  wire.say(released(id));
  REQUIRE(wire.events.size() == 2);
  CHECK(std::get<BarrierEnded>(wire.events[0]).operation == id);
  CHECK(std::get<BarrierBroken>(wire.events[1]).end.outcome == broken);
  wire.clear();
  leave(wire);
  CHECK(wire.only_event<BarrierEnded>().end.outcome == broken);
}

TEST_CASE("a second step that was told again is not taken for one that is to come") {
  Wire wire;
  wire.open();
  inside(wire);
  const RequestId left_by = leave(wire);
  wire.say(left(left_by));
  const RequestId next = arrived(wire, true);
  resume(wire);
  wire.say(left(left_by));  // Unconfirmed, as far as the daemon knows.
  wire.clear();
  wire.say(of(left({}, BarrierEnding::cancelled), BarrierGeneration{80}));
  wire.say(of(released(next), BarrierGeneration{80}));
  CHECK(wire.all_events<BarrierBroken>().size() == 1);
  CHECK(wire.machine.outcomes() == 1);
}

TEST_CASE("what was expected of a second step ends with the arrivals it could be of") {
  Wire wire;
  wire.open();
  const RequestId id = arrived(wire, true);
  wire.say(of(left({}, BarrierEnding::cancelled), BarrierGeneration{80}));
  wire.say(of(left({}, BarrierEnding::cancelled), BarrierGeneration{81}));  // One too many.
  wire.reply(id, Answer::different);
  CHECK(wire.machine.outcomes() == 0);
  wire.clear();
  wire.say(left({}, BarrierEnding::cancelled));
  CHECK(confirmed(wire, BarrierStep::leave));
  CHECK(wire.machine.outcomes() == 0);
}

// ---- Limits ----

TEST_CASE("a client has so many outcomes to come, two of each barrier with two steps") {
  Wire wire;
  wire.open();
  inside(wire);
  for (std::size_t i = 1; i < kOutcomesMax - 1; ++i) arrived(wire);
  const auto more = [&](bool two_steps) {
    return wire.machine.arrive(wire.now, {"space", "more", config(two_steps), ""});
  };
  CHECK(wire.machine.outcomes() == kOutcomesMax - 1);
  CHECK(more(true).error() == CallError::limit);
  CHECK(more(false).has_value());
  CHECK(more(false).error() == CallError::limit);
  wire.say(left({}, BarrierEnding::cancelled));
  CHECK(more(false).error() == CallError::limit);
  leave(wire);
  CHECK(more(false).has_value());
}

TEST_CASE("a client has so many operations on barriers without an answer") {
  Wire wire;
  wire.open();
  std::optional<RequestId> last;
  for (std::size_t i = 0; i < kBarrierOperationsMax; ++i) {
    last = *wire.machine.cancel_barrier(wire.now, "space", "loaded");
  }
  CHECK(wire.machine.cancel_barrier(wire.now, "space", "loaded").error() == CallError::limit);
  CHECK(wire.machine.drop_orphans(wire.now, base::NodeId{}, 0).has_value());
  wire.drain();
  wire.reply(*last, Answer::done);
  CHECK(wire.machine.cancel_barrier(wire.now, "space", "loaded").has_value());
}

// ---- What is answered at once ----

TEST_CASE("barriers are created, changed, cancelled and deleted") {
  Wire wire;
  wire.open();
  auto& machine = wire.machine;
  const auto made = machine.create_barrier(wire.now, "space", "made", config());
  const auto changed =
      machine.change_barrier(wire.now, "space", "made", protocol::BarrierAttribute::patience, 5000);
  const auto cancelled = machine.cancel_barrier(wire.now, "space", "made");
  const auto deleted = machine.delete_barrier(wire.now, "space", "made", true);
  wire.drain();
  CHECK(wire.only_sent<protocol::BarrierCreate>().config == config());
  CHECK(wire.only_sent<protocol::BarrierCreate>().stamp == wire.now);
  CHECK(wire.only_sent<protocol::BarrierChange>().attribute ==
        protocol::BarrierAttribute::patience);
  CHECK(wire.only_sent<protocol::BarrierChange>().value == 5000);
  CHECK(wire.only_sent<protocol::BarrierCancel>().request == *cancelled);
  CHECK(wire.only_sent<protocol::BarrierDelete>().force);
  wire.clear();

  resume(wire);
  CHECK(wire.sent.size() == 4);
  wire.clear();
  forget(wire, *made);
  wire.reply(*made, Answer::done);
  CHECK(wire.events.empty());
  const std::pair<RequestId, Answer> answers[] = {
      {*changed, Answer::in_use}, {*cancelled, Answer::not_open}, {*deleted, Answer::done}};
  for (const auto& [id, answer] : answers) wire.reply(id, answer);
  REQUIRE(wire.all_events<Done>().size() == 3);
  CHECK(wire.all_events<Done>()[0].failure == Failure::busy);
  CHECK(wire.all_events<Done>()[1].failure == Failure::not_found);
  CHECK_FALSE(wire.all_events<Done>()[2].failure.has_value());
}
