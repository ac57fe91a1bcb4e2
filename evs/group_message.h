// A message to groups, as it travels on a ring: which groups it is for, then its bytes. Who
// receives it is evs/groups.h; the grammar is docs/wire.md, "Group messages".
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "evs/config.h"

namespace evs {

using base::GroupKey;

constexpr std::size_t kGroupPayloadBytesMax = 1024 * 1024;

// That one message can be for, and that one receiver can join.
constexpr std::size_t kGroupsMax = 256;

static_assert(2 + kGroupsMax * (1 + sizeof(GroupKey)) + kGroupPayloadBytesMax < kMessageBytesMax);

struct GroupMessage {
  std::vector<GroupKey> groups;
  base::Bytes payload;  // Borrowed from what was decoded.
};

// Appends the message for 1 to kGroupsMax groups with a payload of up to kGroupPayloadBytesMax
// bytes: CHECK.
void encode_group_message(std::span<const GroupKey> groups, base::Bytes payload, base::Buffer& out);

// The message that is exactly these bytes; false if they are none. `message` is used again and
// again: its memory stays.
bool decode_group_message(base::Bytes bytes, GroupMessage& message);

}  // namespace evs
