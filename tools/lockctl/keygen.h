// Writes a new cluster key: kKeyFileBytes random bytes that only the owner can read, as lockd wants
// its key file.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"
#include "tools/lockctl/failure.h"

namespace tools::lockctl {

constexpr std::size_t kKeyFileBytes = 32;

// Never overwrites: a key that is in use and lost stops the cluster. The file is on the disk when
// this returns.
base::Result<void, Failure> write_key(const std::string& file);

}  // namespace tools::lockctl
