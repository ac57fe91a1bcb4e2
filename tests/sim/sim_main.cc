// ringlock-sim: replays one seed, runs many, or runs with a planted bug. See docs/testing.md.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <string>

#include "tests/sim/lossy_ring.h"
#include "tests/sim/mutants.h"
#include "tests/sim/runner.h"
#include "tests/sim/world.h"

namespace {

constexpr int kClean = 0;
constexpr int kViolation = 1;
constexpr int kUsage = 2;

void print_coverage(const sim::Coverage& coverage) {
  for (const auto& [name, times] : coverage.counts()) {
    std::printf("sometimes %s=%llu\n", name.c_str(), static_cast<unsigned long long>(times));
  }
}

int replay(std::uint64_t seed, const sim::RunnerOptions& runner, bool trace) {
  sim::RunOptions options = sim::RunOptions::from_seed(seed);
  if (runner.workload) options.set_workload(*runner.workload);
  options.check_invariants = !runner.judged_only;
  const sim::RunResult result = sim::World(options, trace).run();
  std::printf("%s\n", options.to_string().c_str());
  print_coverage(result.coverage);
  for (const sim::Violation& violation : result.violations) {
    std::printf("VIOLATION %s: %s\n", violation.property.c_str(), violation.explanation.c_str());
  }
  std::printf("seeds=1 violations=%zu simulated_seconds=%.1f events=%llu\n",
              result.violations.size(), static_cast<double>(result.simulated.count()) / 1e9,
              static_cast<unsigned long long>(result.events));
  return result.violations.empty() ? kClean : kViolation;
}

int run_many(sim::SeedRange range, const sim::RunnerOptions& options, const std::string& mutant) {
  const sim::Summary summary = sim::run_seeds(range, options);
  print_coverage(summary.coverage);
  if (summary.failed) {
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(*summary.failed),
                summary.what.c_str());
    std::printf("repeat with: ringlock-sim --seed %llu --trace%s%s\n",
                static_cast<unsigned long long>(*summary.failed),
                mutant.empty() ? "" : " --mutant ", mutant.c_str());
  }
  if (summary.crashes > 0) {
    std::printf("crashes=%llu\n", static_cast<unsigned long long>(summary.crashes));
  }
  if (!mutant.empty()) {
    std::printf("violations=%d seeds=%llu\n", summary.failed ? 1 : 0,
                static_cast<unsigned long long>(summary.seeds));
  } else {
    std::printf("seeds=%llu violations=%d simulated_seconds=%.1f events=%llu\n",
                static_cast<unsigned long long>(summary.seeds), summary.failed ? 1 : 0,
                static_cast<double>(summary.simulated.count()) / 1e9,
                static_cast<unsigned long long>(summary.events));
  }
  return summary.failed ? kViolation : kClean;
}

// Whether a ring stays whole, and what it delivers, while its links lose datagrams.
int lose(const sim::LossOptions& options, double least_rate) {
  const sim::LossResult result = sim::LossyRing(options).run();
  std::fputs(sim::to_string(options, result).c_str(), stdout);
  const bool whole = result.formed > sim::Duration(0) && result.configuration_changes == 0;
  bool fast = true;
  for (const std::uint64_t delivered : result.delivered_by_minute) {
    fast = fast && static_cast<double>(delivered) >= 60 * least_rate;
  }
  return whole && fast && !result.violation ? kClean : kViolation;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Runs a whole Ringlock cluster under simulated time, faults and judges."};
  std::uint64_t seed = 0;
  std::string seeds;
  std::string workload_name;
  std::string mutant;
  sim::RunnerOptions options;
  bool trace = false;
  bool list = false;
  auto* one = app.add_option("--seed", seed, "Run this one seed");
  app.add_option("--seeds", seeds, "Run the seeds A-B")->excludes(one);
  app.add_flag("--trace", trace, "With --seed: print what happens");
  app.add_option("--jobs", options.jobs, "Worker processes")->check(CLI::Range(1u, 64u));
  app.add_option("--workload", workload_name, "ring, cluster or barriers; else as the seed draws")
      ->check(CLI::IsMember({"ring", "cluster", "barriers"}));
  app.add_option("--mutant", mutant, "Switch a planted bug in; with --seeds, 1-2000 unless given");
  app.add_flag("--list-mutants", list, "Name the planted bugs");
  sim::LossOptions loss;
  double loss_percent = 0;
  double minutes = 1;
  double least_rate = 0;
  bool fixed_windows = false;
  bool storm = false;
  auto* lossy = app.add_option("--loss", loss_percent,
                               "One ring whose links lose so many percent of the datagrams; exit "
                               "code 1 if its configuration changes");
  lossy->check(CLI::Range(0.0, 100.0));
  app.add_option("--nodes", loss.nodes, "With --loss: members")
      ->check(CLI::Range(std::size_t{1}, evs::kMembersMax))
      ->needs(lossy);
  app.add_option("--minutes", minutes, "With --loss: simulated time")
      ->check(CLI::PositiveNumber)
      ->needs(lossy);
  app.add_option("--rate", loss.rate, "With --loss: messages a second in all; 0: all it takes")
      ->check(CLI::NonNegativeNumber)
      ->needs(lossy);
  app.add_option("--size", loss.message_bytes, "With --loss: bytes of a message")
      ->check(CLI::Range(std::size_t{8}, evs::kMessageBytesMax))
      ->needs(lossy);
  app.add_option("--buffer", loss.receive_buffer_bytes, "With --loss: bytes of a receive buffer")
      ->needs(lossy);
  app.add_option("--at-least", least_rate,
                 "With --loss: exit code 1 if a minute has fewer messages a second")
      ->needs(lossy);
  app.add_flag("--storm", storm, "With --loss: the storm profile, and all messages safe")
      ->needs(lossy);
  app.add_flag("--fixed-windows", fixed_windows, "With --loss: windows do not adapt")->needs(lossy);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kClean : kUsage;
  }
  if (!lossy->empty()) {
    loss.loss = loss_percent / 100;
    if (fixed_windows) {
      loss.ring.personal_window_min = loss.ring.personal_window;
      loss.ring.window_growth = 1;
    }
    loss.length = sim::Duration(static_cast<std::int64_t>(minutes * 60e9));
    if (!one->empty()) loss.seed = seed;
    if (storm) {
      loss.ring = evs::storm_config();
      loss.redundancy = evs::net::kStormRedundancy;
      loss.all_safe = true;
    }
    return lose(loss, least_rate);
  }
  if (list) {
    for (const sim::Mutant& m : sim::mutants()) {
      std::printf("%s %s\n", std::string(m.name).c_str(), std::string(m.breaks).c_str());
    }
    return kClean;
  }
  if (!workload_name.empty()) {
    options.workload = workload_name == "ring"      ? sim::Workload::ring
                       : workload_name == "cluster" ? sim::Workload::cluster
                                                    : sim::Workload::barriers;
  }
  if (!mutant.empty()) {
    bool known = false;
    for (const sim::Mutant& m : sim::mutants()) known |= m.name == mutant;
    for (const sim::Mutant& m : sim::rare_mutants()) known |= m.name == mutant;
    if (!known) {
      std::fprintf(stderr, "ringlock-sim: no mutant '%s'; --list-mutants names them\n",
                   mutant.c_str());
      return kUsage;
    }
    sim::activate_mutant(mutant);
    options.judged_only = true;
    if (seeds.empty() && one->empty()) seeds = "1-2000";
  }
  if (!one->empty()) return replay(seed, options, trace);
  sim::SeedRange range;
  unsigned long long first = 0;
  unsigned long long last = 0;
  char rest = 0;
  if (std::sscanf(seeds.c_str(), "%llu-%llu%c", &first, &last, &rest) != 2 || first > last) {
    std::fprintf(stderr, "ringlock-sim: give --seed N, or --seeds A-B with A <= B\n");
    return kUsage;
  }
  range.first = first;
  range.last = last;
  return run_many(range, options, mutant);
}
