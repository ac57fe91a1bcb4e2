#include "tools/lockbench/options.h"

#include <CLI/CLI.hpp>

namespace tools::lockbench {

std::variant<Options, int> parse_options(int argc, const char* const* argv) {
  CLI::App app{"Measures acquire+release cycles on clusters of lockd, and what a daemon costs."};
  Options options;
  double seconds = std::chrono::duration<double>(options.time).count();
  auto* nodes = app.add_option("--nodes", options.nodes, "Sizes of the clusters to start (1,3,5)")
                    ->delimiter(',')
                    ->check(CLI::Range(1, 32));
  auto* sockets = app.add_option("--socket", options.sockets, "Use daemons that run; repeatable")
                      ->excludes(nodes);
  app.add_option("--clients", options.clients, "Numbers of clients (1,16,64)")
      ->delimiter(',')
      ->check(CLI::Range(1, 200));
  app.add_option("--seconds", seconds, "Time for each figure (2)")->check(CLI::Range(0.1, 600.0));
  app.add_option("--hold", options.hold, "Instead: hold so many locks and tell the daemons' memory")
      ->check(CLI::Range(1, 10'000'000))
      ->excludes(sockets);
  app.add_flag("--json", options.json, "Print JSON");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 64;
  }
  options.time = std::chrono::duration_cast<base::Duration>(std::chrono::duration<double>(seconds));
  return options;
}

}  // namespace tools::lockbench
