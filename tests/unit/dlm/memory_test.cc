#include <doctest/doctest.h>

#include <string>

#include "dlm/table.h"
#include "tests/unit/dlm/requests.h"

namespace dlm {
namespace {

std::string name_of(std::uint64_t i) {
  return "volume/block-" + std::to_string(i);
}

}  // namespace

TEST_CASE("a million locks, each on a resource of its own, take well under 300 bytes each") {
  constexpr std::uint64_t kLocks = 1'000'000;
  constexpr std::uint64_t kPerSession = 50'000;
  Table table;
  Effects effects;
  for (std::uint64_t i = 0; i < kLocks; ++i) {
    table.acquire(want(lock(1 + i / kPerSession, 1 + i), name_of(i), Mode::ex), effects);
    effects.clear();
  }
  REQUIRE(table.locks() == kLocks);
  REQUIRE(table.resources() == kLocks);
  const std::size_t per_lock = table.memory() / kLocks;
  MESSAGE("bytes per lock, with a name of 19 bytes: ", per_lock);
  CHECK(per_lock < 200);

  const std::size_t full = table.memory();
  for (std::uint64_t session = 1; session <= kLocks / kPerSession; ++session) {
    while (!table.release_some(SessionId{session}, Ending::node_gone, 1000, effects))
      effects.clear();
    effects.clear();
  }
  CHECK(table.locks() == 0);
  CHECK(table.lockspaces() == 0);
  for (std::uint64_t i = 0; i < kLocks / 10; ++i) {
    table.acquire(want(lock(100, 1 + i), name_of(i), Mode::ex), effects);
    effects.clear();
  }
  CHECK(table.memory() == full);
}

TEST_CASE("a hundred thousand requests on one resource take less than 150 bytes each") {
  Table table;
  const std::size_t empty = table.memory();
  CHECK(empty < 32 * 1024);
  Effects effects;
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    table.acquire(want(lock(1 + i / 1000, i), "one", i == 0 ? Mode::ex : Mode::pr), effects);
  }
  CHECK(table.find(in_default("one"))->waiters == 99'999);
  CHECK((table.memory() - empty) / 100'000 < 150);
  effects.clear();
  table.release({lock(1, 0), Token{1}, 0, std::nullopt}, effects);
  CHECK(effects.size() == 100'000);
}

}  // namespace dlm
