// CRC-32C (Castagnoli): tells a record that was written whole from one that was not. No protection
// against malice.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace lockd {

std::uint32_t crc32c(base::Bytes bytes);

}  // namespace lockd
