// lockbench: how fast locks go round, and what a daemon costs.
#include <poll.h>

#include <cstdio>
#include <exception>

#include "tools/clocks.h"
#include "tools/lockbench/cluster.h"
#include "tools/lockbench/load.h"
#include "tools/lockbench/options.h"
#include "tools/lockbench/process_usage.h"
#include "tools/lockbench/report.h"

namespace tools::lockbench {
namespace {

constexpr base::Duration kIdleTime = std::chrono::seconds(5);

void print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

base::Duration total_processor_time(const std::vector<pid_t>& daemons) {
  base::Duration sum{0};
  for (const pid_t pid : daemons) sum += processor_time(pid);
  return sum;
}

std::uint64_t mean_resident_bytes(const std::vector<pid_t>& daemons) {
  std::uint64_t sum = 0;
  for (const pid_t pid : daemons) sum += resident_bytes(pid);
  return sum / daemons.size();
}

// Of a core, for each daemon, while `rest` runs.
template <typename Rest>
double processor_percent(const std::vector<pid_t>& daemons, Rest rest) {
  const base::Duration start = read_clock(CLOCK_MONOTONIC);
  const base::Duration before = total_processor_time(daemons);
  rest();
  const double used = std::chrono::duration<double>(total_processor_time(daemons) - before).count();
  const double took = std::chrono::duration<double>(read_clock(CLOCK_MONOTONIC) - start).count();
  return 100 * used / took / static_cast<double>(daemons.size());
}

IdleFigures measure_idle(const std::vector<pid_t>& daemons) {
  IdleFigures figures;
  figures.processor_percent = processor_percent(daemons, [] {
    poll(nullptr, 0, static_cast<int>(kIdleTime / std::chrono::milliseconds(1)));
  });
  figures.resident_bytes = mean_resident_bytes(daemons);
  return figures;
}

std::vector<CycleFigures> measure_all_cycles(const Options& options,
                                             const std::vector<std::string>& sockets) {
  std::vector<CycleFigures> all;
  for (const bool contended : {false, true}) {
    for (const std::size_t clients : options.clients) {
      all.push_back(measure_cycles(sockets, clients, contended, options.time));
      if (!options.json) print(text_of(sockets.size(), all.back()));
    }
  }
  return all;
}

ClusterFigures measure(const Options& options, const std::vector<std::string>& sockets,
                       const std::vector<pid_t>& daemons) {
  ClusterFigures figures;
  figures.nodes = sockets.size();
  if (!daemons.empty()) figures.idle = measure_idle(daemons);
  if (figures.idle && !options.json) print(text_of(figures.nodes, *figures.idle));
  figures.check_ns = measure_check(sockets.front());
  if (!options.json) print(text_of_check(figures.nodes, figures.check_ns));
  figures.cycles = measure_all_cycles(options, sockets);
  return figures;
}

void bench_cycles(const Options& options) {
  std::vector<ClusterFigures> all;
  if (!options.json) print(heading());
  if (!options.sockets.empty()) {
    all.push_back(measure(options, options.sockets, {}));
  }
  for (const std::size_t nodes :
       options.sockets.empty() ? options.nodes : std::vector<std::size_t>{}) {
    const Cluster cluster(nodes);
    all.push_back(measure(options, cluster.sockets(), cluster.daemons()));
  }
  if (options.json) print(json_of(all));
}

void bench_hold(const Options& options) {
  std::vector<HoldFigures> all;
  for (const std::size_t nodes : options.nodes) {
    const Cluster cluster(nodes);
    HoldFigures figures;
    figures.nodes = nodes;
    figures.locks = options.hold;
    figures.resident_before = mean_resident_bytes(cluster.daemons());
    const base::Duration start = read_clock(CLOCK_MONOTONIC);
    Hold hold(cluster.sockets(), options.hold);
    figures.took = read_clock(CLOCK_MONOTONIC) - start;
    figures.processor_percent = processor_percent(cluster.daemons(), [&] { hold.keep(kIdleTime); });
    figures.resident_after = mean_resident_bytes(cluster.daemons());
    figures.bytes_per_lock = (static_cast<double>(figures.resident_after) -
                              static_cast<double>(figures.resident_before)) /
                             static_cast<double>(options.hold);
    if (!options.json) print(text_of(figures));
    all.push_back(figures);
  }
  if (options.json) print(json_of(all));
}

}  // namespace
}  // namespace tools::lockbench

int main(int argc, char** argv) {
  using namespace tools::lockbench;
  const auto parsed = parse_options(argc, argv);
  if (const int* exit_code = std::get_if<int>(&parsed)) return *exit_code;
  const auto& options = std::get<Options>(parsed);
  try {
    if (options.hold > 0) {
      bench_hold(options);
    } else {
      bench_cycles(options);
    }
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "lockbench: %s\n", failure.what());
    return 69;
  }
  return 0;
}
