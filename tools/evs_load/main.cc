// evs_load WHERE MEMBERS: takes part in measurements, one line of standard input each, and answers
// each with one line. tools/evsbench starts one at each daemon.
//
//   run SIZE SAFE SENDS WINDOW PAUSE_US WARM_UP_MS TIME_MS
//                                   -> result MESSAGES OWN SECONDS P50 P99 P999 MAX (latencies in
//                                   ns)
//   fence                           -> fenced
//   members COUNT                   -> members
#include <algorithm>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <sstream>
#include <string>

#include "tools/evs_load/load.h"

namespace tools::evs_load {
namespace {

std::uint32_t at(const std::vector<std::uint32_t>& sorted, double part) {
  if (sorted.empty()) return 0;
  const auto index = static_cast<std::size_t>(part * static_cast<double>(sorted.size()));
  return sorted[std::min(index, sorted.size() - 1)];
}

void answer(Result result) {
  std::vector<std::uint32_t>& latencies = result.latencies_ns;
  std::sort(latencies.begin(), latencies.end());
  std::cout << "result " << result.messages << ' ' << result.own << ' ' << result.seconds << ' '
            << at(latencies, 0.5) << ' ' << at(latencies, 0.99) << ' ' << at(latencies, 0.999)
            << ' ' << at(latencies, 1) << std::endl;
}

bool carry_out(Load& load, const std::string& line) {
  std::istringstream in(line);
  std::string what;
  in >> what;
  if (what == "fence") {
    load.fence();
    std::cout << "fenced" << std::endl;
    return true;
  }
  if (what == "members") {
    std::size_t count = 0;
    in >> count;
    load.await_members(count);
    std::cout << "members" << std::endl;
    return true;
  }
  Run run;
  long pause_us = 0;
  long warm_up_ms = 0;
  long time_ms = 0;
  in >> run.size >> run.safe >> run.sends >> run.window >> pause_us >> warm_up_ms >> time_ms;
  if (what != "run" || in.fail() || run.size == 0) return false;
  run.pause = std::chrono::microseconds(pause_us);
  run.warm_up = std::chrono::milliseconds(warm_up_ms);
  run.time = std::chrono::milliseconds(time_ms);
  answer(load.run(run));
  return true;
}

int main(int argc, char** argv) {
  const long members = argc == 3 ? std::atol(argv[2]) : 0;
  if (members < 1) {
    std::cerr << "usage: evs_load WHERE MEMBERS\n";
    return 64;
  }
  try {
    Load load(argv[1], static_cast<std::size_t>(members));
    std::cout << "ready" << std::endl;
    for (std::string line; std::getline(std::cin, line);) {
      if (carry_out(load, line)) continue;
      std::cerr << "evs_load: not understood: " << line << "\n";
      return 64;
    }
  } catch (const std::exception& failure) {
    std::cerr << "evs_load: " << failure.what() << "\n";
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace tools::evs_load

int main(int argc, char** argv) {
  return tools::evs_load::main(argc, argv);
}
