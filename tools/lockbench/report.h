// The figures as lines for people, or as one JSON object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/lockbench/load.h"

namespace tools::lockbench {

// The mean over the daemons of a cluster, at rest.
struct IdleFigures {
  double processor_percent = 0;  // Of one core.
  std::uint64_t resident_bytes = 0;
};

struct ClusterFigures {
  std::size_t nodes = 0;
  std::optional<IdleFigures> idle;  // Of clusters that we started.
  double check_ns = 0;              // Of a call that asks whether a lock is held.
  std::vector<CycleFigures> cycles;
};

struct HoldFigures {
  std::size_t nodes = 0;
  std::size_t locks = 0;
  base::Duration took{0};  // To take them all.
  std::uint64_t resident_before = 0;
  std::uint64_t resident_after = 0;
  double bytes_per_lock = 0;
  double processor_percent = 0;  // With all of them held, at rest.
};

// One line each, as soon as it is known.
std::string heading();
std::string text_of(std::size_t nodes, const CycleFigures& figures);
std::string text_of(std::size_t nodes, const IdleFigures& figures);
std::string text_of(const HoldFigures& figures);
std::string text_of_check(std::size_t nodes, double check_ns);

std::string json_of(const std::vector<ClusterFigures>& figures);
std::string json_of(const std::vector<HoldFigures>& figures);

}  // namespace tools::lockbench
