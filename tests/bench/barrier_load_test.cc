// What of barrier_load can be wrong without anybody noticing: what it notices, its figures, and who
// waits for whom in ZooKeeper's recipe.
#include <doctest/doctest.h>

#include <stdexcept>
#include <utility>

#include "tests/bench/barrier_load/figures.h"
#include "tests/bench/barrier_load/tally.h"
#include "tests/bench/barrier_load/uses.h"
#include "tests/bench/barrier_load/zookeeper_party.h"

namespace tests::barrier_load {
namespace {

using std::chrono::milliseconds;

// All that is right up to where nobody has left.
void enter_and_ask_to_leave(Tally& tally, std::size_t parties, std::uint64_t use) {
  tally.begin();
  for (std::size_t i = 0; i < parties; ++i) tally.enters(i);
  for (std::size_t i = 0; i < parties; ++i) tally.entered(i, {use, parties});
  for (std::size_t i = 0; i < parties; ++i) tally.leaves(i);
}

TEST_CASE("uses in which all pass together are right") {
  Tally tally(2);
  for (const std::uint64_t use : {4u, 7u}) {
    enter_and_ask_to_leave(tally, 2, use);
    tally.left(1, {use, 2});
    CHECK(!tally.all_left());
    tally.left(0, {use, 2});
    CHECK(tally.all_left());
  }
  CHECK(tally.fault().empty());
}

TEST_CASE("who enters before all are there is noticed") {
  Tally tally(3);
  tally.begin();
  tally.enters(0);
  tally.enters(2);
  tally.entered(2, {1, 3});
  CHECK(tally.fault() == "party 3 entered with 2 of 3");
}

TEST_CASE("who leaves while others are inside is noticed") {
  Tally tally(2);
  tally.begin();
  for (const std::size_t party : {0u, 1u}) tally.enters(party);
  for (const std::size_t party : {0u, 1u}) tally.entered(party, {1, 2});
  tally.leaves(0);
  tally.left(0, {1, 2});
  CHECK(tally.fault() == "party 1 left with 1 of 2");
}

TEST_CASE("parties in different uses are noticed") {
  Tally tally(2);
  enter_and_ask_to_leave(tally, 2, 5);
  tally.left(0, {5, 2});
  tally.left(1, {6, 2});
  CHECK(tally.fault() == "party 2 left in another use than others");
}

TEST_CASE("a use that comes again is noticed") {
  Tally tally(1);
  enter_and_ask_to_leave(tally, 1, 5);
  tally.left(0, {5, 1});
  enter_and_ask_to_leave(tally, 1, 5);
  CHECK(tally.fault() == "party 1 entered in a use that is over");
}

TEST_CASE("a barrier of another number of parties is noticed") {
  Tally tally(2);
  enter_and_ask_to_leave(tally, 2, 5);
  tally.left(0, {5, 1});
  CHECK(tally.fault() == "party 1 left among 1");
}

TEST_CASE("being told twice is noticed") {
  Tally tally(1);
  enter_and_ask_to_leave(tally, 1, 5);
  tally.left(0, {5, 1});
  tally.left(0, {5, 1});
  CHECK(tally.fault() == "party 1 was let out without asking");
}

// Parties of one program, without a service.
struct Room {
  std::size_t parties;
  std::size_t need;  // So many let all others in, or out.
  std::uint64_t use = 0;
  std::vector<Party::Done> waiting;

  void come(Party::Done done) {
    waiting.push_back(std::move(done));
    if (waiting.size() < need) return;
    for (const Party::Done& each : std::exchange(waiting, {})) each({use, parties});
  }
};

class RoomParty : public Party {
 public:
  explicit RoomParty(Room& room) : room_(room) {}
  void enter(std::uint64_t use, Done done) override {
    room_.use = use;
    room_.come(std::move(done));
  }
  void leave(Done done) override { room_.come(std::move(done)); }

 private:
  Room& room_;
};

TEST_CASE("each party is counted once in each use, and a use as one") {
  Room room{3, 3, 0, {}};
  load::Loop loop;
  const Found found = measure(loop, 3, base::Duration(0),
                              [&](std::size_t) { return std::make_unique<RoomParty>(room); });
  CHECK(found.all.size() == 1);
  CHECK(found.enter.size() == 3);
  CHECK(found.leave.size() == 3);
  CHECK(found.use.size() == 3);
  CHECK(room.use == 5);  // Three with one that is late, one not counted, one counted.
}

TEST_CASE("a barrier that does not wait for who is late is refused") {
  Room room{3, 2, 0, {}};
  load::Loop loop;
  CHECK_THROWS_WITH_AS(measure(loop, 3, base::Duration(0),
                               [&](std::size_t) { return std::make_unique<RoomParty>(room); }),
                       doctest::Contains("entered with 2 of 3"), std::runtime_error);
}

TEST_CASE("the line tells times in microseconds, and of how much of a processor") {
  Found found;
  for (int i = 100; i > 0; --i) {
    found.enter.push_back(milliseconds(i));
    found.leave.push_back(milliseconds(2 * i));
    found.use.push_back(milliseconds(3 * i));
  }
  found.all = {milliseconds(400), milliseconds(500)};
  found.took = milliseconds(900);
  found.processor_time = milliseconds(225);
  CHECK(line_of(found) ==
        "uses=2.0 enter_p50_us=50000.0 enter_p99_us=99000.0 leave_p50_us=100000.0 "
        "leave_p99_us=198000.0 use_p50_us=150000.0 use_p99_us=297000.0 all_p50_us=400000.0 "
        "all_p99_us=500000.0 load_percent=25.0");
  CHECK_THROWS_AS(line_of(Found{}), std::runtime_error);
}

TEST_CASE("in ZooKeeper's recipe all but the lowest go, and wait for it") {
  const std::vector<std::string> all{"c", "a", "ready", "b"};
  CHECK(next_step(all, "b") == Step{true, "a"});
  CHECK(next_step(all, "c") == Step{true, "a"});
  CHECK(next_step({"a", "ready", "b"}, "c") == Step{false, "a"});
}

TEST_CASE("in ZooKeeper's recipe the lowest waits for the highest, and goes as the last") {
  CHECK(next_step({"c", "a", "ready", "b"}, "a") == Step{false, "c"});
  CHECK(next_step({"a", "ready"}, "a") == Step{true, ""});
}

TEST_CASE("in ZooKeeper's recipe all have left when only `ready` is there") {
  CHECK(next_step({"ready"}, "b") == Step{false, ""});
  CHECK(next_step({}, "b") == Step{false, ""});
}

}  // namespace
}  // namespace tests::barrier_load
