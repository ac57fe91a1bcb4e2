// CRC-32C (Castagnoli): tells bytes that were written whole from bytes that were not. No protection
// against malice.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace base {

std::uint32_t crc32c(Bytes bytes);

}  // namespace base
