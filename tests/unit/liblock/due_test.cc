#include "liblock/due.h"

#include <doctest/doctest.h>

#include "liblock/deadlock_log.h"

using namespace liblock;
using base::NodeId;
using base::SessionId;

namespace {

Completion granted(std::uint64_t lock, bool conversion) {
  Completion completion;
  completion.conversion = conversion;
  completion.outcomes.resize(1);
  completion.outcomes[0].grant = {lock, 9};
  return completion;
}

}  // namespace

TEST_CASE("a grant that its owner has not heard of is not lost to him, a converted one is") {
  Due due;
  due.completed(granted(1, false));
  due.completed(granted(2, true));
  CHECK(due.lost_untold(1));
  CHECK_FALSE(due.lost_untold(2));
  CHECK_FALSE(due.lost_untold(3));
  for (const Completion& completion : due.completions) {
    CHECK(completion.outcomes[0].error == LOCK_ERROR_LOST);
    CHECK(completion.outcomes[0].grant.token == 0);
  }
}

TEST_CASE("what is due of an older grant of the same lock is void") {
  Due due;
  due.blocked({RequestId{1}, Token{5}, protocol::Mode::ex});
  due.blocked({RequestId{1}, Token{6}, protocol::Mode::cr});
  due.blocked({RequestId{1}, Token{6}, protocol::Mode::pr});
  CHECK(due.notices.at(1).token == Token{6});
  CHECK(due.notices.at(1).modes == std::vector{protocol::Mode::cr, protocol::Mode::pr});
}

TEST_CASE("losses and lockspaces that are not dispatched are bounded") {
  Due due;
  for (std::uint64_t i = 0; i <= kLossesDueMax; ++i) due.lost(lock_grant{i, i});
  CHECK(due.losses.size() == kLossesDueMax);
  CHECK(due.losses.front()->id == 1);
  for (int i = 0; i < 1000; ++i) {
    protocol::LockspaceState state;
    state.lockspace = std::to_string(i);
    due.lockspace_is(state);
    due.lockspace_gone(std::to_string(-i), LOCK_ERROR_LIMIT);
  }
  CHECK(due.lockspaces.size() == kLockspacesDueMax);
}

TEST_CASE("the last deadlocks are kept, by lock") {
  DeadlockLog log;
  CHECK(log.find(0) == nullptr);
  log.add(1, {});
  CHECK(log.find(1) == nullptr);
  for (std::uint64_t i = 1; i <= kDeadlocksKept + 1; ++i) log.add(i, DeadlockSteps(i));
  CHECK(log.find(1) == nullptr);
  CHECK(log.find(2)->size() == 2);
  CHECK(log.find(0)->size() == kDeadlocksKept + 1);
}

TEST_CASE("a deadlock is one line, whatever its names are made of") {
  protocol::DeadlockStep step;
  step.waits = {SessionId{5}, RequestId{7}, NodeId{2}, 100, "one\ntwo"};
  step.blocker = {SessionId{6}, RequestId{8}, NodeId{3}, 0, ""};
  step.wants = protocol::Mode::ex;
  step.has = protocol::Mode::pr;
  step.lockspace = "s";
  step.resource = std::string("a\0b", 3);
  CHECK(to_text({step}) ==
        "lock 7 of session 5 (node 2, pid 100, one?two) waits for EX on s/a?b behind PR lock 8 of "
        "session 6 (node 3)");
}
