#include <doctest/doctest.h>

#include <set>

#include "tests/unit/barrier/requests.h"

namespace barrier {
namespace {

TEST_CASE("each thing that differs between tables differs in their digests") {
  std::set<std::uint64_t> seen;
  const auto is_new = [&](const Table& table) { return seen.insert(table.digest()).second; };
  Table table;
  CHECK(is_new(table));
  create(table, "b", with_two_steps(of_count(2)), of_nodes(1, {1}));
  CHECK(is_new(table));
  members(table, of_nodes(2, {1}));
  CHECK(is_new(table));
  members(table, of_nodes(2, {1, 2}));
  CHECK(is_new(table));
  change(table, "b", Attribute::auto_delete, 1);
  CHECK(is_new(table));
  change(table, "b", Attribute::patience, 9);
  CHECK(is_new(table));
  change(table, "b", Attribute::parties, 1);
  CHECK(is_new(table));
  change(table, "b", Attribute::parties, 2);
  CHECK(!is_new(table));
  Table other = table;
  arrive(table, "b", 1, 2, "x");
  CHECK(is_new(table));
  arrive(other, "b", 1, 2, "y");
  CHECK(is_new(other));
  withdraw(other, "b", 1, 3, 2);
  CHECK(is_new(other));
  arrive(table, "b", 2, 2);
  CHECK(is_new(table));
  acknowledge(table, 1, 1);
  CHECK(is_new(table));
  leave(table, 1, 1, 4);
  CHECK(is_new(table));
  table.raise_generation_base(99);
  CHECK(is_new(table));
}

TEST_CASE("a table that has become empty again differs from a new one by its counter only") {
  Table table;
  create(table, "b", with_two_steps(of_members(Unit::session, OnDeath::wait)),
         of_sessions(1, {1, 2, 3}));
  arrive(table, "b", 1, 2, "x");
  end(table, 3);
  members(table, of_sessions(1, {1, 2, 4}));
  arrive(table, "b", 2, 2);
  arrive(table, "b", 4, 2);
  leave(table, 1, 1, 3);
  end(table, 2);
  end(table, 4);
  end(table, 1);
  remove(table, "b");
  Table fresh;
  fresh.raise_generation_base(table.next_generation());
  CHECK(table.digest() == fresh.digest());
}

}  // namespace
}  // namespace barrier
