// Runs many seeds, in worker processes so that a crash ends a seed and not the search, and adds up
// what they saw.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tests/sim/coverage.h"
#include "tests/sim/run_options.h"

namespace sim {

struct SeedRange {
  std::uint64_t first = 1;
  std::uint64_t last = 1;
};

struct Summary {
  std::uint64_t seeds = 0;
  std::uint64_t violations = 0;
  Duration simulated{};
  std::uint64_t events = 0;
  Coverage coverage;
  std::uint64_t crashes = 0;            // Seeds whose run ended the worker: never a find.
  std::optional<std::uint64_t> failed;  // The violating or crashing seed.
  std::string what;                     // Its property and explanation.
};

struct RunnerOptions {
  unsigned jobs = 1;
  std::optional<Workload> workload;  // Else each seed's own.

  // For planted bugs: a crash, or a run that reaches its time limit, is no find. Go on.
  bool judged_only = false;
};

// Stops at the first violation; of several workers', the lowest seed found is told.
Summary run_seeds(SeedRange range, const RunnerOptions& options);

}  // namespace sim
