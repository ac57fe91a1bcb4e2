// Compares the digests of tables that must be equal: those of one chain at one place in the order.
// Who differs from most has to stop, loudly; without a most, all have to [rule 7.C].
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/ids.h"

namespace lockd {

using Digests = std::map<base::Processor, std::uint64_t>;

// Who has to stop, sorted; nobody if all digests are equal.
std::vector<base::Processor> odd_ones(const Digests& digests);

// The votes on the digests within an active epoch.
class DigestWatch {
 public:
  // More points than this are not awaited: the oldest is given up.
  static constexpr std::size_t kPointsMax = 16;

  // All of `holders` will vote on their digest at this step.
  void expect(std::uint64_t step, const std::set<base::Processor>& holders);

  // All digests of the step, with the vote that completes them.
  std::optional<Digests> vote(const base::Processor& holder, std::uint64_t step,
                              std::uint64_t digest);

  void clear() { points_.clear(); }

 private:
  struct Point {
    std::set<base::Processor> holders;
    Digests digests;
  };
  std::map<std::uint64_t, Point> points_;
};

}  // namespace lockd
