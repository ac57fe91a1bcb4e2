// What a fence remembers of one lock, the rule by which it lets in, and how both lie in a file;
// docs/wire.md, "The file of a fence". Pure: the file itself is liblock/fence_file.h.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"

namespace liblock {

enum class FenceUse : std::uint8_t { read, write };

// The highest token of any use, and of a write.
struct FenceTokens {
  std::uint64_t any = 0;
  std::uint64_t written = 0;

  bool admits(FenceUse use, std::uint64_t token) const;
  FenceTokens raised(FenceUse use, std::uint64_t token) const;

  friend bool operator==(const FenceTokens&, const FenceTokens&) = default;
};

struct FenceRecord {
  std::uint32_t index = 0;       // Its place in the file.
  std::uint64_t generation = 0;  // Grows by one with each write; 0: it is free.
  FenceTokens tokens;
  std::string lockspace;
  std::string name;

  friend bool operator==(const FenceRecord&, const FenceRecord&) = default;
};

// A place where no lock is yet.
FenceRecord free_fence_record(std::uint32_t index);

constexpr std::size_t kFenceSlotBytes = 512;
constexpr std::size_t kFenceBlockBytes = 4096;
constexpr std::uint32_t kFenceGroupRecords = kFenceBlockBytes / kFenceSlotBytes;
constexpr std::uint32_t kFenceRecordsMax = 65'536;

using FenceSlot = std::array<std::byte, kFenceSlotBytes>;
using FenceHeader = std::array<std::byte, kFenceBlockBytes>;

// The number of records, a multiple of kFenceGroupRecords.
FenceHeader encode_fence_header(std::uint32_t capacity);
std::optional<std::uint32_t> decode_fence_header(base::Bytes header);

FenceSlot encode_fence_record(const FenceRecord& record);
std::optional<FenceRecord> decode_fence_record(base::Bytes slot, std::uint32_t index);

// Each record has two slots, 0 and 1, in blocks of their own.
constexpr std::size_t fence_slot_offset(std::uint32_t index, unsigned slot) {
  return kFenceBlockBytes * (1 + 2 * std::size_t{index / kFenceGroupRecords} + slot) +
         kFenceSlotBytes * (index % kFenceGroupRecords);
}
constexpr std::size_t fence_file_bytes(std::uint32_t capacity) {
  return kFenceBlockBytes * (1 + 2 * std::size_t{capacity / kFenceGroupRecords});
}

// The slot into which a generation is written first. Its predecessor was first in the other one,
// and is durable there.
constexpr unsigned fence_slot_of(std::uint64_t generation) {
  return static_cast<unsigned>(generation % 2);
}

// What two slots say together, and the slot that has to be written again to say the same; none if
// they can not have been written one after the other.
struct FenceChoice {
  FenceRecord record;
  std::optional<unsigned> behind;
  bool damaged = false;  // The slot behind holds no record at all.
};
std::optional<FenceChoice> choose_fence_record(base::Bytes slot0, base::Bytes slot1,
                                               std::uint32_t index);

}  // namespace liblock
