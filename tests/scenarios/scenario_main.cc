// ringlock-scenario: plays scenarios, with a planted bug if one is named. See
// tests/scenarios/README.md.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/scenarios/stage.h"
#include "tests/sim/mutants.h"

namespace {

constexpr int kAsExpected = 0;
constexpr int kDifferent = 1;
constexpr int kUsage = 2;

bool known(const std::string& mutant) {
  const auto named = [&](const sim::Mutant& m) { return m.name == mutant; };
  const auto common = sim::mutants();
  const auto rare = sim::rare_mutants();
  return std::any_of(common.begin(), common.end(), named) ||
         std::any_of(rare.begin(), rare.end(), named);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Plays a scenario on ring members in virtual time");
  std::string path;
  std::string mutant;
  bool must_fail = false;
  bool print = false;
  app.add_option("file", path, "The scenario")->required();
  auto* const planted = app.add_option("--mutant", mutant, "Switch a planted bug in");
  app.add_flag("--must-fail", must_fail,
               "Succeed if the scenario, which says that it finds the bug, does")
      ->needs(planted);
  app.add_flag("--print", print, "Print what the nodes were told");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kAsExpected : kUsage;
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "%s: can not be read\n", path.c_str());
    return kUsage;
  }
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!mutant.empty()) {
    if (!known(mutant)) {
      std::fprintf(stderr, "no mutant '%s'; ringlock-sim --list-mutants names them\n",
                   mutant.c_str());
      return kUsage;
    }
    sim::activate_mutant(mutant);
  }
  scenarios::Stage stage(mutant.empty());
  const auto failure = stage.play(text);
  if (failure) std::printf("%s:%zu: %s\n", path.c_str(), failure->line, failure->what.c_str());
  if (print) std::fputs(stage.transcript().c_str(), stdout);
  for (const std::string& name : stage.finds()) {
    if (!known(name)) {
      std::printf("%s: there is no planted bug %s\n", path.c_str(), name.c_str());
      return kUsage;
    }
  }
  if (!must_fail) return failure ? kDifferent : kAsExpected;
  const auto& finds = stage.finds();
  const bool said = std::find(finds.begin(), finds.end(), mutant) != finds.end();
  return failure && said ? kAsExpected : kDifferent;
}
