// Names of locks as text. The cluster takes any 1 to 255 bytes; what a person types must also be
// readable.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace tools::lockctl {

constexpr std::size_t kNameBytesMax = 255;

// UTF-8, 1 to 255 bytes, no control characters. The error is a sentence that says what is wrong and
// where.
base::Result<void, std::string> check_name(std::string_view name);

// Whether it is UTF-8 without control characters, of any length.
bool is_readable(std::string_view bytes);

// Any bytes, safe to print: what is not readable text becomes \xNN, and a backslash doubles.
std::string printable(std::string_view bytes);

}  // namespace tools::lockctl
