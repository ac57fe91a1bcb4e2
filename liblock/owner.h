// The process that something belongs to. A copy of it in a forked child belongs to nobody there.
// To ask costs a load, not a system call: that is what lock_valid_for_ns() has to begin with.
#pragma once

#include <cstdint>

namespace liblock {

class Owner {
 public:
  // This process.
  Owner() : life_(this_life()) {}

  // Whether it is still the process that asks.
  bool asks() const { return this_life() == life_; }

 private:
  static std::uint64_t this_life();

  std::uint64_t life_;
};

}  // namespace liblock
