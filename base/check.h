// CHECK stops the process when our own reasoning turns out wrong, in every build. It is never for
// bytes from outside or for a caller's mistake: those have errors of their own.
#pragma once

namespace base {

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace base

#define CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::base::check_failed(#condition, __FILE__, __LINE__))
