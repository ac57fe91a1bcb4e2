// The outcome of a barrier as C programs get it, with all that it points to.
#pragma once

#include <liblock/barrier.h>

#include <vector>

#include "liblock/event.h"

namespace liblock {

class COutcome : public lock_barrier_outcome {
 public:
  explicit COutcome(BarrierEnd end);
  COutcome(const COutcome&) = delete;
  COutcome& operator=(const COutcome&) = delete;

 private:
  const BarrierEnd end_;  // Has the values.
  std::vector<lock_barrier_member> all_members_;
  std::vector<lock_barrier_lost> all_lost_;
};

}  // namespace liblock
