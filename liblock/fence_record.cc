#include "liblock/fence_record.h"

#include <algorithm>

#include "base/check.h"
#include "base/crc32c.h"
#include "liblock/protocol/messages.h"

namespace liblock {
namespace {

constexpr std::uint64_t kMagic = 0x45434e4546474e52;  // "RNGFENCE"
constexpr std::uint16_t kFormat = 1;

// The checksum stands at the end and covers everything before it.
template <std::size_t kBytes>
std::array<std::byte, kBytes> seal(base::Buffer bytes) {
  CHECK(bytes.size() <= kBytes - 4);
  bytes.resize(kBytes - 4);
  base::ByteWriter(bytes).u32(base::crc32c(bytes));
  std::array<std::byte, kBytes> sealed;
  std::copy(bytes.begin(), bytes.end(), sealed.begin());
  return sealed;
}

// What is before a checksum that is right.
std::optional<base::Bytes> unseal(base::Bytes sealed, std::size_t size) {
  if (sealed.size() != size) return std::nullopt;
  const base::Bytes bytes = sealed.first(size - 4);
  base::ByteReader checksum(sealed.subspan(size - 4));
  if (checksum.u32() != base::crc32c(bytes)) return std::nullopt;
  return bytes;
}

bool plausible(const FenceRecord& record) {
  if (record.generation == 0) return record == free_fence_record(record.index);
  const FenceTokens& tokens = record.tokens;
  return tokens.any > 0 && tokens.written <= tokens.any && !record.lockspace.empty() &&
         record.lockspace.size() <= protocol::kLockspaceBytesMax && !record.name.empty() &&
         record.name.size() <= protocol::kResourceBytesMax;
}

bool can_follow(const FenceRecord& later, const FenceRecord& earlier) {
  if (later.generation != earlier.generation + 1) return false;
  if (earlier.generation == 0) return true;
  return later.lockspace == earlier.lockspace && later.name == earlier.name &&
         later.tokens.any >= earlier.tokens.any && later.tokens.written >= earlier.tokens.written;
}

}  // namespace

bool FenceTokens::admits(FenceUse use, std::uint64_t token) const {
  return token >= (use == FenceUse::write ? any : written);
}

FenceTokens FenceTokens::raised(FenceUse use, std::uint64_t token) const {
  return {.any = std::max(any, token),
          .written = use == FenceUse::write ? std::max(written, token) : written};
}

FenceRecord free_fence_record(std::uint32_t index) {
  FenceRecord record;
  record.index = index;
  return record;
}

FenceHeader encode_fence_header(std::uint32_t capacity) {
  base::Buffer bytes;
  base::ByteWriter out(bytes);
  out.u64(kMagic);
  out.u16(kFormat);
  out.u32(capacity);
  return seal<kFenceBlockBytes>(std::move(bytes));
}

std::optional<std::uint32_t> decode_fence_header(base::Bytes header) {
  const auto bytes = unseal(header, kFenceBlockBytes);
  if (!bytes) return std::nullopt;
  base::ByteReader in(*bytes);
  if (in.u64() != kMagic || in.u16() != kFormat) return std::nullopt;
  const std::uint32_t capacity = in.count32(kFenceRecordsMax);
  if (in.failed() || capacity == 0 || capacity % kFenceGroupRecords != 0) return std::nullopt;
  return capacity;
}

FenceSlot encode_fence_record(const FenceRecord& record) {
  base::Buffer bytes;
  base::ByteWriter out(bytes);
  out.u32(record.index);
  out.u64(record.generation);
  out.u64(record.tokens.any);
  out.u64(record.tokens.written);
  out.bytes16(base::bytes_of(record.lockspace));
  out.bytes16(base::bytes_of(record.name));
  return seal<kFenceSlotBytes>(std::move(bytes));
}

std::optional<FenceRecord> decode_fence_record(base::Bytes slot, std::uint32_t index) {
  const auto bytes = unseal(slot, kFenceSlotBytes);
  if (!bytes) return std::nullopt;
  base::ByteReader in(*bytes);
  FenceRecord record;
  record.index = in.u32();
  record.generation = in.u64();
  record.tokens.any = in.u64();
  record.tokens.written = in.u64();
  record.lockspace = base::text_of(in.bytes16());
  record.name = base::text_of(in.bytes16());
  if (in.failed() || record.index != index || !plausible(record)) return std::nullopt;
  return record;
}

std::optional<FenceChoice> choose_fence_record(base::Bytes slot0, base::Bytes slot1,
                                               std::uint32_t index) {
  auto first = decode_fence_record(slot0, index);
  if (first && std::equal(slot0.begin(), slot0.end(), slot1.begin(), slot1.end())) {
    return FenceChoice{.record = std::move(*first), .behind = std::nullopt};
  }
  auto second = decode_fence_record(slot1, index);
  if (!first && !second) return std::nullopt;
  if (!first) return FenceChoice{.record = std::move(*second), .behind = 0, .damaged = true};
  if (!second) return FenceChoice{.record = std::move(*first), .behind = 1, .damaged = true};
  if (can_follow(*first, *second)) return FenceChoice{.record = std::move(*first), .behind = 1};
  if (can_follow(*second, *first)) return FenceChoice{.record = std::move(*second), .behind = 0};
  return std::nullopt;
}

}  // namespace liblock
