// The checker must be silent about the real record layer under attack, and must find each planted
// bug. The planted bug is named by the environment, because it is fixed for the life of a process.
#include "tests/sim/seal_checker.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
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
using evs::net::RecordType;
using evs::net::Salt;
using evs::net::Sealer;

Salt draw_salt(base::Random& random) {
  Salt salt;
  for (std::byte& b : salt) b = static_cast<std::byte>(random.below(256));
  return salt;
}

// Nodes 1 and 2 send to each other over a network that loses, delays and duplicates, past an
// attacker that replays and forges; both restart now and then, and pass the end of a sub-key.
class Pair {
 public:
  explicit Pair(std::uint64_t seed) : random_(seed) {
    begin_life(0);
    begin_life(1);
  }

  std::optional<std::string> run() {
    for (int step = 0; step < 2000; ++step) {
      now_ = now_ + std::chrono::microseconds(random_.below(20000));
      if (random_.chance(1, 150)) restart(random_.below(2));
      send(random_.below(2), RecordType::ring, base::bytes_of("a token"));
      if (random_.chance(1, 3)) receive(random_.below(2), random_recording());
      if (random_.chance(1, 3)) {
        base::Buffer forged = random_recording();
        forged[random_.below(forged.size())] ^= static_cast<std::byte>(1u << random_.below(8));
        receive(random_.below(2), forged);
      }
    }
    return checker_.violation();
  }

  std::uint64_t brought() const { return brought_; }

 private:
  struct Life {
    Salt salt;
    Sealer sealer;
    sim::CheckedOpener opener;
  };

  void begin_life(std::size_t node) {
    const std::uint64_t first =
        (std::uint64_t{1} << evs::net::kSubKeyBits) - random_.below(100) - 1;
    const Salt salt = draw_salt(random_);
    lives_[node].reset(new Life{salt, Sealer(checker_.aead(), key_, nodes_[node], salt, first),
                                sim::CheckedOpener(checker_, key_, nodes_[node], salt, nodes_)});
  }

  void restart(std::size_t node) {
    checker_.life_ended(lives_[node]->salt);
    begin_life(node);
  }

  void send(std::size_t from, RecordType type, base::Bytes text) {
    base::Buffer datagram;
    lives_[from]->sealer.seal(type, text, datagram);
    recorded_.push_back(datagram);
    if (!random_.chance(1, 4)) receive(1 - from, datagram);
  }

  void receive(std::size_t node, const base::Buffer& datagram) {
    const auto opened = lives_[node]->opener.open(now_, datagram);
    if (opened && *opened) ++brought_;
    const auto replies = lives_[node]->opener.opener().to_send();
    const std::vector<evs::net::HandshakeRecord> records(replies.begin(), replies.end());
    for (const auto& record : records) send(node, record.type, record.text);
  }

  base::Buffer random_recording() { return recorded_[random_.below(recorded_.size())]; }

  base::Random random_;
  base::Instant now_;
  sim::SealChecker checker_;
  const ClusterKey key_;
  const std::vector<base::NodeId> nodes_{base::NodeId{1}, base::NodeId{2}};
  std::unique_ptr<Life> lives_[2];
  std::vector<base::Buffer> recorded_;
  std::uint64_t brought_ = 0;
};

std::string first_violation() {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    if (auto violation = Pair(seed).run()) return *violation;
  }
  return {};
}

}  // namespace

TEST_CASE("the record layer under attack gives the seal checker nothing to report") {
  if (std::getenv("SEAL_MUTANT")) return;
  CHECK(first_violation() == "");
  Pair pair(1);
  static_cast<void>(pair.run());
  CHECK(pair.brought() > 1000);  // Proofs get through, and so most messages.
}

TEST_CASE("the seal checker finds the planted bug") {
  if (!std::getenv("SEAL_MUTANT")) return;
  CHECK(first_violation() != "");
  MESSAGE(first_violation());
}
