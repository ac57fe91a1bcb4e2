#include "lockd/digest_watch.h"

#include <algorithm>
#include <utility>

namespace lockd {

std::vector<base::Processor> odd_ones(const Digests& digests) {
  std::map<std::uint64_t, std::size_t> counts;
  for (const auto& [processor, digest] : digests) {
    ++counts[digest];
  }
  if (counts.size() <= 1) {
    return {};
  }
  const auto fewer = [](const auto& a, const auto& b) { return a.second < b.second; };
  const auto most = std::max_element(counts.begin(), counts.end(), fewer);
  const auto alike = std::count_if(counts.begin(), counts.end(),
                                   [&](const auto& count) { return count.second == most->second; });
  std::vector<base::Processor> odd;
  for (const auto& [processor, digest] : digests) {
    if (alike > 1 || digest != most->first) {
      odd.push_back(processor);
    }
  }
  return odd;
}

void DigestWatch::expect(std::uint64_t step, const std::set<base::Processor>& holders) {
  points_.try_emplace(step, Point{holders, {}});
  if (points_.size() > kPointsMax) {
    points_.erase(points_.begin());
  }
}

std::optional<Digests> DigestWatch::vote(const base::Processor& holder, std::uint64_t step,
                                         std::uint64_t digest) {
  const auto found = points_.find(step);
  if (found == points_.end() || found->second.holders.count(holder) == 0) {
    return std::nullopt;
  }
  found->second.digests.try_emplace(holder, digest);
  if (found->second.digests.size() < found->second.holders.size()) {
    return std::nullopt;
  }
  Digests digests = std::move(found->second.digests);
  points_.erase(found);
  return digests;
}

}  // namespace lockd
