// Who holds a lock hears of who waits for it; and what is left of processes that end.
#include <doctest/doctest.h>

#include "dlm/table.h"
#include "tests/unit/dlm/requests.h"

namespace dlm {

using namespace base::lock_flag;

TEST_CASE("a holder that wants to hear is told once of each higher mode that it stands against") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::ex, notify));
  CHECK(text(acquire(table, want(lock(2, 1), "a", Mode::pr))) ==
        "queued 2/1 PR, blocks 1/1 PR token 1");
  CHECK(text(acquire(table, want(lock(3, 1), "a", Mode::pr))) == "queued 3/1 PR");
  CHECK(text(acquire(table, want(lock(4, 1), "a", Mode::ex))) ==
        "queued 4/1 EX, blocks 1/1 EX token 1");
}

TEST_CASE("it is known how many locks of a session were told of somebody, also after a snapshot") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::ex, notify));
  acquire(table, want(lock(1, 2), "b", Mode::ex, notify));
  acquire(table, want(lock(1, 3), "c", Mode::ex, notify));
  CHECK(table.notified_of(SessionId{1}) == 0);
  acquire(table, want(lock(2, 1), "a", Mode::pr));
  acquire(table, want(lock(2, 2), "b", Mode::pr));
  acquire(table, want(lock(2, 3), "b", Mode::ex));
  CHECK(table.notified_of(SessionId{1}) == 2);
  const auto loaded = Table::deserialize(snapshot_of(table));
  REQUIRE(loaded);
  CHECK(loaded->notified_of(SessionId{1}) == 2);
  convert(table, lock(1, 1), 4, Mode::pr, notify);
  CHECK(table.notified_of(SessionId{1}) == 1);
  release(table, lock(1, 2), token_of(table, lock(1, 2)));
  CHECK(table.notified_of(SessionId{1}) == 0);
  CHECK(table.notified_of(SessionId{2}) == 0);
}

TEST_CASE("who is granted something hears of those who wait still") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::ex));
  acquire(table, want(lock(2, 1), "a", Mode::pr, notify));
  acquire(table, want(lock(3, 1), "a", Mode::ex));
  CHECK(text(release(table, lock(1, 1), Token{1})) ==
        "released 1/1 EX token 1, granted 2/1 PR token 4, blocks 2/1 EX token 4");
}

TEST_CASE("who is granted past those who wait hears of them, and nobody else does again") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::pr, notify));
  CHECK(text(acquire(table, want(lock(2, 1), "a", Mode::cw))) ==
        "queued 2/1 CW, blocks 1/1 CW token 1");
  CHECK(text(acquire(table, want(lock(3, 1), "a", Mode::pr, notify | no_order))) ==
        "granted 3/1 PR token 3, blocks 3/1 CW token 3");
  CHECK(text(acquire(table, want(lock(4, 1), "a", Mode::pr, notify | head_of_queue))) ==
        "granted 4/1 PR token 4, blocks 4/1 CW token 4");
  CHECK(text(acquire(table, want(lock(5, 1), "a", Mode::cr, notify | no_order))) ==
        "granted 5/1 CR token 5");
}

TEST_CASE("a try tells nobody, unless it is asked to") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::ex, notify));
  CHECK(text(acquire(table, want(lock(2, 1), "a", Mode::pr, no_queue))) ==
        "refused 2/1: would block");
  CHECK(text(acquire(table, want(lock(2, 2), "a", Mode::pr, no_queue | no_queue_notify))) ==
        "refused 2/2: would block, blocks 1/1 PR token 1");
}

TEST_CASE("a persistent lock stays when its process ends, until it is adopted") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::ex, persistent | notify));
  acquire(table, want(lock(1, 2), "b", Mode::ex));
  CHECK(text(end(table, 1, Ending::closed)) == "released 1/2 EX token 2");
  CHECK(table.find(lock(1, 1))->orphan);
  CHECK(text(acquire(table, want(lock(2, 1), "a", Mode::pr))) == "queued 2/1 PR");
  CHECK(text(release(table, lock(1, 1), Token{1})) == "refused 1/1: unknown lock");

  Effects effects;
  table.adopt({lock(3, 1), lock(1, 1), notify}, effects);
  CHECK(text(effects) == "granted 3/1 EX token 4, blocks 3/1 PR token 4");
  effects.clear();
  table.adopt({lock(3, 2), lock(1, 1), 0}, effects);
  CHECK(text(effects) == "refused 3/2: unknown lock");
}

TEST_CASE("an adoption with flags that do not go with the mode changes nothing") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::ex, persistent));
  end(table, 1, Ending::closed);
  const std::uint64_t before = table.digest();
  Effects effects;
  table.adopt({lock(2, 1), lock(1, 1), expedite}, effects);
  CHECK(text(effects) == "refused 2/1: bad flags");
  CHECK(table.digest() == before);
}

TEST_CASE("an orphan goes when it is purged, or with its node") {
  for (const Ending ending : {Ending::purged, Ending::node_gone}) {
    Table table;
    acquire(table, want(lock(1, 1), "a", Mode::ex, persistent));
    acquire(table, want(lock(2, 1), "a", Mode::pr));
    end(table, 1, Ending::closed);
    const Effects effects = end(table, 1, ending);
    CHECK(text(effects) == "released 1/1 EX token 1, granted 2/1 PR token 3");
    CHECK(table.find(in_default("a"))->value_invalid == (ending == Ending::purged));
  }
}

}  // namespace dlm
