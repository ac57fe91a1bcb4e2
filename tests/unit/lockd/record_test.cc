#include "lockd/record.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>

#include "evs/config.h"

namespace lockd {
namespace {

Attempt attempt(std::uint64_t number, std::size_t members) {
  Attempt attempt;
  attempt.epoch = {number, {number * 10, base::NodeId{3}, number * 77}};
  for (std::size_t i = 1; i <= members; ++i) {
    attempt.members.push_back(
        {base::NodeId{static_cast<std::uint32_t>(i)}, base::Incarnation{i * number}});
  }
  return attempt;
}

Record some_record(std::uint64_t generation) {
  Record record = initial_record({1, 2, 3}, {4, 5, 6}, base::NodeId{2});
  record.generation = generation;
  record.last_active = attempt(5, 1).epoch;
  record.attempts = {attempt(6, 3), attempt(7, 5)};
  record.token_ceiling = 0x123456789abc;
  record.lease_max = std::chrono::seconds(2);
  return record;
}

base::Buffer file_of(const Record& record) {
  base::Buffer file(kRecordFileBytes);
  const RecordSlot slot = encode_record(record);
  std::copy(
      slot.begin(), slot.end(),
      file.begin() + static_cast<std::ptrdiff_t>(slot_of(record.generation) * kRecordSlotBytes));
  return file;
}

TEST_CASE("a record comes back from its slot as it was") {
  const Record record = some_record(9);
  CHECK(decode_record(encode_record(record)) == record);
}

TEST_CASE("a record with the most attempts of the largest rings fits into its slot") {
  Record record = some_record(9);
  record.attempts.clear();
  for (std::uint64_t i = 1; i <= kRecordAttemptsMax; ++i) {
    record.attempts.push_back(attempt(i, evs::kMembersMax));
  }
  CHECK(decode_record(encode_record(record)) == record);
}

TEST_CASE("a slot with any bit turned is no record") {
  const RecordSlot slot = encode_record(some_record(9));
  for (std::size_t bit = 0; bit < slot.size() * 8; bit += 5) {
    RecordSlot bad = slot;
    bad[bit / 8] ^= std::byte{1} << (bit % 8);
    CHECK_FALSE(decode_record(bad).has_value());
  }
}

TEST_CASE("a write that is cut at any byte leaves the old record or the new one") {
  const Record old_record = some_record(9);
  const Record new_record = some_record(10);
  base::Buffer file = file_of(old_record);
  const RecordSlot slot = encode_record(new_record);
  const std::size_t at = slot_of(10) * kRecordSlotBytes;
  // What lay in the slot before: the predecessor's predecessor.
  const RecordSlot older = encode_record(some_record(8));
  std::copy(older.begin(), older.end(), file.begin() + static_cast<std::ptrdiff_t>(at));
  for (std::size_t i = 0; i < slot.size(); ++i) {
    const std::optional<Record> found = choose_record(file);
    REQUIRE(found.has_value());
    CHECK((*found == old_record || *found == new_record));
    file[at + i] = slot[i];
  }
  CHECK(choose_record(file) == new_record);
}

TEST_CASE("the record of the higher generation counts, in whichever slot it lies") {
  for (const std::uint64_t generation : {7u, 8u}) {
    base::Buffer file = file_of(some_record(generation));
    const RecordSlot next = encode_record(some_record(generation + 1));
    std::copy(
        next.begin(), next.end(),
        file.begin() + static_cast<std::ptrdiff_t>(slot_of(generation + 1) * kRecordSlotBytes));
    CHECK(choose_record(file) == some_record(generation + 1));
  }
}

TEST_CASE("a file without a valid slot, empty, short or of zeros, has no record") {
  CHECK_FALSE(choose_record({}).has_value());
  CHECK_FALSE(choose_record(base::Buffer(kRecordFileBytes)).has_value());
  CHECK_FALSE(choose_record(base::Buffer(17)).has_value());
  base::Buffer file = file_of(some_record(8));
  CHECK(choose_record(file).has_value());
  file.resize(kRecordSlotBytes - 1);
  CHECK_FALSE(choose_record(file).has_value());
}

TEST_CASE("a record longer than its file is read from what is there") {
  base::Buffer file = file_of(some_record(8));
  file.resize(kRecordSlotBytes + 5);
  CHECK(choose_record(file) == some_record(8));
}

}  // namespace
}  // namespace lockd
