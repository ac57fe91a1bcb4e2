#include "base/key_set.h"

#include <doctest/doctest.h>

#include <string>

#include "base/random.h"

using base::bytes_of;
using base::KeySet;

namespace {

const std::string kDigits(64, 'a');
const std::string kOne = "ringlock keys\nuse 1\nkey 1 " + kDigits + "\n";

std::string error_of(const std::string& text) {
  const auto keys = base::parse_key_set(bytes_of(text));
  return keys ? "no error" : keys.error();
}

}  // namespace

TEST_CASE("32 bytes are one key, with id 1, and in use") {
  const auto keys = base::parse_key_set(bytes_of("0123456789abcdef0123456789ABCDEF"));
  REQUIRE(keys.has_value());
  REQUIRE(keys->keys.size() == 1);
  CHECK(keys->keys[0].id == 1);
  CHECK(base::text_of(keys->keys[0].secret) == "0123456789abcdef0123456789ABCDEF");
  CHECK(keys->in_use == 1);
}

TEST_CASE("a set of keys is read as it was written, and is never too long") {
  base::Random random(1);
  for (std::size_t count = 1; count <= base::kKeysMax; ++count) {
    KeySet keys;
    std::uint16_t id = 0;
    for (std::size_t i = 0; i < count; ++i) {
      id =
          static_cast<std::uint16_t>(i + 1 == base::kKeysMax ? 65535 : id + 1 + random.below(8000));
      keys.keys.push_back({id, {}});
      for (auto& byte : keys.keys.back().secret) byte = static_cast<std::byte>(random.below(256));
    }
    keys.in_use = keys.keys[random.below(count)].id;
    const base::Buffer text = base::format_key_set(keys);
    CHECK(text.size() <= base::kKeyFileBytesMax);
    const auto again = base::parse_key_set(text);
    REQUIRE(again.has_value());
    CHECK(again->in_use == keys.in_use);
    REQUIRE(again->keys.size() == count);
    for (std::size_t i = 0; i < count; ++i) {
      CHECK(again->keys[i].id == keys.keys[i].id);
      CHECK(again->keys[i].secret == keys.keys[i].secret);
    }
  }
}

TEST_CASE("what is wrong with a file of keys is said with its line") {
  CHECK(error_of(kOne) == "no error");
  CHECK(error_of("") == "is neither 32 bytes long nor a list of keys");
  CHECK(error_of(std::string(33, 'x')) == "is neither 32 bytes long nor a list of keys");
  CHECK(error_of("ringlock keys\nkey 1 " + kDigits + "\n") ==
        "says with no \"use\" line which of its keys is in use");
  CHECK(error_of(kOne + "use 1\n") == "line 4 is the second \"use\"");
  CHECK(error_of(kOne + "\n") == "line 4 has to begin with \"use\" or \"key\"");
  CHECK(error_of(kOne + "key 0 " + kDigits) == "line 4 needs a key id from 1 to 65535");
  CHECK(error_of(kOne + "key 65536 " + kDigits) == "line 4 needs a key id from 1 to 65535");
  CHECK(error_of(kOne + "key 1 " + kDigits) == "line 4 has no larger id than the key before");
  CHECK(error_of(kOne + "key 2 " + kDigits + "a") ==
        "line 4 needs 64 hexadecimal digits, in lower case");
  CHECK(error_of(kOne + "key 2 A" + kDigits.substr(1)) ==
        "line 4 needs 64 hexadecimal digits, in lower case");
  CHECK(error_of("ringlock keys\nuse 1 2\n") == "line 2 has something behind the id");
  std::string many = "ringlock keys\nuse 1\n";
  for (std::size_t id = 1; id <= base::kKeysMax + 1; ++id) {
    many += "key " + std::to_string(id) + " " + kDigits + "\n";
  }
  CHECK(error_of(many) == "line 11 is one key too many; there can be 8");
}

TEST_CASE("each truncation of a file of keys is refused, but for the end of the last line") {
  const std::string two = kOne + "key 2 " + kDigits + "\n";
  for (std::size_t size = 0; size < two.size(); ++size) {
    const std::string cut = two.substr(0, size);
    if (cut == kOne || cut == kOne.substr(0, kOne.size() - 1) || size + 1 == two.size()) continue;
    CHECK(error_of(cut) != "no error");
  }
}
