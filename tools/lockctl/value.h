// Values as people write them: text, or 0x and hexadecimal digits.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/lock_mode.h"
#include "base/result.h"

namespace tools::lockctl {

// Up to so many bytes. The error is a sentence that says what would have been right.
base::Result<std::string, std::string> parse_bytes(std::string_view text, std::size_t bytes_max);

// The same for who reads it: text if it is that, else 0x and digits; parse_bytes() takes it.
std::string format_bytes(std::string_view bytes);

// The value of a resource: up to 32 bytes, zeros fill it up. Written by lock_text.h: format_value.
base::Result<base::ValueBlock, std::string> parse_value(std::string_view text);

}  // namespace tools::lockctl
