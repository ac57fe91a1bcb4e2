#include "lockd/record.h"

#include <algorithm>

#include "base/check.h"
#include "base/crc32c.h"
#include "evs/config.h"

namespace lockd {
namespace {

constexpr std::uint32_t kMagic = 0x524b4c52;  // "RLKR"
constexpr std::uint16_t kFormat = 1;

constexpr std::size_t kRingBytes = 8 + 4 + 8;
constexpr std::size_t kEpochBytes = 8 + kRingBytes;
constexpr std::size_t kProcessorBytes = 4 + 8;
constexpr std::size_t kAttemptBytesMax = kEpochBytes + 1 + evs::kMembersMax * kProcessorBytes;
constexpr std::size_t kFixedBytes = 4 + 2 + 16 + 16 + 4 + 8 + 1 + kEpochBytes + 1 + 8 + 8 + 4;
static_assert(kFixedBytes + kRecordAttemptsMax * kAttemptBytesMax <= kRecordSlotBytes,
              "a full record fits into its slot");

void write_id(base::ByteWriter& out, const std::array<std::uint8_t, 16>& id) {
  for (const std::uint8_t b : id) {
    out.u8(b);
  }
}

std::array<std::uint8_t, 16> read_id(base::ByteReader& in) {
  std::array<std::uint8_t, 16> id{};
  for (std::uint8_t& b : id) {
    b = in.u8();
  }
  return id;
}

}  // namespace

RecordSlot encode_record(const Record& record) {
  CHECK(record.attempts.size() <= kRecordAttemptsMax);
  base::Buffer bytes;
  bytes.reserve(kRecordSlotBytes);
  base::ByteWriter out(bytes);
  out.u32(kMagic);
  out.u16(kFormat);
  write_id(out, record.cluster);
  write_id(out, record.store);
  out.node(record.node);
  out.u64(record.generation);
  out.u8(static_cast<std::uint8_t>(record.role));
  write_epoch(out, record.last_active);
  out.u8(static_cast<std::uint8_t>(record.attempts.size()));
  for (const Attempt& attempt : record.attempts) {
    write_attempt(out, attempt);
  }
  out.u64(record.token_ceiling);
  out.u64(static_cast<std::uint64_t>(record.lease_max.count()));

  // The checksum stands at the end of the slot and covers it whole: a slot is old, new, or
  // recognisably neither.
  bytes.resize(kRecordSlotBytes - 4);
  out.u32(base::crc32c(bytes));
  RecordSlot slot;
  std::copy(bytes.begin(), bytes.end(), slot.begin());
  return slot;
}

std::optional<Record> decode_record(base::Bytes slot) {
  if (slot.size() != kRecordSlotBytes) {
    return std::nullopt;
  }
  base::ByteReader tail(slot.subspan(kRecordSlotBytes - 4));
  if (tail.u32() != base::crc32c(slot.first(kRecordSlotBytes - 4))) {
    return std::nullopt;
  }
  base::ByteReader in(slot.first(kRecordSlotBytes - 4));
  if (in.u32() != kMagic || in.u16() != kFormat) {
    return std::nullopt;
  }
  Record record;
  record.cluster = read_id(in);
  record.store = read_id(in);
  record.node = in.node();
  record.generation = in.u64();
  const std::uint8_t role = in.u8();
  record.last_active = read_epoch(in);
  record.attempts.resize(in.count8(kRecordAttemptsMax));
  for (Attempt& attempt : record.attempts) {
    attempt = read_attempt(in);
  }
  record.token_ceiling = in.u64();
  record.lease_max = base::Duration(static_cast<base::Duration::rep>(in.u64()));
  const bool known_role = role == static_cast<std::uint8_t>(RecordRole::voter) ||
                          role == static_cast<std::uint8_t>(RecordRole::amnesiac);
  if (in.failed() || !known_role || record.lease_max < base::Duration::zero()) {
    return std::nullopt;
  }
  record.role = static_cast<RecordRole>(role);
  return record;
}

std::optional<Record> choose_record(base::Bytes file) {
  std::optional<Record> best;
  for (std::size_t at = 0; at + kRecordSlotBytes <= std::min(file.size(), kRecordFileBytes);
       at += kRecordSlotBytes) {
    std::optional<Record> record = decode_record(file.subspan(at, kRecordSlotBytes));
    if (record && (!best || record->generation > best->generation)) {
      best = std::move(record);
    }
  }
  return best;
}

Record initial_record(const ClusterId& cluster, const StoreId& store, base::NodeId node) {
  Record record;
  record.cluster = cluster;
  record.store = store;
  record.node = node;
  return record;
}

}  // namespace lockd
