// Durations as people write them: 500ms, 5s, 1m30s, 0.5h; a bare number is seconds.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace tools::lockctl {

// The error is a sentence that says what would have been right. At most a year; never negative.
base::Result<base::Duration, std::string> parse_duration(std::string_view text);

// For people, in the largest unit that keeps three digits: "850ms", "2.5s", "3m20s".
std::string format_duration(base::Duration duration);

}  // namespace tools::lockctl
