#include <doctest/doctest.h>

#include "tests/unit/barrier/requests.h"

namespace barrier {
namespace {

TEST_CASE("nobody is released before as many have arrived as there are parties") {
  Table table;
  CHECK(create(table, "b", of_count(3)) == "done 1/1");
  CHECK(arrive(table, "b", 1, 2) == "arrived 1/2 g1, opened g1");
  CHECK(arrive(table, "b", 2, 5) == "arrived 2/5 g1");
  CHECK(table.find(named("b"))->entering->missing == 1);
  CHECK(arrive(table, "b", 3, 7) == "arrived 3/7 g1, ended 1/2 g1, ended 2/5 g1, ended 3/7 g1");
  CHECK(text(table, 1) == "released 1 2 3");
  CHECK(!table.find(named("b"))->entering);
}

TEST_CASE("an arrival that is sent again counts once, while it waits and when it is over") {
  Table table;
  create(table, "b", of_count(2));
  arrive(table, "b", 1, 2);
  CHECK(arrive(table, "b", 1, 2) == "arrived 1/2 g1");
  CHECK(arrive(table, "b", 1, 3) == "refused 1/3: already arrived");
  arrive(table, "b", 2, 2);
  CHECK(arrive(table, "b", 1, 2) == "ended 1/2 g1");
  CHECK(arrive(table, "b", 2, 2) == "ended 2/2 g1");
  CHECK(!table.find(named("b"))->entering);
}

TEST_CASE("arrivals of the next generation do not complete the last one, nor it them") {
  Table table;
  create(table, "b", of_count(2));
  arrive(table, "b", 1, 2);
  arrive(table, "b", 2, 2);
  CHECK(arrive(table, "b", 1, 3) == "arrived 1/3 g2, opened g2");
  CHECK(arrive(table, "b", 2, 2) == "ended 2/2 g1");
  CHECK(arrive(table, "b", 2, 3) == "arrived 2/3 g2, ended 1/3 g2, ended 2/3 g2");
}

TEST_CASE("nodes are counted once, however many of their sessions arrive") {
  Table table;
  create(table, "b", {2, Unit::node, OnDeath::break_it, false});
  arrive_at(table, "b", 1, 2, 7);
  CHECK(arrive_at(table, "b", 2, 2, 7) == "arrived 2/2 g1");
  CHECK(table.find(named("b"))->entering->missing == 1);
  CHECK(arrive_at(table, "b", 3, 2, 8) ==
        "arrived 3/2 g1, ended 1/2 g1, ended 2/2 g1, ended 3/2 g1");
}

TEST_CASE("a node that has started again is the same node") {
  Table table;
  create(table, "b", {2, Unit::node, OnDeath::wait, false});
  arrive_at(table, "b", 1, 2, 7);
  Effects effects;
  const Processor again{base::NodeId{7}, base::Incarnation{1}};
  table.arrive({by(2, 2), again, named("b"), {}}, effects);
  CHECK(text(effects) == "arrived 2/2 g1");
}

TEST_CASE("the values are handed to all at the release, and to nobody when it was broken") {
  Table table;
  create(table, "b", of_count(2));
  arrive(table, "b", 2, 2, "two");
  CHECK(table.value_bytes() == 3);
  arrive(table, "b", 1, 2, "one");
  CHECK(text(table, 1) == "released 1:one 2:two");
  CHECK(table.value_bytes() == 6);
  arrive(table, "b", 1, 3, "x");
  cancel(table, "b");
  CHECK(text(table, 2) == "cancelled 1");
  CHECK(table.value_bytes() == 6);
}

TEST_CASE("who withdraws does not count, and a generation that nobody is left in is gone") {
  Table table;
  create(table, "b", of_count(2));
  arrive(table, "b", 1, 2);
  CHECK(withdraw(table, "b", 1, 3, 9) == "refused 1/3: unknown arrival");
  CHECK(withdraw(table, "b", 1, 3, 2) == "done 1/3");
  CHECK(!table.find(named("b"))->entering);
  CHECK(table.standing_of(session(1)).empty());
  CHECK(arrive(table, "b", 2, 2) == "arrived 2/2 g2, opened g2");
  CHECK(time_out(table, 1) == "");
  CHECK(arrive(table, "b", 3, 2) == "arrived 3/2 g2, ended 2/2 g2, ended 3/2 g2");
}

TEST_CASE("who withdraws too late is told the outcome") {
  Table table;
  create(table, "b", of_count(2));
  arrive(table, "b", 1, 2);
  arrive(table, "b", 2, 2);
  CHECK(withdraw(table, "b", 1, 3, 2) == "ended 1/3 g1");
  acknowledge(table, 1, 1);
  CHECK(withdraw(table, "b", 1, 4, 2) == "refused 1/4: unknown arrival");
}

TEST_CASE("a time-out breaks the generation that it names and no other") {
  Table table;
  create(table, "b", of_count(2));
  arrive(table, "b", 1, 2);
  CHECK(time_out(table, 2) == "");
  CHECK(time_out(table, 1, Step::leave) == "");
  CHECK(time_out(table, 1) == "ended 1/2 g1");
  CHECK(text(table, 1) == "timed out 1");
  arrive(table, "b", 1, 3);
  CHECK(time_out(table, 1) == "");
  CHECK(arrive(table, "b", 2, 2) == "arrived 2/2 g2, ended 1/3 g2, ended 2/2 g2");
}

TEST_CASE("generations have numbers of their own, whatever their barriers") {
  Table table;
  create(table, "a", of_count(2));
  create(table, "b", of_count(2));
  CHECK(arrive(table, "a", 1, 2) == "arrived 1/2 g1, opened g1");
  CHECK(arrive(table, "b", 1, 3) == "arrived 1/3 g2, opened g2");
  remove(table, "a", true);
  create(table, "a", of_count(2));
  CHECK(arrive(table, "a", 1, 4) == "arrived 1/4 g3, opened g3");
  table.raise_generation_base(50);
  cancel(table, "b");
  CHECK(arrive(table, "b", 1, 5) == "arrived 1/5 g50, opened g50");
}

}  // namespace
}  // namespace barrier
