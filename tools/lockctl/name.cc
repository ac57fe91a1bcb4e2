#include "tools/lockctl/name.h"

#include <array>
#include <cstdint>
#include <cstdio>

namespace tools::lockctl {
namespace {

// Length in bytes of the well-formed character at the front, 0 if there is none; `code` is its
// number. Overlong forms, surrogates and numbers over 10FFFF are not well-formed.
std::size_t decode_character(std::string_view text, std::uint32_t& code) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  constexpr std::array<std::uint32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  const std::uint8_t lead = byte(0);
  std::size_t length = 1;
  if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
  } else if (lead >= 0xe0 && lead < 0xf0) {
    length = 3;
  } else if (lead >= 0xc0 && lead < 0xe0) {
    length = 2;
  } else if (lead >= 0x80) {
    return 0;
  }
  if (text.size() < length) return 0;
  code = length == 1 ? lead : lead & (0xffu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3fu);
  }
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  return code < kSmallest[length] || code > 0x10ffff || surrogate ? 0 : length;
}

bool is_control(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

}  // namespace

base::Result<void, std::string> check_name(std::string_view name) {
  if (name.empty()) return base::error(std::string("the name of a lock must not be empty"));
  if (name.size() > kNameBytesMax) {
    return base::error("the name of a lock has at most " + std::to_string(kNameBytesMax) +
                       " bytes, this one has " + std::to_string(name.size()));
  }
  for (std::size_t at = 0; at < name.size();) {
    std::uint32_t code = 0;
    const std::size_t length = decode_character(name.substr(at), code);
    if (length == 0) {
      return base::error("the name of a lock must be UTF-8; byte " + std::to_string(at + 1) +
                         " of \"" + printable(name) + "\" is not");
    }
    if (is_control(code)) {
      return base::error("the name of a lock must not have control characters; byte " +
                         std::to_string(at + 1) + " of \"" + printable(name) + "\" is one");
    }
    at += length;
  }
  return {};
}

bool is_readable(std::string_view bytes) {
  while (!bytes.empty()) {
    std::uint32_t code = 0;
    const std::size_t length = decode_character(bytes, code);
    if (length == 0 || is_control(code)) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string printable(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    std::uint32_t code = 0;
    const std::size_t length = decode_character(bytes, code);
    if (length > 0 && !is_control(code)) {
      if (code == '\\') out += '\\';
      out += bytes.substr(0, length);
      bytes.remove_prefix(length);
      continue;
    }
    std::array<char, 8> hex{};
    std::snprintf(hex.data(), hex.size(), "\\x%02x", static_cast<std::uint8_t>(bytes[0]));
    out += hex.data();
    bytes.remove_prefix(1);
  }
  return out;
}

}  // namespace tools::lockctl
