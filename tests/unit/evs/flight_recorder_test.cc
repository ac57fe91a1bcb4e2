// What is kept of what happened, and in which words.
#include "evs/flight_recorder.h"

#include <doctest/doctest.h>

#include <string>

#include "evs/flight_text.h"
#include "tests/unit/evs/test_ring.h"

namespace evs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const std::vector<base::NodeId> kNodes = {base::NodeId{1}, base::NodeId{2}, base::NodeId{3}};

TraceRecord about(std::uint32_t node, TraceEvent event = TraceEvent::candidate_failed) {
  TraceRecord record;
  record.event = event;
  record.processor = {base::NodeId{node}, base::Incarnation{0xab}};
  return record;
}

std::vector<std::string> told(TestRing& ring, Number number, TraceEvent event) {
  std::vector<std::string> texts;
  for (const FlightRecord& record : ring.node(number).recorder().records()) {
    if (record.what.event == event) texts.push_back(describe(ring.config.nodes, record.what));
  }
  return texts;
}

bool form(TestRing& ring, const std::vector<Number>& numbers) {
  for (Number number : numbers) ring.start(number);
  return ring.run_until([&] { return ring.formed(numbers); });
}

TEST_CASE("the recorder keeps the last records, numbered, and answers them in order") {
  FlightRecorder recorder;
  CHECK(recorder.records().empty());
  const std::size_t many = FlightRecorder::kRecordsMax + 10;
  for (std::uint32_t i = 1; i <= many; ++i) recorder.record(seconds(i), about(i));
  const auto all = recorder.records();
  REQUIRE(all.size() == FlightRecorder::kRecordsMax);
  CHECK(all.front().number == 11);
  CHECK(all.front().at == seconds(11));
  CHECK(all.back().number == many);
  CHECK(all.back().what.processor.node == base::NodeId{many});
  CHECK(recorder.records(many).empty());
  CHECK(recorder.records(many - 2).size() == 2);
  CHECK(recorder.records(5, 3).back().number == 13);
}

TEST_CASE("what comes again and again is counted, so that it pushes nothing else out") {
  FlightRecorder recorder;
  recorder.record(seconds(1), about(9));
  for (int i = 2; i < 5000; ++i) {
    // Two strangers that are barred call in turn.
    recorder.record(seconds(i), about(2, TraceEvent::stranger_barred));
    recorder.record(seconds(i), about(3, TraceEvent::stranger_barred));
  }
  const auto all = recorder.records();
  REQUIRE(all.size() == 3);
  CHECK(all[1].times == 4998);
  CHECK(all[1].at == seconds(2));
  CHECK(all[1].last_at == seconds(4999));
  // Behind others it is news again.
  for (std::uint32_t i = 10; i < 10 + FlightRecorder::kLookBack; ++i)
    recorder.record(seconds(6000), about(i));
  recorder.record(seconds(6001), about(2, TraceEvent::stranger_barred));
  CHECK(recorder.records().back().times == 1);
}

TEST_CASE("what happens at each visit of the token is left out") {
  FlightRecorder recorder;
  for (TraceEvent event :
       {TraceEvent::token_accepted, TraceEvent::token_released, TraceEvent::token_held,
        TraceEvent::message_numbered, TraceEvent::packet_missing}) {
    recorder.record(seconds(1), TraceRecord{event, {}});
  }
  CHECK(recorder.records().empty());

  TestRing ring(3);
  REQUIRE(form(ring, {1, 2, 3}));
  ring.run_for(seconds(1));
  const auto before = ring.node(1).recorder().records().back().number;
  for (int i = 0; i < 1000; ++i) {
    CHECK(ring.multicast(1, Service::safe, "work"));
    ring.run_for(milliseconds(1));
  }
  CHECK(ring.node(1).recorder().records().back().number == before);
}

TEST_CASE("a start, and a ring that forms, are told from the first configuration on") {
  TestRing ring(3);
  REQUIRE(form(ring, {1, 2, 3}));
  const auto records = ring.node(1).recorder().records();
  CHECK(records.front().what.event == TraceEvent::install_regular);
  CHECK(describe(kNodes, records.front().what) == "nodes 1");
  CHECK(told(ring, 1, TraceEvent::install_regular).back() == "nodes 1 2 3");
  CHECK_FALSE(told(ring, 1, TraceEvent::consensus).empty());
  CHECK_FALSE(told(ring, 1, TraceEvent::candidate_proposed).empty());
}

TEST_CASE("a token that nobody answers is told with who should have") {
  TestRing ring(3);
  REQUIRE(form(ring, {1, 2, 3}));
  ring.run_for(seconds(1));
  ring.kill(3);
  // Not at rest, so that the token is under way.
  CHECK(ring.multicast(1, Service::agreed, "work"));
  REQUIRE(ring.run_until([&] { return ring.formed({1, 2}); }));
  // It waits as long as the others, a moment later.
  const auto awaited = told(ring, 2, TraceEvent::token_awaited);
  REQUIRE(awaited.size() == 1);
  CAPTURE(awaited[0]);
  CHECK(awaited[0].find("none for 300ms, not answered by node 3, sent again 149 times") == 0);
  CHECK(told(ring, 1, TraceEvent::token_lost) == std::vector<std::string>{"none for 300ms"});
  const auto failed = told(ring, 1, TraceEvent::candidate_failed);
  REQUIRE(failed.size() == 1);
  CHECK(failed[0].find("node 3: it has not agreed in time") == 0);
}

TEST_CASE("an acknowledgement that stands still is told long before the member is named") {
  TestRing ring(3);
  REQUIRE(form(ring, {1, 2, 3}));
  ring.run_for(seconds(1));
  // Node 3 receives no packets, but tokens.
  ring.fate = [](Number, Number to, const Message& message) {
    return to == 3 && std::holds_alternative<PacketMessage>(message) ? Fate::drop : Fate::deliver;
  };
  CHECK(ring.multicast(1, Service::agreed, "one"));
  const auto stands = [&] { return told(ring, 1, TraceEvent::acknowledgement_stands); };
  REQUIRE(ring.run_until([&] { return !stands().empty(); }));
  CHECK(ring.node(1).statistics().failures_to_receive == 0);
  CHECK(stands()[0].find("node 3: stands still at ") == 0);
  SUBCASE("it moves on") {
    ring.fate = nullptr;
    REQUIRE(
        ring.run_until([&] { return !told(ring, 1, TraceEvent::acknowledgement_moves).empty(); }));
    CHECK(told(ring, 1, TraceEvent::acknowledgement_moves)[0].find("node 3: moves on to ") == 0);
    CHECK(stands().size() == 1);
  }
  SUBCASE("it does not") {
    REQUIRE(ring.run_until([&] { return ring.formed({1, 2}); }));
    const auto failed = told(ring, 1, TraceEvent::candidate_failed);
    REQUIRE_FALSE(failed.empty());
    CHECK((failed[0].find("node 3: a member fails to receive") == 0 ||
           told(ring, 2, TraceEvent::candidate_failed)[0].find(
               "node 3: a member fails to receive") == 0));
  }
}

TEST_CASE("packets sent again are told when they are many") {
  TestRing ring(2);
  REQUIRE(form(ring, {1, 2}));
  base::Random random(7);
  ring.fate = [&](Number, Number, const Message& message) {
    return std::holds_alternative<PacketMessage>(message) && random.chance(1, 2) ? Fate::drop
                                                                                 : Fate::deliver;
  };
  const std::string text(1000, 'x');
  for (int i = 0; i < 1000; ++i) {
    for (Number number : {1U, 2U}) CHECK(ring.multicast(number, Service::agreed, text));
    ring.run_for(milliseconds(1));
  }
  CHECK_FALSE(told(ring, 1, TraceEvent::retransmissions).empty());
}

}  // namespace
}  // namespace evs
