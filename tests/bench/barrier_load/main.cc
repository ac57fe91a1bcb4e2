// barrier_load: parties of a double barrier for tests/bench/barriers_vs_zookeeper, in the service's
// own protocol.
//
//   barrier_load SYSTEM PARTIES SECONDS ADDRESS...
//
// SYSTEM: ringlock or zookeeper; party after party is at the next of the addresses. What the line
// of the answer says is in figures.h.
#include <cstdio>

#include "tests/bench/barrier_load/ringlock_party.h"
#include "tests/bench/barrier_load/uses.h"
#include "tests/bench/barrier_load/zookeeper_party.h"
#include "tests/bench/load/session_time.h"
#include "tests/bench/load/words.h"

namespace tests::barrier_load {
namespace {

constexpr std::size_t kPartiesMost = 1000;

void run(const std::vector<std::string>& words) {
  if (words.size() < 4) throw load::Usage("SYSTEM PARTIES SECONDS ADDRESS...");
  const bool ours = words[0] == "ringlock";
  if (!ours && words[0] != "zookeeper") throw load::Usage("no system is called " + words[0]);
  const std::size_t parties = load::count_of(words[1], 1, kPartiesMost);
  // No session may end meanwhile that nobody keeps alive.
  const base::Duration time =
      load::time_of(words[2], std::chrono::seconds(1), load::kSessionTime / 3);
  const std::vector<std::string> addresses(words.begin() + 3, words.end());
  load::Loop loop;
  const auto make = [&](std::size_t number) -> std::unique_ptr<Party> {
    const std::string& address = addresses[(number - 1) % addresses.size()];
    if (ours) return std::make_unique<RinglockParty>(loop, address, static_cast<unsigned>(parties));
    return std::make_unique<ZooKeeperParty>(loop, address, number, parties,
                                            number <= addresses.size());
  };
  std::puts(line_of(measure(loop, parties, time, make)).c_str());
}

}  // namespace
}  // namespace tests::barrier_load

int main(int argc, char** argv) {
  return tests::load::run_program("barrier_load", argc, argv, tests::barrier_load::run);
}
