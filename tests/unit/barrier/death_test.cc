#include <doctest/doctest.h>

#include "tests/unit/barrier/requests.h"

namespace barrier {
namespace {

TEST_CASE("where deaths break, all others are told, and who it was") {
  Table table;
  create(table, "b", of_count(3));
  arrive(table, "b", 1, 2, "v");
  arrive(table, "b", 2, 2);
  CHECK(end(table, 2) == "ended 1/2 g1");
  CHECK(text(table, 1) == "participant died 1 lost 2");
  CHECK(table.find_outcome({Generation{1}, Step::enter})->lost.front().at == node(2));
  CHECK(table.value_bytes() == 0);
  CHECK(arrive(table, "b", 1, 3) == "arrived 1/3 g2, opened g2");
}

TEST_CASE("the death of the only participant leaves nobody to be told") {
  Table table;
  create(table, "b", of_count(2));
  arrive(table, "b", 1, 2);
  CHECK(end(table, 1) == "");
  CHECK(table.outcomes() == 0);
  CHECK(table.places() == 0);
  CHECK(arrive(table, "b", 2, 2) == "arrived 2/2 g2, opened g2");
}

TEST_CASE("the death of who has not arrived at a fixed barrier is none of its business") {
  Table table;
  create(table, "b", of_count(2), of_sessions(1, {1, 2}));
  arrive(table, "b", 1, 2);
  CHECK(end(table, 2) == "");
  CHECK(table.find(named("b"))->entering);
}

TEST_CASE("a fixed barrier that waits is completed by a replacement, and names the dead") {
  Table table;
  create(table, "b", of_count(3, OnDeath::wait));
  arrive(table, "b", 3, 2);
  arrive(table, "b", 4, 2);
  CHECK(end(table, 3) == "");
  CHECK(table.find(named("b"))->entering->missing == 2);
  arrive(table, "b", 5, 2);
  CHECK(arrive(table, "b", 6, 2) == "arrived 6/2 g1, ended 4/2 g1, ended 5/2 g1, ended 6/2 g1");
  CHECK(text(table, 1) == "released 4 5 6 lost 3");
}

TEST_CASE("a dynamic barrier that shrinks is released when only the dead were missing") {
  Table table;
  create(table, "b", of_members(Unit::session, OnDeath::shrink), of_sessions(1, {1, 2, 3}));
  arrive(table, "b", 1, 2);
  arrive(table, "b", 2, 2);
  CHECK(end(table, 3) == "ended 1/2 g1, ended 2/2 g1");
  CHECK(text(table, 1) == "released 1 2 lost 3");
}

TEST_CASE("who had arrived and died is no participant of a barrier that shrinks") {
  Table table;
  create(table, "b", of_members(Unit::session, OnDeath::shrink), of_sessions(1, {1, 2, 3}));
  arrive(table, "b", 1, 2);
  arrive(table, "b", 3, 2);
  CHECK(end(table, 3) == "");
  CHECK(arrive(table, "b", 2, 2) == "arrived 2/2 g1, ended 1/2 g1, ended 2/2 g1");
  CHECK(text(table, 1) == "released 1 2 lost 3");
}

TEST_CASE("a member that dies before it arrives breaks a dynamic barrier") {
  Table table;
  create(table, "b", of_members(Unit::session, OnDeath::break_it), of_sessions(1, {1, 2}));
  arrive(table, "b", 1, 2);
  CHECK(end(table, 2) == "ended 1/2 g1");
  CHECK(text(table, 1) == "participant died 1 lost 2");
}

TEST_CASE("a failed node breaks the barriers of nodes, with all that failed together") {
  Table table;
  create(table, "b", of_members(Unit::node, OnDeath::break_it), of_nodes(1, {1, 2, 3, 4}));
  arrive(table, "b", 1, 2);
  arrive(table, "b", 2, 2);
  CHECK(members(table, of_nodes(2, {1, 2}), {3, 4}) == "ended 1/2 g1, ended 2/2 g1");
  CHECK(text(table, 1) == "participant died 1 2 lost node 3 lost node 4");
  CHECK(table.find_outcome({Generation{1}, Step::enter})->membership == 2);
}

TEST_CASE("a failed node breaks a fixed barrier of nodes only if somebody arrived there") {
  Table table;
  create(table, "b", {3, Unit::node, OnDeath::break_it, false}, of_nodes(1, {1, 2, 3}));
  arrive(table, "b", 1, 2);
  arrive(table, "b", 2, 2);
  CHECK(members(table, of_nodes(2, {1, 2}), {3}) == "");
  CHECK(members(table, of_nodes(3, {1}), {2}) == "ended 1/2 g1, ended 2/2 g1");
  CHECK(text(table, 1) == "participant died 1 2 lost node 2");
}

TEST_CASE("a failed node does nothing to barriers of sessions: they may come back elsewhere") {
  Table table;
  create(table, "b", of_count(2), of_nodes(1, {1, 2}));
  arrive(table, "b", 1, 2);
  CHECK(members(table, of_nodes(2, {2}), {1}) == "");
  CHECK(arrive(table, "b", 2, 2) == "arrived 2/2 g1, ended 1/2 g1, ended 2/2 g1");
}

TEST_CASE("a dynamic barrier that shrinks goes on without the failed node") {
  Table table;
  create(table, "b", of_members(Unit::node, OnDeath::shrink), of_nodes(1, {1, 2, 3}));
  arrive(table, "b", 1, 2);
  arrive(table, "b", 2, 2);
  CHECK(members(table, of_nodes(2, {1, 2}), {3}) == "ended 1/2 g1, ended 2/2 g1");
  CHECK(text(table, 1) == "released 1 2 lost node 3");
}

TEST_CASE("a session whose process ended has its node waited for again") {
  Table table;
  create(table, "b", of_members(Unit::node, OnDeath::shrink), of_nodes(1, {1, 2}));
  arrive_at(table, "b", 11, 2, 1);
  arrive_at(table, "b", 12, 2, 1);
  CHECK(end(table, 11) == "");
  CHECK(end(table, 12) == "");
  CHECK(arrive_at(table, "b", 2, 2, 2) == "arrived 2/2 g2, opened g2");
  CHECK(arrive_at(table, "b", 13, 2, 1) == "arrived 13/2 g2, ended 2/2 g2, ended 13/2 g2");
}

TEST_CASE("a dynamic barrier waits for the replacement to join and to arrive") {
  Table table;
  create(table, "b", of_members(Unit::node, OnDeath::wait), of_nodes(1, {1, 2}));
  arrive(table, "b", 1, 2);
  CHECK(members(table, of_nodes(2, {1}), {2}) == "");
  CHECK(table.find(named("b"))->entering->replacements == 1);
  CHECK(table.find(named("b"))->entering->missing == 1);
  CHECK(members(table, of_nodes(3, {1, 3})) == "");
  CHECK(table.find(named("b"))->entering->replacements == 0);
  CHECK(arrive(table, "b", 3, 2) == "arrived 3/2 g1, ended 1/2 g1, ended 3/2 g1");
  CHECK(text(table, 1) == "released 1 3 lost node 2");
}

TEST_CASE("who fails and who joins in one change replace each other") {
  Table table;
  create(table, "b", of_members(Unit::node, OnDeath::wait), of_nodes(1, {1, 2, 3}));
  arrive(table, "b", 1, 2);
  CHECK(members(table, of_nodes(2, {1, 4}), {2, 3}) == "");
  CHECK(table.find(named("b"))->entering->replacements == 1);
}

TEST_CASE("sessions are replaced by sessions") {
  Table table;
  create(table, "b", of_members(Unit::session, OnDeath::wait), of_sessions(1, {1, 2}));
  arrive(table, "b", 1, 2);
  CHECK(end(table, 2) == "");
  CHECK(members(table, of_sessions(1, {1, 5})) == "");
  CHECK(arrive(table, "b", 5, 2) == "arrived 5/2 g1, ended 1/2 g1, ended 5/2 g1");
}

TEST_CASE("the dead are named up to a bound, and counted beyond it") {
  Table table;
  create(table, "b", of_count(3, OnDeath::wait));
  arrive(table, "b", 1, 2);
  for (std::uint64_t id = 10; id < 10 + kMaxLost + 5; ++id) {
    arrive(table, "b", id, 2);
    end(table, id);
  }
  arrive(table, "b", 2, 2);
  arrive(table, "b", 3, 2);
  const Outcome* outcome = table.find_outcome({Generation{1}, Step::enter});
  CHECK(outcome->lost.size() == kMaxLost);
  CHECK(outcome->losses == kMaxLost + 5);
}

}  // namespace
}  // namespace barrier
