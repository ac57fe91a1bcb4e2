// What the uses of a barrier took, as one line of words and numbers.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/time.h"

namespace tests::barrier_load {

struct Found {
  // Of each party in each use:
  std::vector<base::Duration> enter;  // From the start of the use, which is that of all.
  std::vector<base::Duration> leave;  // From when it asked to leave: as soon as it had entered.
  std::vector<base::Duration> use;    // From the start of the use to the word that it has left.
  // Of each use: until the last party has left.
  std::vector<base::Duration> all;
  base::Duration took{0};            // All uses together, without what is between them.
  base::Duration processor_time{0};  // Of this program, in them.
};

// "uses=F enter_p50_us=F enter_p99_us=F leave_p50_us=F leave_p99_us=F use_p50_us=F use_p99_us=F
// all_p50_us=F all_p99_us=F load_percent=F", the last of one processor. Throws std::runtime_error
// if there was no use.
std::string line_of(Found found);

}  // namespace tests::barrier_load
