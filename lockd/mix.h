// Folds values into a 64-bit number that is equal where they are equal, and hardly ever otherwise.
// For comparing histories and configurations of honest nodes; no protection against malice.
#pragma once

#include <cstdint>

#include "base/ids.h"

namespace lockd {

constexpr std::uint64_t mix(std::uint64_t seed, std::uint64_t value) {
  std::uint64_t h = (seed ^ value) + 0x9e3779b97f4a7c15 + (seed << 6);
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9;
  h = (h ^ (h >> 27)) * 0x94d049bb133111eb;
  return h ^ (h >> 31);
}

constexpr std::uint64_t mix(std::uint64_t seed, const base::RingId& ring) {
  return mix(mix(mix(seed, ring.sequence), base::value(ring.representative)), ring.nonce);
}

constexpr std::uint64_t mix(std::uint64_t seed, const base::Processor& processor) {
  return mix(mix(seed, base::value(processor.node)), base::value(processor.incarnation));
}

}  // namespace lockd
