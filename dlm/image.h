// What writer and loader of a table's image have in common; the bytes are those of docs/wire.md,
// "Image of the locks".
#pragma once

#include <cstddef>
#include <cstdint>

#include "dlm/store.h"

namespace dlm::image {

inline constexpr std::uint8_t kVersion = 3;

// Of a resource: what is said of its value block.
inline constexpr std::uint8_t kHasValue = 1;
inline constexpr std::uint8_t kInvalid = 2;

// Of one that waits.
inline constexpr std::uint8_t kDemoted = 1;
inline constexpr std::uint8_t kWrites = 2;

// Stands where the next lock of a list would.
inline constexpr std::uint32_t kListEnd = 0xffffffffu;

// No record is longer: it can be read where so many bytes are there.
inline constexpr std::size_t kRecordBytesMax = 512;

// What the counter of tokens stood at when it began to wait.
inline std::uint64_t drawn(const WaitRecord& wait) {
  return static_cast<std::uint64_t>(wait.place < 0 ? -wait.place : wait.place);
}

}  // namespace dlm::image
