// The command line of lockbench as values.
#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "base/time.h"

namespace tools::lockbench {

struct Options {
  // Daemons that run already. Empty: clusters of our own, one after the other, of these sizes.
  std::vector<std::string> sockets;
  std::vector<std::size_t> nodes = {1, 3, 5};

  std::vector<std::size_t> clients = {1, 16, 64};
  base::Duration time = std::chrono::seconds(2);  // For each figure.

  // Instead of cycles: how much memory so many held locks take. 0: cycles.
  std::size_t hold = 0;

  bool json = false;
};

// The options, or the exit code when nothing is left to be done.
std::variant<Options, int> parse_options(int argc, const char* const* argv);

}  // namespace tools::lockbench
