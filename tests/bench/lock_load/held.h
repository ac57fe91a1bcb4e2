// Many locks that are held, and one client beside them that takes note of each time in which it was
// not served; Ringlock's.
#pragma once

#include <cstddef>
#include <string>

#include "base/time.h"

namespace tests::lock_load {

// Takes so many locks, each of another name of sixteen bytes, by so many sessions at one daemon;
// says "held" on standard output, and holds them until standard input ends. Says "lost LOCKS"
// whenever it has lost some, so many altogether.
void hold(const std::string& socket, std::size_t locks, std::size_t sessions);

// Takes and gives back a lock all the time until standard input ends. Says "granted" after the
// first grant; then "gap FROM TO" for each time of at least `least` between a grant and the next,
// in nanoseconds of CLOCK_MONOTONIC; and in the end "end NOW GRANTS LOSSES", after a last gap if
// one is open. A loss is a grant that came too late, or that was over before it was given back.
void watch(const std::string& socket, base::Duration least);

}  // namespace tests::lock_load
