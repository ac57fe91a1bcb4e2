#include <doctest/doctest.h>

#include "tests/unit/barrier/requests.h"

namespace barrier {
namespace {

Table released() {
  Table table;
  create(table, "b", of_count(2));
  arrive(table, "b", 1, 2, "x");
  arrive(table, "b", 2, 2);
  return table;
}

TEST_CASE("an outcome is kept until each participant has acknowledged it") {
  Table table = released();
  CHECK(acknowledge(table, 1, 1) == Status::ok);
  CHECK(acknowledge(table, 1, 1) == Status::unknown_outcome);
  CHECK(text(table, 1) == "released 1:x 2");
  CHECK(table.owed({Generation{1}, Step::enter}) == std::vector{session(2)});
  CHECK(table.places() == 2);
  CHECK(acknowledge(table, 2, 1) == Status::ok);
  CHECK(table.outcomes() == 0);
  CHECK(table.places() == 0);
  CHECK(table.value_bytes() == 0);
}

TEST_CASE("the end of a session frees what was kept for it alone") {
  Table table = released();
  acknowledge(table, 1, 1);
  CHECK(end(table, 2) == "");
  CHECK(table.outcomes() == 0);
}

TEST_CASE("only who took part is owed the outcome") {
  Table table = released();
  CHECK(acknowledge(table, 3, 1) == Status::unknown_outcome);
  CHECK(acknowledge(table, 1, 1, Step::leave) == Status::unknown_outcome);
  CHECK(acknowledge(table, 1, 2) == Status::unknown_outcome);
  CHECK(table.standing_of(session(3)).empty());
}

TEST_CASE("who comes back finds where it stands") {
  Table table = released();
  arrive(table, "b", 1, 3);
  const std::vector<Standing> expected = {
      {Standing::Kind::owed, {Generation{1}, Step::enter}, RequestId{2}},
      {Standing::Kind::arrived, {Generation{2}, Step::enter}, RequestId{3}}};
  CHECK(table.standing_of(session(1)) == expected);
}

TEST_CASE("an outcome names its configuration") {
  Table table;
  const RingId ring{7, base::NodeId{3}, 42};
  create(table, "b", of_count(2), of_nodes(5, {1, 2}));
  arrive(table, "b", 1, 2);
  table.set_ring(ring);
  arrive(table, "b", 2, 2);
  const Outcome* outcome = table.find_outcome({Generation{1}, Step::enter});
  CHECK(outcome->ring == ring);
  CHECK(outcome->membership == 5);
  CHECK(outcome->name == named("b"));
  CHECK(outcome->members.front().at == node(1));
}

TEST_CASE("outcomes outlive their barrier") {
  Table table = released();
  remove(table, "b");
  CHECK(arrive(table, "b", 1, 2) == "ended 1/2 g1");
  CHECK(arrive(table, "b", 1, 3) == "refused 1/3: unknown barrier");
}

}  // namespace
}  // namespace barrier
