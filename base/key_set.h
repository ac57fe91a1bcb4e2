// The content of a cluster's key file: one secret as 32 bytes and nothing else, or several with
// their ids as text. lockd reads it and lockctl changes it; what the secrets are used for is
// evs/net/record.h.
//
//   ringlock keys            the first line
//   use 2                    which key this node seals with
//   key 1 (64 hexadecimal digits)
//   key 2 (64 hexadecimal digits)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace base {

constexpr std::size_t kKeysMax = 8;
constexpr std::size_t kSecretBytes = 32;

// No key file is longer.
constexpr std::size_t kKeyFileBytesMax = 1024;

// Overwrites bytes in a way that the compiler does not remove.
void wipe(std::span<std::byte> bytes);

// Wiped from memory when it goes.
class KeySet {
 public:
  struct Key {
    std::uint16_t id = 0;
    std::array<std::byte, kSecretBytes> secret{};
  };

  KeySet() { keys.reserve(kKeysMax); }
  KeySet(const KeySet&) = delete;
  KeySet& operator=(const KeySet&) = delete;
  KeySet(KeySet&& other) noexcept : keys(std::move(other.keys)), in_use(other.in_use) {}
  KeySet& operator=(KeySet&&) = delete;
  ~KeySet();

  const Key* find(std::uint16_t id) const;

  std::vector<Key> keys;  // 1 to kKeysMax, ascending by id, each once; ids from 1.
  std::uint16_t in_use = 0;
};

// A file of 32 bytes is key 1, and in use. The error says what is wrong, with the line.
Result<KeySet, std::string> parse_key_set(Bytes file);

// As text, whatever it was read from. To be wiped.
Buffer format_key_set(const KeySet& keys);

}  // namespace base
