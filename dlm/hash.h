// The hashing of base/hash.h, by the names that tables of locks use.
#pragma once

#include "base/hash.h"

namespace dlm {

using base::hash_bytes;
using base::mix;

}  // namespace dlm
