// The planted bugs that the simulator knows by name, and what each breaks.
#pragma once

#include <span>
#include <string_view>

namespace sim {

struct Mutant {
  std::string_view name;
  std::string_view breaks;
};

std::span<const Mutant> mutants();

// To be called before anything else runs; the name must be one of mutants().
void activate_mutant(std::string_view name);

}  // namespace sim
