// Planted bugs, for judging the checkers. MUTANT("name") is false in everything that ships; in the
// `mutable` variant of a library, which only tests and the simulator link, it is true while one of
// them runs that mutant. tests/sim/mutants.cc lists them.
#pragma once

#ifdef RINGLOCK_MUTABLE
namespace base {
// Defined by whoever links it. The answer is fixed before the first use.
bool mutant_active(const char* name);
}  // namespace base
#define MUTANT(name)                                        \
  ([] {                                                     \
    static const bool active = ::base::mutant_active(name); \
    return active;                                          \
  }())
#else
#define MUTANT(name) false
#endif
