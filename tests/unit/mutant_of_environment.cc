// The planted bug that a unit test is to fail under, if any: RINGLOCK_MUTANT in the environment
// (tests/planted_bugs_test.py).
#include <cstdlib>
#include <string_view>

#include "base/mutant.h"

bool base::mutant_active(const char* name) {
  const char* wanted = std::getenv("RINGLOCK_MUTANT");
  return wanted != nullptr && std::string_view(wanted) == name;
}
