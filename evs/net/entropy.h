// Random values that nobody can guess and no other start has drawn, from the operating system. What
// must be repeatable uses base::Random instead.
#pragma once

#include <cstdint>

#include "evs/net/record.h"

namespace evs::net {

Salt draw_salt();
std::uint64_t draw_u64();

}  // namespace evs::net
