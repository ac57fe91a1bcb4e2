// Hears the one order of commands that the judge of locks finds from what all replicas tell: each
// command once, also those of transitional configurations that a later epoch builds upon.
#pragma once

#include <cstdint>

namespace sim {

struct Applied;

class OrderListener {
 public:
  virtual ~OrderListener() = default;

  // Also of an epoch before the last cold start, by a member that had not heard of that.
  virtual void ordered(const Applied& applied) = 0;

  virtual void began_empty(std::uint64_t epoch) = 0;
};

}  // namespace sim
