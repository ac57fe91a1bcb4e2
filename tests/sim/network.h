// The simulated network: which datagram arrives where, when, how often, and what an attacker makes
// of it. It knows nothing of what the datagrams say.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/run_options.h"

namespace sim {

class Network {
 public:
  Network(const RunOptions& options, base::Random random);

  void send(Duration now, std::size_t from, std::size_t to, const base::Buffer& datagram,
            EventQueue& queue);

  // Cuts links at random: two or three sides, or any adjacency, one way if the options say so.
  void partition();
  void heal();

  // From now on nothing is lost, late or forged.
  void become_perfect();

  bool connected(std::size_t from, std::size_t to) const { return links_[from * nodes_ + to]; }
  bool cut() const;

 private:
  void deliver(Duration at, std::size_t to, base::Buffer datagram, EventQueue& queue);
  void attack(Duration now, EventQueue& queue);
  bool drawn(std::uint32_t of_a_thousand) { return random_.chance(of_a_thousand, 1000); }

  const RunOptions& options_;
  base::Random random_;
  std::size_t nodes_;
  bool perfect_ = false;
  std::vector<bool> links_;
  std::deque<base::Buffer> recorded_;  // By the attacker; bounded.
};

}  // namespace sim
