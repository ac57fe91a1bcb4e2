// Reads the cluster's keys from their file, and refuses one that others could have read. `lockctl
// keygen` writes such files, `lockctl keys` changes them; their form is base/key_set.h.
#pragma once

#include <string>

#include "base/result.h"
#include "evs/net/keyring.h"

namespace evs::net {

// The file has 32 random bytes or a list of keys, mode 0600 or stricter, and belongs to root or to
// the user of this process. The error names the file and says what to do. The keys have no cluster
// yet.
base::Result<Keyring, std::string> read_key_file(const std::string& path);

}  // namespace evs::net
