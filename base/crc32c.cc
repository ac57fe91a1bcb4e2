#include "base/crc32c.h"

#include <array>

namespace base {
namespace {

// What each value of a byte does to the remainder.
constexpr std::array<std::uint32_t, 256> steps() {
  constexpr std::uint32_t kPolynomialReversed = 0x82f63b78;
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t value = 0; value < table.size(); ++value) {
    std::uint32_t crc = value;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomialReversed : 0);
    }
    table[value] = crc;
  }
  return table;
}

}  // namespace

std::uint32_t crc32c(Bytes bytes) {
  static constexpr auto kSteps = steps();
  std::uint32_t crc = ~std::uint32_t{0};
  for (const std::byte b : bytes) {
    crc = (crc >> 8) ^ kSteps[(crc ^ static_cast<std::uint32_t>(b)) & 0xff];
  }
  return ~crc;
}

}  // namespace base
