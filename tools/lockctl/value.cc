#include "tools/lockctl/value.h"

#include <charconv>

namespace tools::lockctl {

base::Result<base::ValueBlock, std::string> parse_value(std::string_view text) {
  base::ValueBlock value{};
  if (!text.starts_with("0x")) {
    if (text.size() > value.size()) {
      return base::error(std::string("a value has up to 32 bytes, this text has ") +
                         std::to_string(text.size()));
    }
    for (std::size_t i = 0; i < text.size(); ++i) value[i] = static_cast<std::byte>(text[i]);
    return value;
  }
  const std::string advice = "behind 0x stand two hexadecimal digits for each of up to 32 bytes";
  text.remove_prefix(2);
  if (text.size() % 2 != 0 || text.size() > 2 * value.size()) return base::error(advice);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    unsigned byte = 0;
    const char* end = text.data() + i + 2;
    const auto read = std::from_chars(text.data() + i, end, byte, 16);
    if (read.ec != std::errc() || read.ptr != end) return base::error(advice);
    value[i / 2] = static_cast<std::byte>(byte);
  }
  return value;
}

}  // namespace tools::lockctl
