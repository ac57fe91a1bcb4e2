#include "base/check.h"

#include <cstdio>
#include <cstdlib>

#include "base/last_words.h"

namespace base {

void check_failed(const char* condition, const char* file, int line) {
  char failure[1024];
  std::snprintf(failure, sizeof failure, "%s:%d: CHECK failed: %s", file, line, condition);
  std::fprintf(stderr, "%s\n", failure);
  std::fflush(stderr);
  if (LastWords* words = take_last_words()) words->say(failure);
  std::abort();
}

}  // namespace base
