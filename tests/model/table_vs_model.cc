// Runs random histories on the lock table and on the model, and compares them after every command.
//
// usage: table_vs_model [--seeds A-B] [--steps N]
//
// A seed that shows a difference is printed with a history that was shortened, and ends the run
// with exit code 1.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/model/table_history.h"

int main(int argc, char** argv) {
  std::uint64_t first = 1;
  std::uint64_t last = 1000;
  std::uint64_t steps = 300;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--steps") == 0) {
      steps = std::strtoull(argv[i + 1], nullptr, 10);
    } else if (std::strcmp(argv[i], "--seeds") == 0) {
      char* end = nullptr;
      first = last = std::strtoull(argv[i + 1], &end, 10);
      if (*end == '-') last = std::strtoull(end + 1, nullptr, 10);
    } else {
      std::fprintf(stderr, "usage: table_vs_model [--seeds A-B] [--steps N]\n");
      return 2;
    }
  }
  std::map<std::string, std::uint64_t> seen;
  std::uint64_t operations = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    if (const auto found = model::run_history(seed, steps, seen)) {
      std::printf("%s", text(*found).c_str());
      std::printf("repeat with: table_vs_model --seeds %llu --steps %llu\n",
                  static_cast<unsigned long long>(seed), static_cast<unsigned long long>(steps));
      std::printf("RESULT operations=%llu divergences=1\n",
                  static_cast<unsigned long long>(operations));
      return 1;
    }
    operations += steps;
  }
  for (const auto& [what, times] : seen) {
    std::printf("%s: %llu\n", what.c_str(), static_cast<unsigned long long>(times));
  }
  std::printf("RESULT operations=%llu divergences=0\n",
              static_cast<unsigned long long>(operations));
  return 0;
}
