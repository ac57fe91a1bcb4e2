#include "base/lock_mode.h"

namespace base {
namespace {

constexpr std::array<std::string_view, kLockModes> kNames = {"NL", "CR", "CW", "PR", "PW", "EX"};

}  // namespace

std::string_view to_string(LockMode mode) {
  return kNames[index_of(mode)];
}

std::optional<LockMode> mode_of(std::string_view text) {
  for (std::uint8_t number = 0; number < kLockModes; ++number) {
    if (kNames[number] == text) return static_cast<LockMode>(number);
  }
  return std::nullopt;
}

std::optional<LockMode> mode_of(std::uint8_t number) {
  if (number >= kLockModes) return std::nullopt;
  return static_cast<LockMode>(number);
}

}  // namespace base
