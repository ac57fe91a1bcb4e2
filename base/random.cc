#include "base/random.h"

#include <bit>

#include "base/check.h"

namespace base {

// xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64 as its authors advise.
Random::Random(std::uint64_t seed) {
  for (auto& word : state_) {
    seed += 0x9e3779b97f4a7c15u;
    std::uint64_t mixed = seed;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    word = mixed ^ (mixed >> 31);
  }
}

std::uint64_t Random::u64() {
  const std::uint64_t drawn = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return drawn;
}

std::uint64_t Random::below(std::uint64_t bound) {
  CHECK(bound > 0);
  // Draws above the last whole multiple of the bound would favour small answers.
  const std::uint64_t uneven = (0 - bound) % bound;
  for (;;) {
    const std::uint64_t drawn = u64();
    if (drawn >= uneven) return drawn % bound;
  }
}

Duration Random::between(Duration low, Duration high) {
  CHECK(low <= high);
  return low + Duration(below(static_cast<std::uint64_t>((high - low).count()) + 1));
}

}  // namespace base
