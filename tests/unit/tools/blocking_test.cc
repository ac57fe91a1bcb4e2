#include "tools/lockctl/blocking.h"

#include <doctest/doctest.h>

#include "dlm/mode.h"
#include "tests/unit/tools/shown_locks.h"

using namespace tools::lockctl;
using Places = std::vector<std::size_t>;

namespace {

Blocking only(const Showing& showing) {
  const auto blockings = blockings_of(showing);
  REQUIRE(blockings.size() == 1);
  return blockings[0];
}

}  // namespace

TEST_CASE(
    "a request is kept by every holder whose mode does not go with it, for all pairs of modes") {
  for (std::uint8_t held = 0; held < dlm::kModes; ++held) {
    for (std::uint8_t wanted = 0; wanted < dlm::kModes; ++wanted) {
      const auto has = *base::mode_of(held);
      const auto wants = *base::mode_of(wanted);
      const Blocking blocking = only(showing(
          {holder(1, std::string(to_string(has))), waiter(2, std::string(to_string(wants)), 1)}));
      const bool free = dlm::compatible(has, wants);
      CHECK((blocking.rule == BlockRule::held_mode) == !free);
      CHECK(blocking.blockers == (free ? Places{} : Places{0}));
    }
  }
}

TEST_CASE("all holders in the way are named, the others are not") {
  const Blocking blocking =
      only(showing({holder(1, "NL"), holder(2, "PR"), holder(3, "PR"), waiter(4, "EX", 1)}));
  CHECK(blocking.blockers == Places{1, 2});
  CHECK(
      blocking.sentence ==
      "node 4 pid 4 (p4) waits for EX, which does not go with the PR of node 2 pid 2 (p2) and of 1 "
      "more.");
}

TEST_CASE(
    "a conversion does not stand against itself, but against the modes of other converting ones") {
  const auto blockings =
      blockings_of(showing({converter(1, "PR", "EX", 1), converter(2, "PR", "EX", 2)}));
  REQUIRE(blockings.size() == 2);
  CHECK(blockings[0].rule == BlockRule::held_mode);
  CHECK(blockings[0].blockers == Places{1});
  CHECK(blockings[0].sentence ==
        "node 1 pid 1 (p1) holds PR, waits to convert it to EX, which does not go with the PR of "
        "node "
        "2 pid 2 (p2).");
  CHECK(blockings[1].blockers == Places{0});
}

TEST_CASE("a conversion that would fit waits for the one before it") {
  const auto blockings = blockings_of(
      showing({converter(1, "NL", "EX", 1), converter(2, "NL", "PR", 2), holder(3, "PR")}));
  REQUIRE(blockings.size() == 2);
  CHECK(blockings[0].rule == BlockRule::held_mode);
  CHECK(blockings[1].rule == BlockRule::conversion_before);
  CHECK(blockings[1].blockers == Places{0});
  CHECK(blockings[1].sentence ==
        "node 2 pid 2 (p2) holds NL, waits to convert it to PR, and the conversion of node 1 pid 1 "
        "(p1) to EX was asked for before.");
}

TEST_CASE("a request that would fit waits for the conversions") {
  const auto blockings =
      blockings_of(showing({converter(1, "NL", "EX", 1), holder(2, "PR"), waiter(3, "PR", 1)}));
  REQUIRE(blockings.size() == 2);
  CHECK(blockings[1].rule == BlockRule::conversions_first);
  CHECK(blockings[1].blockers == Places{0});
  CHECK(
      blockings[1].sentence ==
      "node 3 pid 3 (p3) waits for PR, and conversions come first: that of node 1 pid 1 (p1) from "
      "NL to EX.");
}

TEST_CASE("a request that would fit waits for the one before it in the queue") {
  const auto blockings =
      blockings_of(showing({holder(1, "PR"), waiter(2, "EX", 1), waiter(3, "PR", 2)}));
  REQUIRE(blockings.size() == 2);
  CHECK(blockings[1].rule == BlockRule::request_before);
  CHECK(blockings[1].blockers == Places{1});
  CHECK(
      blockings[1].sentence ==
      "node 3 pid 3 (p3) waits for PR, and is behind node 2 pid 2 (p2), who waits for EX as number "
      "1 of the queue.");
}

TEST_CASE("who waits without order is kept by modes only") {
  ShownLock without_order = waiter(3, "PR", 2);
  without_order.flags = base::lock_flag::no_order;
  const auto blockings =
      blockings_of(showing({holder(1, "PR"), waiter(2, "EX", 1), without_order}));
  REQUIRE(blockings.size() == 2);
  CHECK(blockings[1].rule == BlockRule::elsewhere);
  without_order.wants = "CW";
  CHECK(blockings_of(showing({holder(1, "PR"), waiter(2, "EX", 1), without_order}))[1].rule ==
        BlockRule::held_mode);
}

TEST_CASE("a mode that is as good counts too") {
  ShownLock content = waiter(3, "EX", 2);
  content.flags = base::lock_flag::or_pr;
  const Showing shown = showing({holder(1, "PR"), waiter(2, "EX", 1), content});
  CHECK(blockings_of(shown)[1].rule == BlockRule::request_before);
  content.flags = base::lock_flag::or_cw;
  CHECK(blockings_of(showing({holder(1, "PR"), content}))[0].rule == BlockRule::held_mode);
  CHECK(blockings_of(showing({holder(1, "CW"), content}))[0].rule == BlockRule::elsewhere);
}

TEST_CASE("a holder that can not give the lock back is said to be gone") {
  ShownLock gone = holder(1, "EX");
  gone.orphaned = true;
  CHECK(only(showing({gone, waiter(2, "EX", 1)})).sentence.find("its lease has to run out") !=
        std::string::npos);
  ShownLock orphan = holder(1, "EX");
  orphan.orphan = true;
  CHECK(only(showing({orphan, waiter(2, "EX", 1)})).sentence.find("adopted or dropped") !=
        std::string::npos);
  ShownLock nobody = holder(0, "EX");
  CHECK(only(showing({nobody, waiter(2, "EX", 1)})).sentence.find("the leases from before") !=
        std::string::npos);
}

TEST_CASE("conversions are told before requests, each queue in its order") {
  const auto blockings =
      blockings_of(showing({converter(1, "PR", "EX", 2), converter(2, "PR", "EX", 1),
                            waiter(3, "EX", 1), waiter(4, "EX", 2)}));
  Places waiters;
  for (const Blocking& blocking : blockings) waiters.push_back(blocking.waiter);
  CHECK(waiters == Places{1, 0, 2, 3});
}
