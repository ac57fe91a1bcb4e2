#include <doctest/doctest.h>

#include "tests/unit/barrier/requests.h"

namespace barrier {
namespace {

Table with_two_inside(OnDeath on_death = OnDeath::break_it, bool auto_delete = false) {
  Table table;
  create(table, "b", with_two_steps(of_count(2, on_death)), {}, auto_delete);
  arrive(table, "b", 1, 2, "in");
  arrive(table, "b", 2, 2);
  return table;
}

TEST_CASE("those who entered leave together") {
  Table table = with_two_inside();
  CHECK(text(table, 1) == "released 1:in 2");
  CHECK(leave(table, 1, 1, 3, "out") == "arrived 1/3 g1 leave, opened g1 leave");
  CHECK(leave(table, 1, 1, 3, "out") == "arrived 1/3 g1 leave");
  CHECK(leave(table, 1, 1, 4) == "refused 1/4: already arrived");
  CHECK(leave(table, 1, 2, 3) == "arrived 2/3 g1 leave, ended 1/3 g1 leave, ended 2/3 g1 leave");
  CHECK(text(table, 1, Step::leave) == "released 1:out 2");
  CHECK(leave(table, 1, 1, 3) == "ended 1/3 g1 leave");
  CHECK(acknowledge(table, 1, 1, Step::leave) == Status::ok);
  CHECK(leave(table, 1, 1, 3) == "refused 1/3: unknown generation");
}

TEST_CASE("a barrier of one step has no inside") {
  Table table;
  create(table, "b", of_count(1));
  CHECK(arrive(table, "b", 1, 2) == "arrived 1/2 g1, opened g1, ended 1/2 g1");
  CHECK(leave(table, 1, 1, 3) == "refused 1/3: unknown generation");
}

TEST_CASE("who comes late waits until nobody is inside, and holds up nobody who leaves") {
  Table table = with_two_inside();
  CHECK(arrive(table, "b", 3, 2) == "arrived 3/2 g2, opened g2");
  CHECK(arrive(table, "b", 4, 2) == "arrived 4/2 g2");
  CHECK(arrive(table, "b", 5, 2) == "refused 5/2: barrier full");
  CHECK(leave(table, 2, 3, 3) == "refused 3/3: unknown generation");
  leave(table, 1, 1, 3);
  CHECK(leave(table, 1, 2, 3) ==
        "arrived 2/3 g1 leave, ended 1/3 g1 leave, ended 2/3 g1 leave, "
        "ended 3/2 g2, ended 4/2 g2");
}

TEST_CASE("who is inside can not arrive; who has left can") {
  Table table = with_two_inside();
  acknowledge(table, 1, 1);
  CHECK(arrive(table, "b", 1, 3) == "refused 1/3: inside");
  leave(table, 1, 1, 4);
  CHECK(arrive(table, "b", 1, 5) == "arrived 1/5 g2, opened g2");
  CHECK(table.standing_of(session(1)).size() == 2);
}

TEST_CASE("a death inside breaks the leaving, and is told to who has not asked as well") {
  Table table = with_two_inside();
  CHECK(end(table, 2) == "ended 1/0 g1 leave");
  CHECK(text(table, 1, Step::leave) == "participant died 1 lost 2");
  CHECK(text(table, 1) == "released 1:in 2");
  CHECK(leave(table, 1, 1, 3) == "ended 1/3 g1 leave");
}

TEST_CASE("where deaths do not break, the living leave without the dead") {
  Table table = with_two_inside(OnDeath::wait);
  leave(table, 1, 1, 3);
  CHECK(end(table, 2) == "ended 1/3 g1 leave");
  CHECK(text(table, 1, Step::leave) == "released 1 lost 2");
}

TEST_CASE("the death of who has left harms nobody") {
  Table table = with_two_inside();
  leave(table, 1, 1, 3);
  CHECK(end(table, 1) == "");
  CHECK(leave(table, 1, 2, 3) == "arrived 2/3 g1 leave, opened g1 leave, ended 2/3 g1 leave");
  CHECK(text(table, 1, Step::leave) == "released 2");
}

TEST_CASE("when all inside have died the next generation has its turn") {
  Table table = with_two_inside(OnDeath::wait);
  arrive(table, "b", 3, 2);
  arrive(table, "b", 4, 2);
  CHECK(end(table, 1) == "");
  CHECK(end(table, 2) == "ended 3/2 g2, ended 4/2 g2");
  CHECK(text(table, 1, Step::leave) == "none");
}

TEST_CASE("a failed node breaks the leaving of a barrier of nodes, if somebody there is inside") {
  Table table;
  create(table, "b", with_two_steps(of_members(Unit::node, OnDeath::break_it)),
         of_nodes(1, {1, 2, 3}));
  for (std::uint64_t id = 1; id <= 3; ++id) arrive(table, "b", id, 2);
  leave(table, 1, 3, 3);
  CHECK(members(table, of_nodes(2, {1, 2}), {3}) == "");
  CHECK(members(table, of_nodes(3, {1}), {2}) ==
        "ended 1/0 g1 leave, ended 2/0 g1 leave, ended 3/3 g1 leave");
  CHECK(text(table, 1, Step::leave) == "participant died 1 2 3 lost node 2");
}

TEST_CASE("the time-out of the leaving runs from the first who leaves") {
  Table table = with_two_inside();
  CHECK(time_out(table, 1) == "");
  CHECK(time_out(table, 1, Step::leave) == "");
  CHECK(table.open_steps().empty());
  leave(table, 1, 1, 3);
  CHECK(table.open_steps().size() == 1);
  CHECK(time_out(table, 1) == "");
  CHECK(time_out(table, 1, Step::leave) == "ended 1/3 g1 leave, ended 2/0 g1 leave");
  CHECK(text(table, 1, Step::leave) == "timed out 1 2");
}

TEST_CASE("a cancel breaks what is inside and what is entering") {
  Table table = with_two_inside();
  arrive(table, "b", 3, 2);
  arrive(table, "b", 4, 2);
  CHECK(cancel(table, "b") ==
        "done 9/99, ended 1/0 g1 leave, ended 2/0 g1 leave, ended 3/2 g2, ended 4/2 g2");
  CHECK(text(table, 2) == "cancelled 3 4");
}

TEST_CASE("auto-delete waits for the last step, and for those who wait behind it") {
  Table table = with_two_inside(OnDeath::break_it, true);
  CHECK(table.find(named("b")));
  arrive(table, "b", 3, 2);
  leave(table, 1, 1, 3);
  leave(table, 1, 2, 3);
  CHECK(table.find(named("b")));
  cancel(table, "b");
  CHECK(!table.find(named("b")));
  CHECK(text(table, 2) == "cancelled 3");
}

}  // namespace
}  // namespace barrier
