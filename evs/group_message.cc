#include "evs/group_message.h"

#include "base/check.h"

namespace evs {

void encode_group_message(std::span<const GroupKey> groups, base::Bytes payload,
                          base::Buffer& out) {
  CHECK(!groups.empty() && groups.size() <= kGroupsMax);
  CHECK(payload.size() <= kGroupPayloadBytesMax);
  out.reserve(out.size() + 2 + groups.size() * sizeof(GroupKey) + payload.size() + 1);
  base::ByteWriter writer(out);
  writer.u16(static_cast<std::uint16_t>(groups.size()));
  for (const GroupKey& group : groups) writer.bytes(group.bytes);
  writer.bytes(payload);
}

std::optional<GroupMessage> decode_group_message(base::Bytes bytes) {
  base::ByteReader reader(bytes);
  GroupMessage message;
  const std::uint32_t count = reader.count16(kGroupsMax);
  if (count == 0) return std::nullopt;
  message.groups = base::group_keys(reader.bytes(count * sizeof(GroupKey)));
  message.payload = reader.rest();
  if (!reader.finish() || message.payload.size() > kGroupPayloadBytesMax) return std::nullopt;
  return message;
}

}  // namespace evs
