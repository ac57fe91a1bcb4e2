// What a node keeps on disk, and nothing else: the record, as a value, and how it lies in two
// alternating slots of 4 KiB. The file and its fdatasync belong to the record file adapter; the
// rules are 6.11, 7.C and 8.C1 of docs/safety.md.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"
#include "lockd/epoch.h"

namespace lockd {

constexpr std::size_t kRecordSlotBytes = 4096;
constexpr std::size_t kRecordFileBytes = 2 * kRecordSlotBytes;

// Unrefuted attempts that fit into a slot with the largest ring. A node whose record is full stops
// attempting.
constexpr std::size_t kRecordAttemptsMax = 8;

using ClusterId = std::array<std::uint8_t, 16>;
using StoreId = std::array<std::uint8_t, 16>;

// A voter's record proves what it has promised. An amnesiac lost its record: it is a member without
// a vote.
enum class RecordRole : std::uint8_t { voter = 1, amnesiac = 2 };

struct Record {
  ClusterId cluster{};
  StoreId store{};
  base::NodeId node{};
  std::uint64_t generation = 1;  // Grows by one with each write; the higher valid slot counts.
  RecordRole role = RecordRole::voter;

  // Number 0 with an empty ring: none known to have been active, as `lockd init` writes it.
  Epoch last_active;

  // Every attempt not refuted since, that could have been active above last_active. Sorted by
  // epoch.
  std::vector<Attempt> attempts;

  // No fencing token above it was ever told by an epoch that this record stands for.
  std::uint64_t token_ceiling = 0;

  // The longest lease that was ever promised in an epoch this record stands for.
  base::Duration lease_max{0};

  friend bool operator==(const Record&, const Record&) = default;
};

using RecordSlot = std::array<std::byte, kRecordSlotBytes>;

RecordSlot encode_record(const Record& record);
std::optional<Record> decode_record(base::Bytes slot);

// The slot, 0 or 1, into which the record of this generation goes: never the one that holds its
// predecessor.
constexpr std::size_t slot_of(std::uint64_t generation) {
  return generation % 2;
}

// The record in a file of two slots: the valid one of the higher generation. None if neither is
// valid, which makes the node an amnesiac. A short file has fewer slots.
std::optional<Record> choose_record(base::Bytes file);

// What `lockd init` writes: a voter that has promised nothing.
Record initial_record(const ClusterId& cluster, const StoreId& store, base::NodeId node);

}  // namespace lockd
