// Parts of digests that more than one of the barrier table's files takes.
#pragma once

#include <cstdint>
#include <vector>

#include "barrier/barrier.h"
#include "base/hash.h"

namespace barrier {

inline std::uint64_t digest_of(std::uint64_t seed, const Processor& at) {
  return base::mix(base::mix(seed, base::value(at.node)), base::value(at.incarnation));
}

inline std::uint64_t digest_of(std::uint64_t seed, const Name& name) {
  const std::uint64_t digest = base::hash_bytes(seed, base::bytes_of(name.lockspace));
  return base::hash_bytes(digest, base::bytes_of(name.barrier));
}

inline std::uint64_t digest_of(std::uint64_t seed, const std::vector<Lost>& lost,
                               std::uint64_t losses) {
  std::uint64_t digest = base::mix(seed, losses);
  for (const Lost& one : lost) {
    digest = digest_of(base::mix(digest, base::value(one.session)), one.at);
  }
  return digest;
}

}  // namespace barrier
