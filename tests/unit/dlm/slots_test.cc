#include "dlm/slots.h"

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <vector>

#include "base/random.h"
#include "dlm/hash.h"

namespace dlm {
namespace {

struct Record {
  std::uint64_t key = 0;
  Slot chain = kNoSlot;

  std::uint64_t hash() const { return mix(key); }
};

Slot find(const HashedSlots<Record>& records, std::uint64_t key) {
  return records.find(mix(key), [&](const Record& record) { return record.key == key; });
}

std::vector<std::uint64_t> keys_in_order(const HashedSlots<Record>& records, std::size_t page) {
  std::vector<std::uint64_t> keys;
  std::uint64_t position = 0;
  do {
    position = records.visit(position, page, [&](Slot slot) { keys.push_back(records[slot].key); });
  } while (position != 0);
  return keys;
}

}  // namespace

TEST_CASE("records are found through growth and shrinking, and never move") {
  base::Random random(2);
  HashedSlots<Record> records;
  std::map<std::uint64_t, Slot> expected;
  for (int phase = 0; phase < 6; ++phase) {
    const bool growing = phase % 2 == 0;
    for (int i = 0; i < 20000; ++i) {
      const std::uint64_t key = random.below(30000);
      const auto at = expected.find(key);
      if (at == expected.end() && random.chance(growing ? 9 : 1, 10)) {
        expected[key] = records.add({key});
      } else if (at != expected.end() && !random.chance(growing ? 9 : 1, 10)) {
        records.remove(at->second);
        expected.erase(at);
      }
    }
    CHECK(records.size() == expected.size());
    for (std::uint64_t key = 0; key < 30000; ++key) {
      const auto at = expected.find(key);
      CHECK(find(records, key) == (at == expected.end() ? kNoSlot : at->second));
    }
  }
}

TEST_CASE("the order of a visit depends on what is there, not on how it came there") {
  base::Random random(3);
  HashedSlots<Record> direct;
  HashedSlots<Record> with_history;
  for (std::uint64_t key = 0; key < 3000; ++key) with_history.add({1000000 + key});
  for (std::uint64_t key = 0; key < 700; ++key) {
    direct.add({key});
    with_history.add({699 - key});
  }
  for (std::uint64_t key = 0; key < 3000; ++key) {
    with_history.remove(find(with_history, 1000000 + key));
  }
  const auto order = keys_in_order(direct, 1000000);
  CHECK(std::set<std::uint64_t>(order.begin(), order.end()).size() == 700);
  CHECK(order.size() == 700);
  CHECK(keys_in_order(with_history, 1000000) == order);
  for (const std::size_t page : {1u, 2u, 7u, 64u}) CHECK(keys_in_order(direct, page) == order);
}

TEST_CASE(
    "a visit in pieces shows what was there throughout exactly once, whatever comes and goes") {
  base::Random random(4);
  HashedSlots<Record> records;
  for (std::uint64_t key = 0; key < 500; ++key) records.add({key});
  std::map<std::uint64_t, int> seen;
  std::uint64_t position = 0;
  std::uint64_t passing = 1000;
  do {
    position = records.visit(position, 3, [&](Slot slot) { ++seen[records[slot].key]; });
    for (int i = 0; i < 12; ++i) records.add({passing++});
    for (int i = 0; i < 9; ++i) {
      const Slot slot = find(records, 1000 + random.below(passing - 1000));
      if (slot != kNoSlot) records.remove(slot);
    }
  } while (position != 0);
  for (std::uint64_t key = 0; key < 500; ++key) CHECK(seen[key] == 1);
}

}  // namespace dlm
