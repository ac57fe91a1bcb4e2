// Runs random histories on the barrier table and on its model, and compares them after every
// command.
//
// usage: barrier_vs_model [--seeds A-B] [--steps N]
//
// A seed that shows a difference is printed with a history that was shortened, and ends the run
// with exit code 1.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/model/barrier_history.h"

namespace {

volatile std::sig_atomic_t seed_of_now = 0;

// A failed CHECK of the table ends the program: it says in which history.
extern "C" void on_abort(int) {
  std::printf("RESULT crashed in seed %ld\n", static_cast<long>(seed_of_now));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t first = 1;
  std::uint64_t last = 10'000;
  std::uint64_t steps = 20;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--steps") == 0) {
      steps = std::strtoull(argv[i + 1], nullptr, 10);
    } else if (std::strcmp(argv[i], "--seeds") == 0) {
      char* end = nullptr;
      first = last = std::strtoull(argv[i + 1], &end, 10);
      if (*end == '-') last = std::strtoull(end + 1, nullptr, 10);
    } else {
      std::fprintf(stderr, "usage: barrier_vs_model [--seeds A-B] [--steps N]\n");
      return 2;
    }
  }
  std::signal(SIGABRT, on_abort);
  std::map<std::string, std::uint64_t> seen;
  unsigned long long operations = 0;
  unsigned long long histories = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed, ++histories) {
    seed_of_now = static_cast<std::sig_atomic_t>(seed);
    if (const auto found = barrier_model::run_history(seed, steps, seen)) {
      std::printf("%s", text(*found).c_str());
      std::printf("repeat with: barrier_vs_model --seeds %llu --steps %llu\n",
                  static_cast<unsigned long long>(seed), static_cast<unsigned long long>(steps));
      std::printf("RESULT histories=%llu operations=%llu divergences=1\n", histories, operations);
      return 1;
    }
    operations += steps;
  }
  for (const auto& [what, times] : seen) {
    std::printf("%s: %llu\n", what.c_str(), static_cast<unsigned long long>(times));
  }
  std::printf("RESULT histories=%llu operations=%llu divergences=0\n", histories, operations);
  return 0;
}
