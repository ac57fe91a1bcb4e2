// lock_load: clients of lock services for tests/bench/locks_vs_peers, each in its service's own
// protocol.
//
//   lock_load cycles SYSTEM CLIENTS known|fresh|one SECONDS PAUSE_US PAUSE_US ADDRESS...
//   lock_load hold SOCKET LOCKS SESSIONS
//   lock_load watch SOCKET LEAST_US
//
// SYSTEM: ringlock, etcd, zookeeper (client after client at the next of the addresses), or redis
// (each client at all addresses: one server, or Redlock). The pause, between its least and its
// most: before a client of redis tries again, and with `one` before it asks again. What the lines
// of the answers say is in figures.h and held.h.
#include <cstdio>

#include "tests/bench/load/session_time.h"
#include "tests/bench/load/words.h"
#include "tests/bench/lock_load/cycles.h"
#include "tests/bench/lock_load/etcd_locks.h"
#include "tests/bench/lock_load/held.h"
#include "tests/bench/lock_load/ringlock_locks.h"
#include "tests/bench/lock_load/zookeeper_locks.h"

namespace tests::lock_load {
namespace {

constexpr std::size_t kClientsMost = 200;

Names names_of(const std::string& word) {
  if (word == "known") return Names::known;
  if (word == "fresh") return Names::fresh;
  if (word == "one") return Names::one;
  throw load::Usage(word + ": not known, fresh or one");
}

std::unique_ptr<Locks> locks_of(const std::string& system, load::Loop& loop, const Cycles& cycles,
                                Pause retry, const std::vector<std::string>& addresses,
                                std::size_t client) {
  const std::string& address = addresses[(client - 1) % addresses.size()];
  if (system == "ringlock") return std::make_unique<RinglockLocks>(loop, address);
  if (system == "zookeeper")
    return std::make_unique<ZooKeeperLocks>(loop, address, client, client <= addresses.size());
  if (system == "redis") return std::make_unique<RedisLocks>(loop, addresses, client, retry);
  if (system != "etcd") throw load::Usage("no system is called " + system);
  const bool queue = cycles.names == Names::one;
  return std::make_unique<EtcdLocks>(loop, address,
                                     queue ? EtcdRecipe::lock_service : EtcdRecipe::transaction);
}

void run(const std::vector<std::string>& words) {
  if (words.size() == 4 && words[0] == "hold") {
    const std::size_t sessions = load::count_of(words[3], 1, 1000);
    hold(words[1], load::count_of(words[2], 1, 65'536 * sessions), sessions);
  } else if (words.size() == 3 && words[0] == "watch") {
    watch(words[1], load::time_of(words[2], std::chrono::microseconds(1), std::chrono::seconds(1)));
  } else if (words.size() >= 8 && words[0] == "cycles") {
    Cycles cycles;
    cycles.clients = load::count_of(words[2], 1, kClientsMost);
    cycles.names = names_of(words[3]);
    // No session may end meanwhile that nobody keeps alive.
    cycles.time = load::time_of(words[4], std::chrono::seconds(1), load::kSessionTime / 3);
    Pause retry;
    retry.least = load::time_of(words[5], std::chrono::microseconds(1), std::chrono::seconds(1));
    retry.most = load::time_of(words[6], std::chrono::microseconds(1), std::chrono::seconds(1));
    if (retry.least > retry.most) throw load::Usage("the least pause is longer than the longest");
    if (cycles.names == Names::one) cycles.pause = retry;
    const std::vector<std::string> addresses(words.begin() + 7, words.end());
    load::Loop loop;
    const auto make = [&](std::size_t client) {
      return locks_of(words[1], loop, cycles, retry, addresses, client);
    };
    std::puts(line_of(measure(loop, cycles, make)).c_str());
  } else {
    throw load::Usage("cycles, hold or watch, with their words");
  }
}

}  // namespace
}  // namespace tests::lock_load

int main(int argc, char** argv) {
  return tests::load::run_program("lock_load", argc, argv, tests::lock_load::run);
}
