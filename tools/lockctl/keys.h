// Changes a cluster's key file, so that a cluster gets a new key while it runs: a key is added
// everywhere, then used everywhere, then the old one removed. The form of the file is
// base/key_set.h; who uses which key is the daemons' to say.
#pragma once

#include <cstdint>
#include <string>

#include "base/key_set.h"
#include "base/result.h"
#include "tools/lockctl/answers.h"
#include "tools/lockctl/failure.h"

namespace tools::lockctl {

// What the file has, without the secrets.
base::Result<KeyListing, Failure> list_keys(const std::string& file);

// Each answers what the file has then. The file is replaced as a whole, and is on the disk when
// this returns; its owner and permissions stay.
base::Result<KeyListing, Failure> add_key(const std::string& file);
base::Result<KeyListing, Failure> use_key(const std::string& file, std::uint16_t id);
base::Result<KeyListing, Failure> remove_key(const std::string& file, std::uint16_t id);

}  // namespace tools::lockctl
