// A number for the calling thread: who waits, for the detection of deadlocks.
#pragma once

#include <cstdint>

namespace liblock {

// Above this are numbers of threads, and no others.
inline constexpr std::uint64_t kThreadNumbers = std::uint64_t{1} << 63;

// Never used by another thread, also not after this one has ended; 0, nobody, if there is no
// randomness.
std::uint64_t thread_number();

}  // namespace liblock
