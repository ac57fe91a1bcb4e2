// A 32-byte key that is wiped from memory when it goes, and when it is replaced. Where keys come
// from is key_file.h; what they are used for is record.h.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "base/bytes.h"

namespace evs::net {

constexpr std::size_t kKeyBytes = 32;

// Overwrites bytes in a way that the compiler does not remove.
void wipe(std::span<std::byte> bytes);

class Secret {
 public:
  Secret() = default;
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  ~Secret() { wipe(bytes_); }

  base::Bytes view() const { return bytes_; }
  std::span<std::byte, kKeyBytes> bytes() { return bytes_; }

 private:
  std::array<std::byte, kKeyBytes> bytes_{};
};

}  // namespace evs::net
