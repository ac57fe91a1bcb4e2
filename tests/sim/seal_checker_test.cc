// The checker must be silent about the real record layer under attack, and must find each planted
// bug. The planted bug is named by the environment, because it is fixed for the life of a process.
#include "tests/sim/seal_checker.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutant.h"
#include "base/random.h"
#include "evs/net/sealer.h"

namespace base {
bool mutant_active(const char* name) {
  const char* active = std::getenv("SEAL_MUTANT");
  return active && std::string_view(active) == name;
}
}  // namespace base

namespace {

using evs::net::ClusterKey;
using evs::net::Salt;
using evs::net::Sealer;

Salt draw_salt(base::Random& random) {
  Salt salt;
  for (std::byte& b : salt) b = static_cast<std::byte>(random.below(256));
  return salt;
}

// Node 1 sends to node 2 over a network that loses, delays and duplicates, past an attacker that
// replays and forges; node 1 restarts now and then, and passes the end of a sub-key.
std::optional<std::string> run(std::uint64_t seed) {
  base::Random random(seed);
  sim::SealChecker checker;
  const ClusterKey key;
  const std::vector<base::NodeId> nodes{base::NodeId{1}, base::NodeId{2}};
  sim::CheckedOpener opener(checker, key, nodes[1], nodes);
  std::vector<base::Buffer> recorded;
  for (int life = 0; life < 8; ++life) {
    const std::uint64_t first = (std::uint64_t{1} << evs::net::kSubKeyBits) - random.below(100) - 1;
    Sealer sealer(checker.aead(), key, nodes[0], draw_salt(random), first);
    for (int i = 0; i < 200; ++i) {
      base::Buffer datagram;
      sealer.seal(base::bytes_of("a token"), datagram);
      if (!random.chance(1, 4)) static_cast<void>(opener.open(datagram));
      recorded.push_back(datagram);
      if (random.chance(1, 3)) {
        static_cast<void>(opener.open(recorded[random.below(recorded.size())]));
      }
      if (random.chance(1, 3)) {
        base::Buffer forged = recorded[random.below(recorded.size())];
        forged[random.below(forged.size())] ^= static_cast<std::byte>(1u << random.below(8));
        static_cast<void>(opener.open(forged));
      }
    }
  }
  return checker.violation();
}

std::string first_violation() {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    if (auto violation = run(seed)) return *violation;
  }
  return {};
}

}  // namespace

TEST_CASE("the record layer under attack gives the seal checker nothing to report") {
  if (std::getenv("SEAL_MUTANT")) return;
  CHECK(first_violation() == "");
}

TEST_CASE("the seal checker finds the planted bug") {
  if (!std::getenv("SEAL_MUTANT")) return;
  CHECK(first_violation() != "");
  MESSAGE(first_violation());
}
