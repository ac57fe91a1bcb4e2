// What writer and loader of a state's image have in common; docs/wire.md, "Image of the state".
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace lockd::image {

inline constexpr std::uint8_t kVersion = 4;

// Of the version and the length behind it.
inline constexpr std::size_t kHeadLengthEnd = 5;

// An image that claims more is none.
inline constexpr std::uint64_t kLongestLeaseMax =
    std::chrono::nanoseconds(std::chrono::hours(24)).count();

}  // namespace lockd::image
