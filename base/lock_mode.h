// The six lock modes and the lock value block: what clients, the daemon and the lock table must
// mean the same by. Which modes may stand beside each other is dlm/mode.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace base {

// Null, concurrent read, concurrent write, protected read (shared), protected write, exclusive. The
// numbers are those of the wire and of libdlm.
enum class LockMode : std::uint8_t { nl = 0, cr = 1, cw = 2, pr = 3, pw = 4, ex = 5 };

inline constexpr std::size_t kLockModes = 6;

constexpr std::size_t index_of(LockMode mode) {
  return static_cast<std::size_t>(mode);
}

// "NL", "CR", ... and back; the number of a mode on the wire and back.
std::string_view to_string(LockMode mode);
std::optional<LockMode> mode_of(std::string_view text);
std::optional<LockMode> mode_of(std::uint8_t number);

// The bytes that a resource keeps for those who lock it.
using ValueBlock = std::array<std::byte, 32>;

}  // namespace base
