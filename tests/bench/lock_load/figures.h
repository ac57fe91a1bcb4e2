// What clients that go round have found, as one line of words and numbers.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/time.h"

namespace tests::lock_load {

struct Found {
  std::vector<base::Duration> acquire;  // From the request to the grant.
  std::vector<base::Duration> cycle;    // From the request to the word that the lock is given back.
  std::size_t handovers = 0;            // Grants to another client than the one before.
  base::Duration took{0};
  base::Duration processor_time{0};  // Of this program.
};

// "cycles_per_second=F handovers_per_second=F acquire_p50_us=F acquire_p99_us=F cycle_p50_us=F
// cycle_p99_us=F load_percent=F", the last of one processor. Throws std::runtime_error if nobody
// came round.
std::string line_of(Found found);

}  // namespace tests::lock_load
