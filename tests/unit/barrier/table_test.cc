#include <doctest/doctest.h>

#include "tests/unit/barrier/requests.h"

namespace barrier {
namespace {

TEST_CASE("a barrier is created once, and again only alike") {
  Table table;
  CHECK(create(table, "b", of_count(2)) == "done 1/1");
  CHECK(create(table, "b", of_count(2)) == "done 1/1");
  CHECK(create(table, "b", of_count(3)) == "refused 1/1: different");
  CHECK(create(table, "b", with_two_steps(of_count(2))) == "refused 1/1: different");
  CHECK(table.barriers() == 1);
}

TEST_CASE("names and configurations that are none are refused") {
  Table table;
  CHECK(create(table, "", of_count(2)) == "refused 1/1: bad name");
  CHECK(create(table, std::string(256, 'x'), of_count(2)) == "refused 1/1: bad name");
  CHECK(create(table, std::string(255, 'x'), of_count(2)) == "done 1/1");
  CHECK(create(table, "b", of_count(2, OnDeath::shrink)) == "refused 1/1: bad config");
  CHECK(create(table, "b", of_count(5000)) == "refused 1/1: bad config");
  CHECK(arrive(table, "b", 1, 2) == "refused 1/2: unknown barrier");
  CHECK(cancel(table, "b") == "refused 9/99: unknown barrier");
  CHECK(remove(table, "b") == "refused 9/98: unknown barrier");
  CHECK(change(table, "b", Attribute::auto_delete, 1) == "refused 9/97: unknown barrier");
}

TEST_CASE("parties and patience change while the barrier is idle") {
  Table table;
  create(table, "b", of_count(2));
  CHECK(change(table, "b", Attribute::parties, 3) == "done 9/97");
  CHECK(change(table, "b", Attribute::parties, 5000) == "refused 9/97: bad config");
  CHECK(change(table, "b", Attribute::patience, 700) == "done 9/97");
  arrive(table, "b", 1, 2);
  CHECK(table.open_steps().front().patience == 700);
  CHECK(change(table, "b", Attribute::parties, 2) == "refused 9/97: in use");
  CHECK(change(table, "b", Attribute::patience, 2) == "refused 9/97: in use");
  arrive(table, "b", 2, 2);
  arrive(table, "b", 3, 2);
  CHECK(text(table, 1) == "released 1 2 3");
  CHECK(change(table, "b", Attribute::parties, 2) == "done 9/97");
  CHECK(change(table, "b", Attribute::parties, 0) == "done 9/97");
  CHECK(create(table, "c", of_members(Unit::node, OnDeath::shrink)) == "done 1/1");
  CHECK(change(table, "c", Attribute::parties, 2) == "refused 9/97: bad config");
}

TEST_CASE("to enable a barrier is to arrive with an empty value") {
  Table table;
  create(table, "b", of_count(2));
  CHECK(change(table, "b", Attribute::enabled, 0) == "refused 9/97: bad attribute");
  CHECK(change(table, "b", Attribute::enabled, 1) == "arrived 9/97 g1, opened g1");
  CHECK(change(table, "b", Attribute::enabled, 1) == "arrived 9/97 g1");
  CHECK(change(table, "b", Attribute::enabled, 2) == "refused 9/97: bad attribute");
}

TEST_CASE("auto-delete takes the barrier away when a generation is over, and keeps the outcome") {
  Table table;
  create(table, "b", of_count(2), {}, true);
  arrive(table, "b", 1, 4);
  CHECK(table.find(named("b")));
  arrive(table, "b", 2, 2);
  CHECK(!table.find(named("b")));
  CHECK(text(table, 1) == "released 1 2");
  CHECK(arrive(table, "b", 1, 4) == "ended 1/4 g1");
}

TEST_CASE("auto-delete takes the barrier away when the last one withdraws or ends") {
  Table table;
  create(table, "b", of_count(3), {}, true);
  arrive(table, "b", 1, 3);
  arrive(table, "b", 2, 3);
  withdraw(table, "b", 1, 4, 3);
  CHECK(table.find(named("b")));
  withdraw(table, "b", 2, 4, 3);
  CHECK(!table.find(named("b")));
}

TEST_CASE("auto-delete is changed at any time") {
  Table table;
  create(table, "b", of_count(2));
  arrive(table, "b", 1, 2);
  CHECK(change(table, "b", Attribute::auto_delete, 2) == "refused 9/97: bad attribute");
  CHECK(change(table, "b", Attribute::auto_delete, 1) == "done 9/97");
  arrive(table, "b", 2, 2);
  CHECK(!table.find(named("b")));
}

TEST_CASE("a barrier in use is deleted by force, which breaks it") {
  Table table;
  create(table, "b", of_count(2));
  arrive(table, "b", 1, 2);
  CHECK(remove(table, "b") == "refused 9/98: in use");
  CHECK(remove(table, "b", true) == "done 9/98, ended 1/2 g1");
  CHECK(text(table, 1) == "deleted 1");
  CHECK(table.barriers() == 0);
  CHECK(cancel(table, "b") == "refused 9/99: unknown barrier");
}

TEST_CASE("there is nothing to cancel at an idle barrier") {
  Table table;
  create(table, "b", of_count(2));
  CHECK(cancel(table, "b") == "refused 9/99: not open");
  arrive(table, "b", 1, 2);
  CHECK(cancel(table, "b") == "done 9/99, ended 1/2 g1");
  CHECK(table.find(named("b")));
}

TEST_CASE("barriers are listed by name, in pieces") {
  Table table;
  for (const char* name : {"c", "a", "b"}) create(table, name, of_count(2));
  std::string seen;
  const auto note = [&](const BarrierView& view) { seen += view.name.barrier; };
  table.visit({}, 2, note);
  CHECK(seen == "ab");
  table.visit({"default", std::string("b") + '\0'}, 9, note);
  CHECK(seen == "abc");
}

}  // namespace
}  // namespace barrier
