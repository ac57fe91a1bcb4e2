// The planted bugs that the simulator knows by name, and what each breaks.
#pragma once

#include <span>
#include <string_view>

namespace sim {

struct Mutant {
  std::string_view name;
  std::string_view breaks;
};

// Each is found by a judge within 2,000 seeds.
std::span<const Mutant> mutants();

// Those that random runs find too rarely to be asked for.
std::span<const Mutant> rare_mutants();

// To be called before anything else runs; the name must be one of either list.
void activate_mutant(std::string_view name);

}  // namespace sim
