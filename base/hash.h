// 64-bit hashing for indices and digests: the same on every machine, for ever, and not for secrets.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace base {

// A bijection that spreads every bit over the whole word.
constexpr std::uint64_t mix(std::uint64_t v) {
  v ^= v >> 32;
  v *= 0xd6e8feb86659fd93u;
  v ^= v >> 32;
  v *= 0xd6e8feb86659fd93u;
  v ^= v >> 32;
  return v;
}

constexpr std::uint64_t mix(std::uint64_t seed, std::uint64_t v) {
  return mix(seed * 0x9e3779b97f4a7c15u + mix(v + 0x9e3779b97f4a7c15u));
}

inline std::uint64_t hash_bytes(std::uint64_t seed, Bytes bytes) {
  std::uint64_t hash = mix(seed, bytes.size());
  while (!bytes.empty()) {
    const std::size_t size = bytes.size() < 8 ? bytes.size() : 8;
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < size; ++i) {
      word |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
    }
    hash = mix(hash, word);
    bytes = bytes.subspan(size);
  }
  return hash;
}

}  // namespace base
