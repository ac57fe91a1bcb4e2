// Requests for several locks at once, and deadlocks of those who take them one by one.
#include <doctest/doctest.h>

#include "dlm/table.h"
#include "tests/unit/dlm/requests.h"

namespace dlm {
namespace {

using namespace base::lock_flag;

constexpr Owner kOwner{1};

Acquire own(std::uint64_t session, std::uint64_t request, std::string_view resource, Mode mode,
            LockFlags flags = 0) {
  return want(lock(session, request), resource, mode, flags, kOwner);
}

Effects all(Table& table, LockName first, std::vector<std::string_view> resources,
            LockFlags flags = 0) {
  AcquireAll request{first, {}, flags, kOwner, 0};
  for (const std::string_view resource : resources) {
    request.parts.push_back({in_default(resource), Mode::ex});
  }
  Effects effects;
  table.acquire(request, effects);
  return effects;
}

}  // namespace

TEST_CASE("several locks are granted together or wait together") {
  Table table;
  CHECK(text(all(table, lock(1, 1), {"a", "b"})) ==
        "granted 1/1 EX token 1, granted 1/2 EX token 2");
  CHECK(text(all(table, lock(2, 1), {"b", "c"})) == "queued 2/1 EX, queued 2/2 EX");
  // c is free, but it has been asked for.
  CHECK(text(acquire(table, want(lock(3, 1), "c", Mode::ex))) == "queued 3/1 EX");
  CHECK(text(release(table, lock(1, 2), Token{2})) ==
        "released 1/2 EX token 2, granted 2/1 EX token 6, granted 2/2 EX token 7");
}

TEST_CASE("several that wait are taken back together") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::ex));
  all(table, lock(2, 1), {"a", "b"});
  CHECK(text(all(table, lock(3, 1), {"b", "c"}, no_queue)) ==
        "refused 3/1: would block, refused 3/2: would block");
  all(table, lock(3, 3), {"b", "c"});
  CHECK(text(cancel(table, lock(2, 2))) ==
        "cancelled 2/1 EX, cancelled 2/2 EX, granted 3/3 EX token 6, granted 3/4 EX token 7");
}

TEST_CASE("requests for several can not be none, too many, or two for one resource") {
  Table table;
  CHECK(text(all(table, lock(1, 1), {})) == "refused 1/1: bad flags");
  CHECK(text(all(table, lock(1, 1), {"a", "a"})) ==
        "refused 1/1: bad flags, refused 1/2: bad flags");
  CHECK(text(all(table, lock(1, 1), {"a"}, head_of_queue)) == "refused 1/1: bad flags");
}

TEST_CASE("limits count what several locks really add") {
  Limits limits;
  limits.resources = 3;
  Table table(limits);
  acquire(table, want(lock(1, 1), "a", Mode::ex));
  CHECK(all(table, lock(2, 1), {"b", "c", "d"})[0].status == Status::too_many_resources);
  CHECK(all(table, lock(2, 1), {"a", "b", "c"})[0].kind == Effect::Kind::queued);
}

TEST_CASE("two who take two locks in different orders: the second is refused, and told the ring") {
  Table table;
  acquire(table, own(1, 1, "a", Mode::ex));
  acquire(table, own(2, 1, "b", Mode::ex));
  acquire(table, own(1, 2, "b", Mode::ex));
  CHECK(text(acquire(table, own(2, 2, "a", Mode::ex))) == "refused 2/2: deadlock");
  const std::vector<Deadlock> found = table.take_deadlocks();
  REQUIRE(found.size() == 1);
  CHECK(found[0].victim == lock(2, 2));
  REQUIRE(found[0].steps.size() == 2);
  CHECK(found[0].steps[0] ==
        DeadlockStep{lock(2, 2), Mode::ex, lock(1, 1), Mode::ex, "default", "a"});
  CHECK(found[0].steps[1] ==
        DeadlockStep{lock(1, 2), Mode::ex, lock(2, 1), Mode::ex, "default", "b"});
  CHECK(!table.find(lock(2, 2)));
  CHECK(table.take_deadlocks().empty());
}

TEST_CASE("a place in a queue closes a ring as well as a mode does") {
  Table table;
  acquire(table, own(1, 1, "a", Mode::pr));
  acquire(table, own(2, 1, "b", Mode::ex));
  acquire(table, own(2, 2, "a", Mode::ex));  // Behind 1/1,
  acquire(table, own(3, 1, "c", Mode::ex));
  acquire(table, own(3, 2, "a", Mode::pr));  // which this would fit beside.
  CHECK(text(acquire(table, own(2, 3, "c", Mode::ex))) == "refused 2/3: deadlock");
}

TEST_CASE("whoever is granted one of two things he waits for may lose his place for the other") {
  Table table;
  acquire(table, own(1, 1, "a", Mode::ex));
  acquire(table, own(2, 1, "b", Mode::ex));
  acquire(table, own(2, 2, "a", Mode::ex));
  acquire(table, own(3, 1, "a", Mode::cr, no_order));  // Goes past 2/2, when it fits.
  CHECK(text(acquire(table, own(3, 2, "b", Mode::ex))) == "queued 3/2 EX");
  CHECK(text(convert(table, lock(1, 1), 2, Mode::cr)) ==
        "granted 1/1 CR token 6, granted 3/1 CR token 7, cancelled 3/2 EX");
  REQUIRE(table.take_deadlocks().size() == 1);
}

TEST_CASE("what asks not to be counted is never refused for a deadlock") {
  for (const LockFlags flags : {no_deadlock_wait, or_pr}) {
    Table table;
    acquire(table, own(1, 1, "a", Mode::ex));
    acquire(table, own(2, 1, "b", Mode::ex));
    acquire(table, own(1, 2, "b", Mode::ex));
    CHECK(text(acquire(table, own(2, 2, "a", Mode::ex, flags))) == "queued 2/2 EX");
  }
}

}  // namespace dlm
