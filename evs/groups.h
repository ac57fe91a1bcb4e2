// Process groups over a ring: who of this node has joined what. A group is a local filter: joining
// and leaving send nothing, nobody has to be in a group to send to it, and it works in every
// configuration. Ordering is evs/node.h's, the form of a message evs/group_message.h's.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "evs/group_message.h"

namespace evs {

// A receiver of this node, named by the layer above.
enum class ReceiverId : std::uint64_t {};

class Groups {
 public:
  // Joins all of these groups; those that it is in already stay as they are. False, and nothing is
  // joined, if that were more than kGroupsMax.
  bool join(ReceiverId receiver, std::span<const GroupKey> groups);

  // Those that it is not in do not matter.
  void leave(ReceiverId receiver, std::span<const GroupKey> groups);

  void leave_all(ReceiverId receiver);

  // Who has joined at least one of these groups: each once, in the order of their ids. Borrowed
  // until the next call.
  const std::vector<ReceiverId>& receivers(std::span<const GroupKey> groups);

  // How many groups it is in.
  std::size_t joined(ReceiverId receiver) const;

 private:
  std::map<GroupKey, std::set<ReceiverId>> receivers_;
  std::map<ReceiverId, std::set<GroupKey>> groups_;
  std::vector<ReceiverId> found_;  // By receivers(), for each message: its memory stays.
};

}  // namespace evs
