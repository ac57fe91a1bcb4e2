// A test that each daemon makes of its cryptography before it opens a socket: a library that lets a
// bad tag pass must not guard a cluster.
#pragma once

#include <string>

#include "base/result.h"
#include "evs/net/aead.h"

namespace evs::net {

// What is wrong, if anything: the cipher's published known answer is not met, a bad tag is
// accepted, or keys of different purposes are equal.
base::Result<void, std::string> self_test(Aead& aead);

}  // namespace evs::net
