#include "evs/readmission.h"

#include <doctest/doctest.h>

#include "base/random.h"

namespace evs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Processor processor(std::uint32_t node, std::uint64_t life = 1) {
  return {base::NodeId{node}, base::Incarnation{life}};
}

constexpr base::NodeId kStranger{3};
constexpr std::size_t kMajority = 3;
constexpr std::size_t kMinority = 2;

struct Fixture {
  Config config;
  Readmission readmission{config};
  Duration now = seconds(1000);

  Fixture() {
    for (std::uint32_t id = 1; id <= 4; ++id) config.nodes.push_back(base::NodeId{id});
  }

  // A ring of 1, 2 and 4, in which 3 was named too.
  void strike(std::uint64_t life = 1) {
    readmission.installed(
        now, RingId{}, {{processor(1)}, {processor(2)}, {processor(3, life), true}, {processor(4)}},
        {processor(1), processor(2), processor(4)});
  }

  // How long the stranger is barred from now on.
  Duration pause(std::size_t members) const {
    Duration least{0};
    while (readmission.barred(now + least, kStranger, members)) least += milliseconds(1);
    return least;
  }
};

TEST_CASE_FIXTURE(Fixture,
                  "who broke two rings is heard, who breaks more is not for a growing pause") {
  CHECK_FALSE(readmission.barred(now, kStranger, kMajority));
  strike();
  strike();
  CHECK(pause(kMajority) == Duration(0));
  Duration expected = config.readmission_pause;
  for (int i = 0; i < 4; ++i) {
    strike();
    CHECK(pause(kMajority) == expected);
    now += expected;
    expected *= 2;
  }
}

TEST_CASE_FIXTURE(Fixture, "a pause has a bound, and a lower one for a ring without a majority") {
  for (int i = 0; i < 100; ++i) strike();
  CHECK(pause(kMajority) == config.readmission_pause_max);
  CHECK(pause(kMinority) == config.readmission_pause_max / 5);
}

TEST_CASE_FIXTURE(Fixture,
                  "a restart does not shorten the pause, and two lives of a node count once") {
  strike(1);
  strike(2);
  readmission.installed(now, RingId{}, {{processor(3, 3), true}, {processor(3, 4), true}},
                        {processor(1)});
  CHECK(pause(kMajority) == config.readmission_pause);
}

TEST_CASE_FIXTURE(Fixture, "members are not barred, nor is a node whose present life is a member") {
  for (int i = 0; i < 10; ++i) {
    readmission.installed(now, RingId{}, {{processor(3, 1), true}, {processor(3, 2)}},
                          {processor(3, 2)});
  }
  CHECK(pause(kMajority) == Duration(0));
}

TEST_CASE_FIXTURE(Fixture, "a long time without another break is forgiveness") {
  for (int i = 0; i < 10; ++i) strike();
  now += 2 * config.readmission_pause_max;
  strike();
  CHECK(pause(kMajority) == config.readmission_pause_max);
  now += 2 * config.readmission_pause_max + milliseconds(1);
  strike();
  CHECK(pause(kMajority) == Duration(0));
}

TEST_CASE_FIXTURE(Fixture, "with a longest pause of zero every node is always heard") {
  config.readmission_pause_max = Duration(0);
  for (int i = 0; i < 10; ++i) strike();
  CHECK(pause(kMajority) == Duration(0));
}

TEST_CASE_FIXTURE(Fixture, "nodes that are not configured are not remembered") {
  for (int i = 0; i < 10; ++i) {
    readmission.installed(now, RingId{}, {{processor(1)}, {processor(9), true}}, {processor(1)});
  }
  CHECK_FALSE(readmission.barred(now, base::NodeId{9}, kMajority));
}

// Each of two lonely nodes calls the other when it does not bar it and its Presence is due. They
// meet if the other does not bar it then either; else the caller is alone again, with a strike.
TEST_CASE_FIXTURE(Fixture, "two that bar each other do not take turns for ever") {
  constexpr Duration kRound = milliseconds(360);
  constexpr Duration kPresence = milliseconds(200);
  constexpr int kCallsMax = 20;  // Of both. Shorter by a third at most would not suffice.
  const base::NodeId other{1};
  base::Random random(7);

  struct Node {
    Readmission readmission;
    Duration calls_at{};
  };
  const auto alone = [&](Node& node, Duration at) {
    const Processor self = processor(2);
    node.readmission.installed(at, RingId{1, self.node, random.u64()},
                               {{processor(1), true}, {self}}, {self});
    node.calls_at = at;
    while (node.readmission.barred(node.calls_at, other, 1)) node.calls_at += milliseconds(10);
    node.calls_at += kPresence;
  };

  for (Duration lag{0}; lag < seconds(3); lag += milliseconds(10)) {
    CAPTURE(lag.count());
    Node nodes[2] = {{Readmission(config)}, {Readmission(config)}};
    for (int strikes = 0; strikes < 10; ++strikes) {
      alone(nodes[0], now);
      alone(nodes[1], now + lag);
    }
    int calls = 0;
    for (bool met = false; !met && calls < kCallsMax; ++calls) {
      const bool second = nodes[1].calls_at < nodes[0].calls_at;
      Node& caller = nodes[second ? 1 : 0];
      const Node& called = nodes[second ? 0 : 1];
      const Duration over = caller.calls_at + kRound;
      met = called.calls_at < over || !called.readmission.barred(over, other, 1);
      if (!met) alone(caller, over);
    }
    CHECK(calls < kCallsMax);
  }
}

}  // namespace
}  // namespace evs
