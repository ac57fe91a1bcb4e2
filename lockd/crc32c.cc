#include "lockd/crc32c.h"

namespace lockd {

std::uint32_t crc32c(base::Bytes bytes) {
  constexpr std::uint32_t kPolynomialReversed = 0x82f63b78;
  std::uint32_t crc = ~std::uint32_t{0};
  for (const std::byte b : bytes) {
    crc ^= static_cast<std::uint32_t>(b);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomialReversed : 0);
    }
  }
  return ~crc;
}

}  // namespace lockd
