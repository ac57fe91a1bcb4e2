#include "tools/lockbench/report.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace tools::lockbench {
namespace {

using Json = nlohmann::ordered_json;

double milliseconds(base::Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

double mebibytes(std::uint64_t bytes) {
  return static_cast<double>(bytes) / (1024 * 1024);
}

template <typename... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 256> line{};
  std::snprintf(line.data(), line.size(), pattern, values...);
  return line.data();
}

Json json(const Latencies& latencies) {
  return {{"p50_ms", milliseconds(latencies.p50)},
          {"p99_ms", milliseconds(latencies.p99)},
          {"p999_ms", milliseconds(latencies.p999)},
          {"max_ms", milliseconds(latencies.max)}};
}

}  // namespace

std::string heading() {
  return "nodes  clients  locks     cycles/s  acquire p50    p99  p99.9  cycle p50    p99 (ms)\n";
}

std::string text_of(std::size_t nodes, const CycleFigures& figures) {
  return format("%5zu  %7zu  %-8s  %8.0f  %11.2f %6.2f %6.2f  %9.2f %6.2f\n", nodes,
                figures.clients, figures.contended ? "one" : "distinct", figures.cycles_per_second,
                milliseconds(figures.acquire.p50), milliseconds(figures.acquire.p99),
                milliseconds(figures.acquire.p999), milliseconds(figures.cycle.p50),
                milliseconds(figures.cycle.p99));
}

std::string text_of(std::size_t nodes, const IdleFigures& figures) {
  return format("%5zu  a daemon at rest: %.2f %% of a core, %.1f MiB resident\n", nodes,
                figures.processor_percent, mebibytes(figures.resident_bytes));
}

std::string text_of_check(std::size_t nodes, double check_ns) {
  return format("%5zu  asking whether a lock is held: %.0f ns\n", nodes, check_ns);
}

std::string text_of(const HoldFigures& figures) {
  return format(
      "%5zu nodes, %zu locks held: a daemon has %.1f MiB resident (%.1f MiB before), %.0f bytes a "
      "lock, "
      "%.2f %% of a core at rest; taken in %.1f s\n",
      figures.nodes, figures.locks, mebibytes(figures.resident_after),
      mebibytes(figures.resident_before), figures.bytes_per_lock, figures.processor_percent,
      milliseconds(figures.took) / 1000);
}

std::string json_of(const std::vector<ClusterFigures>& figures) {
  Json clusters = Json::array();
  for (const ClusterFigures& cluster : figures) {
    Json item = {
        {"nodes", cluster.nodes}, {"check_ns", cluster.check_ns}, {"cycles", Json::array()}};
    if (cluster.idle) {
      item["idle"] = {{"processor_percent", cluster.idle->processor_percent},
                      {"resident_bytes", cluster.idle->resident_bytes}};
    }
    for (const CycleFigures& cycles : cluster.cycles) {
      item["cycles"].push_back({{"clients", cycles.clients},
                                {"locks", cycles.contended ? "one" : "distinct"},
                                {"cycles_per_second", cycles.cycles_per_second},
                                {"acquire", json(cycles.acquire)},
                                {"cycle", json(cycles.cycle)}});
    }
    clusters.push_back(item);
  }
  return Json{{"clusters", clusters}}.dump(2) + "\n";
}

std::string json_of(const std::vector<HoldFigures>& figures) {
  Json clusters = Json::array();
  for (const HoldFigures& hold : figures) {
    clusters.push_back({{"nodes", hold.nodes},
                        {"locks", hold.locks},
                        {"seconds", milliseconds(hold.took) / 1000},
                        {"resident_bytes_before", hold.resident_before},
                        {"resident_bytes_after", hold.resident_after},
                        {"bytes_per_lock", hold.bytes_per_lock},
                        {"processor_percent", hold.processor_percent}});
  }
  return Json{{"hold", clusters}}.dump(2) + "\n";
}

}  // namespace tools::lockbench
