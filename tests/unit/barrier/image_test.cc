#include <doctest/doctest.h>

#include "base/random.h"
#include "tests/unit/barrier/requests.h"

namespace barrier {
namespace {

// Two lockspaces; a generation inside with another behind it, one that waits for replacements,
// outcomes of both steps.
Table example() {
  Table table;
  create(table, "two", with_two_steps(of_count(2, OnDeath::wait)), of_nodes(3, {1, 2}));
  arrive(table, "two", 1, 2, "one");
  arrive(table, "two", 2, 2);
  leave(table, 1, 1, 3, "out");
  arrive(table, "two", 3, 2, "late");
  acknowledge(table, 1, 1);
  create(table, "nodes", of_members(Unit::node, OnDeath::wait));
  arrive(table, "nodes", 1, 4);
  members(table, of_nodes(4, {1}), {2});
  Effects effects;
  const Config config = of_members(Unit::session, OnDeath::break_it);
  table.create({by(4, 1), {"other", "b"}, config, true, 7, of_sessions(1, {4, 5})}, effects);
  create(table, "broken", of_count(3));
  arrive(table, "broken", 4, 2);
  arrive(table, "broken", 6, 2);
  end(table, 6);
  return table;
}

LoadError error_of(const base::Buffer& bytes, const Limits& limits = {}) {
  const auto loaded = Table::deserialize(bytes, limits);
  REQUIRE(!loaded);
  return loaded.error();
}

TEST_CASE("a table that was loaded is the same and goes on alike") {
  Table original = example();
  auto loaded = Table::deserialize(image_of(original));
  REQUIRE(loaded);
  CHECK(loaded->digest() == original.digest());
  CHECK(image_of(*loaded) == image_of(original));
  CHECK(loaded->places() == original.places());
  CHECK(loaded->value_bytes() == original.value_bytes());
  for (std::uint64_t id = 1; id <= 6; ++id) {
    CHECK(loaded->standing_of(session(id)) == original.standing_of(session(id)));
  }
  for (Table* table : {&original, &*loaded}) {
    CHECK(leave(*table, 1, 2, 3) == "arrived 2/3 g1 leave, ended 1/3 g1 leave, ended 2/3 g1 leave");
    CHECK(members(*table, of_nodes(5, {1, 4})) == "");
    CHECK(arrive(*table, "nodes", 4, 9) == "arrived 4/9 g3, ended 1/4 g3, ended 4/9 g3");
    end(*table, 1);
  }
  CHECK(loaded->digest() == original.digest());
}

TEST_CASE("an acknowledged outcome is not owed again after a load") {
  const Table original = example();
  const auto loaded = Table::deserialize(image_of(original));
  REQUIRE(loaded);
  CHECK(loaded->owed({Generation{1}, Step::enter}) == std::vector{session(2)});
}

TEST_CASE("every truncation, and any byte more, is refused") {
  base::Buffer image = image_of(example());
  for (std::size_t size = 0; size < image.size(); ++size) {
    CHECK(!Table::deserialize(Bytes(image).first(size)));
  }
  image.push_back(std::byte{0});
  CHECK(error_of(image) == LoadError::malformed);
}

TEST_CASE("corrupt bytes are refused or make a sound table, never a crash") {
  const base::Buffer good = image_of(example());
  base::Random random(5);
  int refused = 0;
  int loaded = 0;
  for (int i = 0; i < 20000; ++i) {
    base::Buffer image = good;
    for (std::uint64_t n = 1 + random.below(3); n > 0; --n) {
      image[random.below(image.size())] = static_cast<std::byte>(random.u64());
    }
    auto table = Table::deserialize(image);
    if (!table) {
      ++refused;
      continue;
    }
    ++loaded;
    CHECK(image_of(*table) == image);
    for (const char* name : {"two", "nodes", "broken"}) cancel(*table, name);
    for (std::uint64_t id = 1; id <= 6; ++id) end(*table, id);
    const auto again = Table::deserialize(image_of(*table));
    REQUIRE(again);
    CHECK(again->digest() == table->digest());
  }
  CHECK(refused > 1000);
  CHECK(loaded > 1000);
}

TEST_CASE("an image beyond the limits is refused") {
  const base::Buffer image = image_of(example());
  Limits limits;
  limits.barriers = 3;
  CHECK(error_of(image, limits) == LoadError::over_limit);
  limits = {};
  limits.lockspaces = 1;
  CHECK(error_of(image, limits) == LoadError::over_limit);
  limits = {};
  limits.barriers_per_lockspace = 2;
  CHECK(error_of(image, limits) == LoadError::over_limit);
  limits = {};
  limits.places = 3;
  CHECK(error_of(image, limits) == LoadError::over_limit);
  limits = {};
  limits.value_bytes = 5;
  CHECK(error_of(image, limits) == LoadError::over_limit);
  limits = {};
  limits.outcomes_per_session = 1;
  CHECK(error_of(image, limits) == LoadError::over_limit);
}

TEST_CASE("a state that no table can be in is refused") {
  Table table;
  create(table, "b", of_count(2));
  arrive(table, "b", 1, 2);
  base::Buffer image = image_of(table);
  REQUIRE(Table::deserialize(image));
  // Version, counter, three counts, the lockspace with no members, the barrier's names: then its
  // parties. One of them would have been released.
  const std::size_t parties = 1 + 8 + 3 * 4 + (2 + 7 + 8 + 4 + 4) + (2 + 7 + 2 + 1);
  REQUIRE(image[parties] == std::byte{2});
  image[parties] = std::byte{1};
  CHECK(error_of(image) == LoadError::contradictory);
  image[parties] = std::byte{2};
  image[1] = std::byte{1};  // A generation that was not drawn yet.
  CHECK(error_of(image) == LoadError::contradictory);
}

}  // namespace
}  // namespace barrier
