// Why the ring changed, in words.
#include "evs/explanation.h"

#include <doctest/doctest.h>

#include <string>

#include "evs/flight_recorder.h"
#include "tests/unit/evs/test_ring.h"

namespace evs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Explanation ask(TestRing& ring, Number number) {
  return explain(ring.config.nodes, ring.node(number).recorder().records());
}

// "left: why" or "came: why" of this node; empty if there is none.
std::string why(const Explanation& explained, Number number, bool came) {
  for (const MemberChange& change : explained.changes) {
    if (change.processor.node == base::NodeId{number} && change.came == came) return change.why;
  }
  return "";
}
std::string left(TestRing& ring, Number at, Number number) {
  return why(ask(ring, at), number, false);
}
std::string came(TestRing& ring, Number at, Number number) {
  return why(ask(ring, at), number, true);
}

bool begins(const std::string& text, const std::string& with) {
  CAPTURE(text);
  CHECK(text.substr(0, with.size()) == with);
  return text.substr(0, with.size()) == with;
}

void form(TestRing& ring, const std::vector<Number>& numbers) {
  for (Number number : numbers) ring.start(number);
  REQUIRE(ring.run_until([&] { return ring.formed(numbers); }));
  ring.run_for(seconds(1));
  REQUIRE(ring.formed(numbers));
}

TEST_CASE("before anything has changed there is nothing to explain") {
  CHECK_FALSE(explain({}, {}).changed);
  TestRing ring(2);
  ring.start(1);
  ring.run_for(seconds(1));
  CHECK_FALSE(ask(ring, 1).changed);
}

TEST_CASE("a member that dies with the token left because the token was not passed on") {
  TestRing ring(3);
  form(ring, {1, 2, 3});
  ring.kill(3);
  CHECK(ring.multicast(1, Service::agreed, "the token is under way"));
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2}); }));
  begins(left(ring, 2, 3),
         "token not passed on for 300ms, sent again 149 times, nothing was heard of it for ");
  CHECK(left(ring, 2, 3).find(", its acknowledgement stood still at ") != std::string::npos);
  CHECK(left(ring, 2, 3).find(", 1 behind") != std::string::npos);
  // It is only the one before in the ring who knows that.
  begins(left(ring, 1, 3), "the token did not come for 300ms, nothing was heard of it for ");
  const Explanation explained = ask(ring, 2);
  CHECK(explained.trigger ==
        "node 1 asked for a new ring; here the token did not come for 300ms; node 3 did not answer "
        "to it, sent again 149 times");
  CHECK(ask(ring, 1).trigger == "the token did not come for 300ms");
  CHECK(explained.members == std::vector<base::NodeId>{base::NodeId{1}, base::NodeId{2}});
  CHECK(explained.ring == ring.node(2).regular().id);
  CHECK(explained.took > milliseconds(300));
  CHECK(explained.took < seconds(2));
  CHECK(explained.changes.size() == 1);
}

TEST_CASE("a member that takes its leave said so, to all who hear it") {
  TestRing ring(3);
  form(ring, {1, 2, 3});
  ring.leave(3);
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2}); }));
  CHECK(left(ring, 1, 3) == "it said so");
  CHECK(left(ring, 2, 3) == "it said so");
  CHECK(ask(ring, 1).trigger == "node 3 took its leave");
}

TEST_CASE("a farewell that comes after the news of it still says why") {
  TestRing ring(3);
  form(ring, {1, 2, 3});
  ring.fate = [](Number from, Number to, const Message& message) {
    const auto* join = std::get_if<JoinMessage>(&message);
    return from == 3 && to == 2 && join != nullptr && join->leaving ? Fate::hold : Fate::deliver;
  };
  ring.leave(3);
  REQUIRE(ring.run_until([&] { return ring.node(2).state() == NodeState::gather; }));
  ring.release_held();
  ring.fate = nullptr;
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2}); }));
  const std::string text = left(ring, 2, 3);
  CAPTURE(text);
  // Should the ring be formed by then, it is too late.
  CHECK((text == "it said so" || text.find("node 1 took it to have failed") == 0));
}

TEST_CASE("who starts came because its daemon started; for itself it has found the others") {
  TestRing ring(3);
  form(ring, {1, 2});
  CHECK(came(ring, 1, 2).find("this daemon has started, and found it") == 0);
  ring.start(3);
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2, 3}); }));
  for (Number number : {1U, 2U}) {
    const Explanation explained = ask(ring, number);
    begins(why(explained, 3, true), "its daemon started (boot ");
    CHECK(explained.changes.size() == 1);
  }
  CHECK(ask(ring, 1).trigger == "node 3 was heard, which was in another ring");
  begins(came(ring, 3, 1), "this daemon has started, and found it (boot ");
  begins(came(ring, 3, 2), "this daemon has started, and found it (boot ");
}

TEST_CASE("two rings that meet do not know why they had not met before") {
  TestRing ring(4);
  for (Number left_side : {1U, 2U}) {
    for (Number right_side : {3U, 4U}) ring.cut(left_side, right_side);
  }
  ring.start_all();
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2}) && ring.formed({3, 4}); }));
  ring.mend_all();
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2, 3, 4}); }));
  begins(came(ring, 1, 3), "not known why: its daemon started, or it had been cut off (boot ");
  begins(came(ring, 4, 2), "not known why: its daemon started, or it had been cut off (boot ");
}

TEST_CASE("a fast restart is told as the end of one life and the start of another") {
  TestRing ring(3);
  form(ring, {1, 2, 3});
  ring.start(3);
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2, 3}); }));
  begins(left(ring, 1, 3), "its daemon had ended: it was heard to be started again");
  begins(came(ring, 1, 3), "its daemon was started again (boot ");
  CHECK(came(ring, 1, 3).find(", before: boot ") != std::string::npos);
}

TEST_CASE("a member that stood still is back with the boot of before") {
  TestRing ring(3);
  form(ring, {1, 2, 3});
  ring.stop(3);
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2}); }));
  CHECK(left(ring, 1, 3).find("nothing was heard of it for ") != std::string::npos);
  ring.run_for(seconds(1));
  ring.go_on(3);
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2, 3}); }));
  begins(came(ring, 1, 3), "it is back (boot ");
  begins(came(ring, 3, 1), "it is back (boot ");

  // The change before is still known, and the start is none.
  const auto records = ring.node(1).recorder().records();
  const Explanation before = explain(ring.config.nodes, records, 1);
  CHECK(before.members.size() == 2);
  CHECK_FALSE(why(before, 3, false).empty());
  const auto changes = static_cast<std::size_t>(ring.node(1).statistics().installs) - 1;
  CHECK(explain(ring.config.nodes, records, changes - 1).changed);
  CHECK_FALSE(explain(ring.config.nodes, records, changes).changed);
  CHECK_FALSE(explain(ring.config.nodes, records, changes + 1).changed);
}

TEST_CASE("a member that receives nothing is told with where its acknowledgement stood") {
  TestRing ring(3);
  form(ring, {1, 2, 3});
  ring.fate = [](Number, Number to, const Message& message) {
    return to == 3 && std::holds_alternative<PacketMessage>(message) ? Fate::drop : Fate::deliver;
  };
  CHECK(ring.multicast(1, Service::agreed, "one"));
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2}); }));
  const std::string stood = "it did not receive: its acknowledgement stood still at ";
  const bool one_says = left(ring, 1, 3).find(stood) == 0;
  const bool two_says = left(ring, 2, 3).find(stood) == 0;
  CHECK((one_says || two_says));
  for (Number number : {1U, 2U}) {
    const std::string text = left(ring, number, 3);
    CAPTURE(text);
    CHECK((text.find(stood) == 0 || text.find("took it to have failed") != std::string::npos));
  }
}

TEST_CASE("a ring that forms again with the same members has a cause and no changes") {
  TestRing ring(2);
  form(ring, {1, 2});
  CHECK(ring.multicast(1, Service::agreed, "not at rest"));
  // The token is lost, the Joins are not.
  ring.fate = [](Number, Number, const Message& message) {
    return std::holds_alternative<TokenMessage>(message) ? Fate::drop : Fate::deliver;
  };
  REQUIRE(ring.run_until([&] { return ring.node(1).state() == NodeState::gather; }));
  ring.fate = nullptr;
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2}); }));
  CHECK(ask(ring, 1).changed);
  CHECK(ask(ring, 1).changes.empty());
  CHECK(ask(ring, 2).changes.empty());
}

TEST_CASE("what is not recorded is called not known") {
  const std::vector<base::NodeId> nodes = {base::NodeId{1}, base::NodeId{2}, base::NodeId{3}};
  const auto record = [](std::uint64_t number, TraceEvent event) {
    FlightRecord one;
    one.number = number;
    one.at = seconds(number);
    one.what.event = event;
    one.what.members = 3;
    one.what.processor = {base::NodeId{3}, base::Incarnation{5}};
    return one;
  };
  // The configuration before, and what came behind it, were overwritten.
  Explanation explained = explain(
      nodes, {record(600, TraceEvent::member_departed), record(601, TraceEvent::install_regular)});
  CHECK(explained.changed);
  CHECK(explained.trigger == "not known");
  CHECK(explained.took == Duration::zero());
  CHECK(why(explained, 3, false) == "not known why");

  // A stranger of whom nothing says since when it runs.
  FlightRecord joined = record(602, TraceEvent::member_joined);
  joined.what.reason = Reason::not_known;
  explained = explain(nodes, {record(601, TraceEvent::install_regular), joined,
                              record(603, TraceEvent::install_regular)});
  CHECK(why(explained, 3, true) ==
        "not known why: its daemon started, or it had been cut off (boot 5)");

  // One that missed a ring and came back at once.
  joined.what.reason = Reason::back_again;
  explained = explain(
      nodes, {record(601, TraceEvent::install_regular), record(602, TraceEvent::member_departed),
              joined, record(604, TraceEvent::install_regular)});
  CHECK(why(explained, 3, false) == "it was in another ring for a while, and is back");
}

}  // namespace
}  // namespace evs
