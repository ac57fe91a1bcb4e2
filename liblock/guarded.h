// Keeps exceptions out of the C functions.
#pragma once

#include <liblock/lock.h>

#include <exception>

namespace liblock {

// The only exceptions that can come this far are those of memory and of the system's locks.
template <typename Call>
int guarded(Call call) {
  try {
    return call();
  } catch (const std::exception&) {
    return LOCK_ERROR_SYSTEM;
  }
}

}  // namespace liblock
