// Conversions, and the value block that they move.
#include <doctest/doctest.h>

#include "dlm/table.h"
#include "tests/unit/dlm/requests.h"

namespace dlm {

using namespace base::lock_flag;

TEST_CASE("a conversion that fits is granted at once, under a new token, whoever waits") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::cr));
  acquire(table, want(lock(2, 1), "a", Mode::ex));
  CHECK(text(convert(table, lock(1, 1), 2, Mode::pr)) == "granted 1/1 PR token 3");
  CHECK(text(convert(table, lock(1, 1), 3, Mode::nl)) ==
        "granted 1/1 NL token 4, granted 2/1 EX token 5");
}

TEST_CASE("who waits to convert keeps what he has, and goes before new requests") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::pr));
  acquire(table, want(lock(2, 1), "a", Mode::pr));
  acquire(table, want(lock(3, 1), "a", Mode::ex));
  CHECK(text(convert(table, lock(1, 1), 2, Mode::ex)) == "queued 1/1 EX");
  CHECK(table.find(lock(1, 1))->mode == Mode::pr);
  CHECK(text(convert(table, lock(1, 1), 3, Mode::nl)) == "refused 1/1: in progress");
  CHECK(text(release(table, lock(2, 1), Token{2})) ==
        "released 2/1 PR token 2, granted 1/1 EX token 5");
}

TEST_CASE("a conversion taken back leaves the lock what it was") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::pr));
  acquire(table, want(lock(2, 1), "a", Mode::pr));
  convert(table, lock(1, 1), 2, Mode::ex);
  CHECK(text(cancel(table, lock(1, 1))) == "reverted 1/1 PR token 1");
  CHECK(text(release(table, lock(1, 1), Token{1})) == "released 1/1 PR token 1");
}

TEST_CASE("two that hold PR and both want EX: the second is refused, or gives up its mode") {
  for (const LockFlags flags : {LockFlags{0}, demote_on_deadlock}) {
    Table table;
    acquire(table, want(lock(1, 1), "a", Mode::pr));
    acquire(table, want(lock(2, 1), "a", Mode::pr));
    convert(table, lock(1, 1), 2, Mode::ex);
    const std::string second = text(convert(table, lock(2, 1), 2, Mode::ex, flags));
    if (flags == 0) {
      CHECK(second == "refused 2/1: deadlock");
      CHECK(table.take_deadlocks().size() == 1);
    } else {
      CHECK(second == "queued 2/1 EX, granted 1/1 EX token 4");
      const Effects effects = release(table, lock(1, 1), Token{4});
      CHECK(text(effects) == "released 1/1 EX token 4, granted 2/1 EX token 6");
      CHECK(effects[1].notes == base::grant_note::demoted);
    }
  }
}

TEST_CASE("a conversion asked to queue goes behind those who convert, and only to more") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::nl));
  acquire(table, want(lock(2, 1), "a", Mode::nl));
  acquire(table, want(lock(3, 1), "a", Mode::pr));
  convert(table, lock(1, 1), 2, Mode::ex);
  CHECK(text(convert(table, lock(2, 1), 2, Mode::cr, queue_convert)) == "queued 2/1 CR");
  CHECK(text(convert(table, lock(3, 1), 2, Mode::cr, queue_convert)) == "refused 3/1: bad flags");
}

TEST_CASE("a mode that is as good is taken, and said to be another") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::pr));
  const Effects effects = acquire(table, want(lock(2, 1), "a", Mode::ex, or_pr));
  CHECK(text(effects) == "granted 2/1 PR token 2");
  CHECK(effects[0].notes == base::grant_note::other_mode);
}

TEST_CASE("a value written on the way down is read by the next, and is gone with the last lock") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::ex, value_block));
  convert(table, lock(1, 1), 2, Mode::nl, value_block, filled(7));
  CHECK(acquire(table, want(lock(2, 1), "a", Mode::pr, value_block))[0].value == filled(7));
  CHECK(!acquire(table, want(lock(3, 1), "a", Mode::pr))[0].value);
  // PR writes nothing.
  Effects effects;
  table.release({lock(2, 1), token_of(table, lock(2, 1)), value_block, filled(8)}, effects);
  CHECK(*table.find(in_default("a"))->value == filled(7));
  end(table, 1, Ending::closed);
  end(table, 3, Ending::closed);
  CHECK(acquire(table, want(lock(4, 1), "a", Mode::pr, value_block))[0].value == ValueBlock{});
}

TEST_CASE("a writer that dies marks the value, and the next that is written clears the mark") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::nl));
  acquire(table, want(lock(2, 1), "a", Mode::ex));
  end(table, 2, Ending::node_gone);  // It said nothing of the value.
  CHECK(!table.find(in_default("a"))->value_invalid);
  acquire(table, want(lock(3, 1), "a", Mode::ex));
  end(table, 3, Ending::closed);
  CHECK(table.find(in_default("a"))->value_invalid);
  const Effects read = acquire(table, want(lock(4, 1), "a", Mode::ex, value_block));
  CHECK(read[0].notes == base::grant_note::value_invalid);
  convert(table, lock(4, 1), 2, Mode::ex, value_block, filled(1));
  CHECK(!table.find(in_default("a"))->value_invalid);
}

TEST_CASE("without a value to write nothing is written") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::ex));
  convert(table, lock(1, 1), 2, Mode::ex, value_block, filled(1));
  convert(table, lock(1, 1), 3, Mode::nl, value_block);
  CHECK(*table.find(in_default("a"))->value == filled(1));
}

}  // namespace dlm
