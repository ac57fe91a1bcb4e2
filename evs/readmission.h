// Whom this member does not hear for a while, because it broke rings again and again without being
// in the next one. A pause begins with the third time in a row and doubles; the rule is
// docs/protocol.md's, "Coming back".
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/ids.h"
#include "evs/candidates.h"
#include "evs/config.h"

namespace evs {

class Readmission {
 public:
  explicit Readmission(const Config& config) : config_(config) {}

  // A ring of `members` was installed after a round in which `candidates` were named.
  void installed(Duration now, const RingId& ring, const std::vector<Candidate>& candidates,
                 const std::vector<Processor>& members);

  // Whether a ring of `members` is still to be left alone by `node`.
  bool barred(Duration now, base::NodeId node, std::size_t members) const;

 private:
  struct Record {
    std::uint32_t strikes = 0;
    Duration last_strike{};
    Duration pause{};
  };

  const Config& config_;
  std::map<base::NodeId, Record> records_;  // Of configured nodes at most.
  std::uint64_t nonce_ = 0;                 // Of the last ring.
};

}  // namespace evs
