// One that takes part in a double barrier, use after use: by a session of its own at a service, in
// the service's own protocol.
#pragma once

#include <cstdint>
#include <functional>

namespace tests::barrier_load {

// What a service says of a use: which one it was, by a number that no other use has, and of how
// many.
struct Passed {
  std::uint64_t use = 0;
  std::size_t parties = 0;
};

class Party {
 public:
  using Ready = std::function<void()>;
  using Done = std::function<void(Passed)>;

  virtual ~Party() = default;

  // Called of one party only, when nobody is there, before the others enter `use`, which counts
  // from
  // 1. For services that need something for each use that is not part of it.
  virtual void prepare(std::uint64_t use, Ready ready) {
    static_cast<void>(use);
    ready();
  }

  // `done` is called from the loop when all have entered, or left. Failures throw from the loop:
  // std::runtime_error with a sentence.
  virtual void enter(std::uint64_t use, Done done) = 0;
  virtual void leave(Done done) = 0;
};

}  // namespace tests::barrier_load
