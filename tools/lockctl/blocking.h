// Why those who wait for a lock do not have it, by the rules of docs/locks.md. A function of what a
// daemon shows of the lock; it asks nobody.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tools/lockctl/answers.h"

namespace tools::lockctl {

// Which rule it is that keeps somebody waiting.
enum class BlockRule {
  held_mode,          // Locks are held in modes that do not go with the one that it wants.
  conversion_before,  // A conversion, and another one is before it in their queue.
  conversions_first,  // A request, and conversions are served first.
  request_before,     // A request, and another one is before it in the queue.
  elsewhere,  // Nothing here: it takes several locks at one moment, or is about to be granted.
};

const char* to_string(BlockRule rule);

struct Blocking {
  std::size_t waiter = 0;             // Places in Showing::locks.
  std::vector<std::size_t> blockers;  // Who has to go, or to be granted, first; of held_mode all.
  BlockRule rule = BlockRule::elsewhere;
  std::string sentence;
};

// What `lockctl why NAME` answers: each who waits once, conversions first, in the order of the
// queues.
struct Blockings {
  Showing showing;
  std::vector<Blocking> blockings;
};

std::vector<Blocking> blockings_of(const Showing& showing);

}  // namespace tools::lockctl
