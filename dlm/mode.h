// Which lock modes may stand beside each other, and what a grant does with the value block, as
// data. The rules that use these tables are in dlm/grant.cc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/lock_mode.h"

namespace dlm {

using Mode = base::LockMode;
using base::index_of;
using base::mode_of;
using base::to_string;

inline constexpr std::size_t kModes = base::kLockModes;

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

// What becomes of the value block when a lock with value_block goes from one mode to another. A new
// request reads, whatever its mode; a release writes from PW and EX.
enum class Transfer : std::uint8_t { none, read, write };

inline constexpr auto kNone = Transfer::none;
inline constexpr auto kRead = Transfer::read;
inline constexpr auto kWrite = Transfer::write;

inline constexpr std::array<std::array<Transfer, kModes>, kModes> kTransfer = {{
    // NL     CR      CW      PR      PW      EX
    {{kRead, kRead, kRead, kRead, kRead, kRead}},        // NL
    {{kNone, kRead, kRead, kRead, kRead, kRead}},        // CR
    {{kNone, kNone, kRead, kRead, kRead, kRead}},        // CW
    {{kNone, kNone, kNone, kRead, kRead, kRead}},        // PR
    {{kWrite, kWrite, kWrite, kWrite, kWrite, kRead}},   // PW
    {{kWrite, kWrite, kWrite, kWrite, kWrite, kWrite}},  // EX
}};

constexpr Transfer transfer(Mode from, Mode to) {
  return kTransfer[index_of(from)][index_of(to)];
}

constexpr bool writes_on_release(Mode held) {
  return held == Mode::pw || held == Mode::ex;
}

}  // namespace dlm
