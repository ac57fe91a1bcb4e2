// The deadlocks that a client was told of last, for its program to ask about.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "liblock/event.h"

namespace liblock {

constexpr std::size_t kDeadlocksKept = 64;

class DeadlockLog {
 public:
  // Nothing if nobody told the steps.
  void add(std::uint64_t lock, DeadlockSteps steps);

  // The last one of this lock, or of all if that is 0; null if there is none.
  const DeadlockSteps* find(std::uint64_t lock) const;

 private:
  std::deque<std::pair<std::uint64_t, DeadlockSteps>> deadlocks_;
};

// In one line. What of the names is not printable ASCII is shown as '?'.
std::string to_text(const DeadlockSteps& steps);

}  // namespace liblock
