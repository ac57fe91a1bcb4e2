#include "evs/groups.h"

#include <algorithm>

#include "base/mutant.h"

namespace evs {

bool Groups::join(ReceiverId receiver, std::span<const GroupKey> groups) {
  const auto found = groups_.find(receiver);
  std::set<GroupKey> all = found == groups_.end() ? std::set<GroupKey>() : found->second;
  all.insert(groups.begin(), groups.end());
  if (all.size() > kGroupsMax) return false;
  for (const GroupKey& group : groups) receivers_[group].insert(receiver);
  if (!all.empty()) groups_[receiver] = std::move(all);
  return true;
}

void Groups::leave(ReceiverId receiver, std::span<const GroupKey> groups) {
  const auto own = groups_.find(receiver);
  if (own == groups_.end()) return;
  for (const GroupKey& group : groups) {
    if (own->second.erase(group) == 0 || MUTANT("groups_leave_forgotten")) continue;
    const auto found = receivers_.find(group);
    found->second.erase(receiver);
    if (found->second.empty()) receivers_.erase(found);
  }
  if (own->second.empty()) groups_.erase(own);
}

void Groups::leave_all(ReceiverId receiver) {
  const auto own = groups_.find(receiver);
  if (own == groups_.end()) return;
  const std::vector<GroupKey> groups(own->second.begin(), own->second.end());
  leave(receiver, groups);
}

const std::vector<ReceiverId>& Groups::receivers(std::span<const GroupKey> groups) {
  std::vector<ReceiverId>& all = found_;
  all.clear();
  for (const GroupKey& group : groups) {
    const auto found = receivers_.find(group);
    if (found != receivers_.end())
      all.insert(all.end(), found->second.begin(), found->second.end());
  }
  if (groups.size() > 1 && !MUTANT("groups_delivered_twice")) {
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
  }
  return all;
}

std::size_t Groups::joined(ReceiverId receiver) const {
  const auto found = groups_.find(receiver);
  return found == groups_.end() ? 0 : found->second.size();
}

}  // namespace evs
