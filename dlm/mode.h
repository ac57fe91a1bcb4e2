// The six lock modes and which of them may stand beside each other, as data. The rules that use the
// matrix are in dlm/table.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace dlm {

// Null, concurrent read, concurrent write, protected read (shared), protected write, exclusive. The
// numbers are those of the wire and of libdlm.
enum class Mode : std::uint8_t { nl = 0, cr = 1, cw = 2, pr = 3, pw = 4, ex = 5 };

inline constexpr std::size_t kModes = 6;

constexpr std::size_t index_of(Mode mode) {
  return static_cast<std::size_t>(mode);
}

inline constexpr std::array<std::array<bool, kModes>, kModes> kCompatible = {{
    // NL    CR     CW     PR     PW     EX
    {{true, true, true, true, true, true}},       // NL
    {{true, true, true, true, true, false}},      // CR
    {{true, true, true, false, false, false}},    // CW
    {{true, true, false, true, false, false}},    // PR
    {{true, true, false, false, false, false}},   // PW
    {{true, false, false, false, false, false}},  // EX
}};

constexpr bool compatible(Mode a, Mode b) {
  return kCompatible[index_of(a)][index_of(b)];
}

// "NL", "CR", ... and back; the number of a mode on the wire and back.
std::string_view to_string(Mode mode);
std::optional<Mode> mode_of(std::string_view text);
std::optional<Mode> mode_of(std::uint8_t number);

}  // namespace dlm
