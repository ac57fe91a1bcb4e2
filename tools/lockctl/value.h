// The value of a resource as people write it: text of up to 32 bytes, or 0x and hexadecimal digits;
// zeros fill it up. Written by lock_text.h: format_value.
#pragma once

#include <string>
#include <string_view>

#include "base/lock_mode.h"
#include "base/result.h"

namespace tools::lockctl {

// The error is a sentence that says what would have been right.
base::Result<base::ValueBlock, std::string> parse_value(std::string_view text);

}  // namespace tools::lockctl
