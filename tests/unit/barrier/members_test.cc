#include <doctest/doctest.h>

#include "tests/unit/barrier/requests.h"

namespace barrier {
namespace {

TEST_CASE("a dynamic barrier is released when each member has arrived") {
  Table table;
  create(table, "b", of_members(Unit::session, OnDeath::break_it), of_sessions(1, {1, 2}));
  arrive(table, "b", 2, 2);
  CHECK(table.awaited(named("b")).sessions == std::vector{session(1)});
  CHECK(arrive(table, "b", 1, 2) == "arrived 1/2 g1, ended 1/2 g1, ended 2/2 g1");
}

TEST_CASE("who is no member can not arrive at a dynamic barrier") {
  Table table;
  create(table, "s", of_members(Unit::session, OnDeath::break_it), of_sessions(1, {1, 2}));
  create(table, "n", of_members(Unit::node, OnDeath::break_it));
  CHECK(arrive(table, "s", 3, 2) == "refused 3/2: not member");
  CHECK(arrive(table, "n", 1, 2) == "refused 1/2: not member");
  members(table, of_nodes(2, {1, 2}));
  CHECK(arrive(table, "n", 1, 2) == "arrived 1/2 g1, opened g1");
  CHECK(arrive(table, "s", 1, 3) == "refused 1/3: not member");
}

TEST_CASE("who joins is waited for, and who leaves is not any more") {
  Table table;
  create(table, "b", of_members(Unit::node, OnDeath::break_it), of_nodes(1, {1, 2}));
  arrive(table, "b", 1, 2);
  members(table, of_nodes(2, {1, 2, 3}));
  CHECK(arrive(table, "b", 2, 2) == "arrived 2/2 g1");
  CHECK(table.awaited(named("b")).nodes == std::vector{node(3)});
  CHECK(members(table, of_nodes(3, {1, 2})) == "ended 1/2 g1, ended 2/2 g1");
  CHECK(text(table, 1) == "released 1 2");
}

TEST_CASE("who has arrived and leaves the lockspace is a participant still") {
  Table table;
  create(table, "b", of_members(Unit::node, OnDeath::wait), of_nodes(1, {1, 2}));
  arrive(table, "b", 1, 2);
  CHECK(members(table, of_nodes(2, {2})) == "");
  CHECK(arrive(table, "b", 2, 2) == "arrived 2/2 g1, ended 1/2 g1, ended 2/2 g1");
}

TEST_CASE("when nobody is left to be waited for, the participants are released") {
  Table table;
  create(table, "b", of_members(Unit::node, OnDeath::break_it), of_nodes(1, {1, 2}));
  arrive(table, "b", 1, 2);
  CHECK(members(table, of_nodes(2, {})) == "ended 1/2 g1");
  CHECK(text(table, 1) == "released 1");
}

TEST_CASE("a session that has ended is no member of any lockspace") {
  Table table;
  create(table, "b", of_members(Unit::session, OnDeath::break_it), of_sessions(1, {1, 2, 3}));
  CHECK(end(table, 3) == "");
  arrive(table, "b", 1, 2);
  CHECK(arrive(table, "b", 2, 2) == "arrived 2/2 g1, ended 1/2 g1, ended 2/2 g1");
}

TEST_CASE("members are known while the lockspace has barriers, and those of the first creation") {
  Table table;
  CHECK(!table.watches("default"));
  create(table, "a", of_members(Unit::session, OnDeath::break_it), of_sessions(1, {1, 2}));
  create(table, "b", of_members(Unit::session, OnDeath::break_it), of_sessions(1, {7}));
  CHECK(table.awaited(named("b")).sessions.size() == 2);
  remove(table, "a");
  CHECK(table.watches("default"));
  remove(table, "b");
  CHECK(!table.watches("default"));
  CHECK(members(table, of_sessions(2, {1})) == "");
  CHECK(table.digest() == Table().digest());
}

TEST_CASE("a change concerns the barriers of its lockspace only") {
  Table table;
  Effects effects;
  const Config config = of_members(Unit::node, OnDeath::break_it);
  table.create({by(1, 1), {"other", "b"}, config, false, 0, of_nodes(1, {1, 2})}, effects);
  create(table, "b", config, of_nodes(1, {1, 2}));
  effects.clear();
  table.arrive({by(1, 2), node(1), {"other", "b"}, {}}, effects);
  CHECK(members(table, of_nodes(2, {1}), {2}) == "");
  CHECK(table.find({"other", "b"})->entering);
}

}  // namespace
}  // namespace barrier
