#include "base/key_set.h"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace base {
namespace {

constexpr std::string_view kFirstLine = "ringlock keys";
constexpr std::string_view kDigits = "0123456789abcdef";

bool parse_id(std::string_view text, std::uint16_t& id) {
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), id);
  return fault == std::errc() && end == text.data() + text.size() && id != 0;
}

bool parse_secret(std::string_view text, std::array<std::byte, kSecretBytes>& secret) {
  if (text.size() != 2 * secret.size()) return false;
  for (std::size_t i = 0; i < secret.size(); ++i) {
    const std::size_t high = kDigits.find(text[2 * i]);
    const std::size_t low = kDigits.find(text[2 * i + 1]);
    if (high == kDigits.npos || low == kDigits.npos) return false;
    secret[i] = static_cast<std::byte>(16 * high + low);
  }
  return true;
}

// Takes the text up to the separator, and that too.
std::string_view take(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return taken;
}

// What is wrong with a line after the first, or nothing.
std::string parse_line(std::string_view line, KeySet& set) {
  const std::string_view what = take(line, ' ');
  const std::string_view number = take(line, ' ');
  std::uint16_t id = 0;
  if (what != "use" && what != "key") return "has to begin with \"use\" or \"key\"";
  if (!parse_id(number, id)) return "needs a key id from 1 to 65535";
  if (what == "use") {
    if (!line.empty()) return "has something behind the id";
    if (set.in_use != 0) return "is the second \"use\"";
    set.in_use = id;
    return {};
  }
  if (set.keys.size() == kKeysMax) return "is one key too many; there can be 8";
  if (!set.keys.empty() && id <= set.keys.back().id) return "has no larger id than the key before";
  set.keys.push_back({id, {}});
  if (!parse_secret(line, set.keys.back().secret))
    return "needs 64 hexadecimal digits, in lower case";
  return {};
}

}  // namespace

void wipe(std::span<std::byte> bytes) {
  volatile std::byte* at = bytes.data();
  for (std::size_t i = 0; i < bytes.size(); ++i) at[i] = std::byte{0};
}

KeySet::~KeySet() {
  for (Key& key : keys) wipe(key.secret);
}

const KeySet::Key* KeySet::find(std::uint16_t id) const {
  const auto found = std::ranges::find(keys, id, &Key::id);
  return found == keys.end() ? nullptr : &*found;
}

Result<KeySet, std::string> parse_key_set(Bytes file) {
  KeySet set;
  std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  const bool is_list = take(text, '\n') == kFirstLine;
  if (!is_list && file.size() == kSecretBytes) {
    set.keys.push_back({1, {}});
    std::ranges::copy(file, set.keys.back().secret.begin());
    set.in_use = 1;
    return set;
  }
  if (!is_list) return error(std::string("is neither 32 bytes long nor a list of keys"));
  for (int number = 2; !text.empty(); ++number) {
    const std::string wrong = parse_line(take(text, '\n'), set);
    if (!wrong.empty()) return error("line " + std::to_string(number) + " " + wrong);
  }
  if (set.find(set.in_use) == nullptr) {
    return error(std::string("says with no \"use\" line which of its keys is in use"));
  }
  return set;
}

Buffer format_key_set(const KeySet& keys) {
  Buffer out;
  out.reserve(kKeyFileBytesMax);  // Secrets are not left behind in outgrown memory.
  const auto add = [&out](std::string_view text) {
    const Bytes bytes = bytes_of(text);
    out.insert(out.end(), bytes.begin(), bytes.end());
  };
  add(kFirstLine);
  add("\nuse " + std::to_string(keys.in_use) + "\n");
  for (const KeySet::Key& key : keys.keys) {
    add("key " + std::to_string(key.id) + " ");
    for (const std::byte byte : key.secret) {
      const auto value = std::to_integer<std::size_t>(byte);
      const char digits[] = {kDigits[value >> 4], kDigits[value & 15]};
      add({digits, 2});
    }
    add("\n");
  }
  return out;
}

}  // namespace base
