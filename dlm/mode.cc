#include "dlm/mode.h"

namespace dlm {
namespace {

constexpr std::array<std::string_view, kModes> kNames = {"NL", "CR", "CW", "PR", "PW", "EX"};

}  // namespace

std::string_view to_string(Mode mode) {
  return kNames[index_of(mode)];
}

std::optional<Mode> mode_of(std::string_view text) {
  for (std::uint8_t number = 0; number < kModes; ++number) {
    if (kNames[number] == text) return static_cast<Mode>(number);
  }
  return std::nullopt;
}

std::optional<Mode> mode_of(std::uint8_t number) {
  if (number >= kModes) return std::nullopt;
  return static_cast<Mode>(number);
}

}  // namespace dlm
