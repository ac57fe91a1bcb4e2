#include "evs/group_message.h"

#include <algorithm>

#include "base/check.h"

namespace evs {

namespace {

// Keys are made of names mostly, with zeros behind them, which do not travel.
std::size_t bytes_used(const GroupKey& group) {
  std::size_t used = group.bytes.size();
  while (used > 0 && group.bytes[used - 1] == std::byte{0}) --used;
  return used;
}

void write_group(base::ByteWriter& writer, const GroupKey& group) {
  const std::size_t used = bytes_used(group);
  writer.u8(static_cast<std::uint8_t>(used));
  writer.bytes(base::Bytes(group.bytes).first(used));
}

GroupKey read_group(base::ByteReader& reader) {
  GroupKey group;
  const base::Bytes used = reader.bytes(reader.count8(sizeof group.bytes));
  std::copy(used.begin(), used.end(), group.bytes.begin());
  if (bytes_used(group) != used.size()) reader.fail();
  return group;
}

}  // namespace

void encode_group_message(std::span<const GroupKey> groups, base::Bytes payload,
                          base::Buffer& out) {
  CHECK(!groups.empty() && groups.size() <= kGroupsMax);
  CHECK(payload.size() <= kGroupPayloadBytesMax);
  out.reserve(out.size() + 2 + groups.size() * (1 + sizeof(GroupKey)) + payload.size() + 1);
  base::ByteWriter writer(out);
  writer.u16(static_cast<std::uint16_t>(groups.size()));
  for (const GroupKey& group : groups) write_group(writer, group);
  writer.bytes(payload);
}

bool decode_group_message(base::Bytes bytes, GroupMessage& message) {
  base::ByteReader reader(bytes);
  message.groups.clear();
  const std::uint32_t count = reader.count16(kGroupsMax);
  if (count == 0) return false;
  message.groups.reserve(count);
  for (std::uint32_t i = 0; i < count && !reader.failed(); ++i) {
    message.groups.push_back(read_group(reader));
  }
  message.payload = reader.rest();
  return reader.finish() && message.payload.size() <= kGroupPayloadBytesMax;
}

}  // namespace evs
