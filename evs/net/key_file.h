// Reads the cluster's key from its file, and refuses one that others could have read. `lockctl
// keygen` writes such files.
#pragma once

#include <string>

#include "base/result.h"
#include "evs/net/secret.h"

namespace evs::net {

// The file has exactly kKeyBytes random bytes, mode 0600 or stricter, and belongs to root or to the
// user of this process. The error names the file and says what to do.
base::Result<Secret, std::string> read_key_file(const std::string& path);

}  // namespace evs::net
