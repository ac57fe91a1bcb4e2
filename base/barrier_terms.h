// What clients, the daemon and the barrier table must mean the same by: how a barrier counts, what
// a death does, and how a step ends. The rules are docs/barriers.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace base {

// One use of a barrier. Drawn from the same growing counter as fencing tokens when it opens, so it
// is never used twice. 0 is none.
enum class BarrierGeneration : std::uint64_t {};

// A barrier with one step has `enter` only.
enum class BarrierStep : std::uint8_t { enter = 0, leave = 1 };

// What is counted: sessions, or nodes of which at least one session has arrived.
enum class BarrierUnit : std::uint8_t { session = 0, node = 1 };

// What the death of a participant, or of a member that is waited for, does to its generation.
enum class BarrierOnDeath : std::uint8_t {
  break_it = 0,
  shrink = 1,  // It is not waited for any more. Dynamic barriers only.
  wait = 2,    // For a replacement.
};

// Why a step has ended.
enum class BarrierEnding : std::uint8_t {
  released = 0,
  participant_died = 1,  // This and what follows: broken.
  timed_out = 2,
  cancelled = 3,
  deleted = 4,
};

std::string_view to_string(BarrierEnding ending);

// Of what a participant brings along for the others.
inline constexpr std::size_t kBarrierValueMax = 256;

}  // namespace base
