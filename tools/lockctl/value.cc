#include "tools/lockctl/value.h"

#include <charconv>
#include <cstdio>

#include "tools/lockctl/name.h"

namespace tools::lockctl {

base::Result<std::string, std::string> parse_bytes(std::string_view text, std::size_t bytes_max) {
  const std::string most = std::to_string(bytes_max);
  if (!text.starts_with("0x")) {
    if (text.size() > bytes_max) {
      return base::error("a value has up to " + most + " bytes, this text has " +
                         std::to_string(text.size()));
    }
    return std::string(text);
  }
  const std::string advice =
      "behind 0x stand two hexadecimal digits for each of up to " + most + " bytes";
  text.remove_prefix(2);
  if (text.size() % 2 != 0 || text.size() > 2 * bytes_max) return base::error(advice);
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    unsigned byte = 0;
    const char* end = text.data() + i + 2;
    const auto read = std::from_chars(text.data() + i, end, byte, 16);
    if (read.ec != std::errc() || read.ptr != end) return base::error(advice);
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

std::string format_bytes(std::string_view bytes) {
  if (is_readable(bytes) && !bytes.starts_with("0x")) return std::string(bytes);
  std::string text = "0x";
  for (const char byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(byte));
    text += digits;
  }
  return text;
}

base::Result<base::ValueBlock, std::string> parse_value(std::string_view text) {
  const auto bytes = parse_bytes(text, base::ValueBlock().size());
  if (!bytes) return base::error(bytes.error());
  base::ValueBlock value{};
  for (std::size_t i = 0; i < bytes->size(); ++i) value[i] = static_cast<std::byte>((*bytes)[i]);
  return value;
}

}  // namespace tools::lockctl
