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

  // One link, or one direction of it, goes down, or up again.
  void flap();

  // From now on nothing is lost, late or forged.
  void become_perfect();

  // What is not among `core` has no link with it for good, or one way only; between themselves the
  // others have any.
  void isolate(const std::vector<bool>& core);

  bool connected(std::size_t from, std::size_t to) const {
    return links_[from * nodes_ + to] && !(flapped_ && is_flapping(from, to));
  }
  bool cut() const;

 private:
  bool is_flapping(std::size_t from, std::size_t to) const {
    return (from == flapping_from_ && to == flapping_to_) ||
           (flapping_both_ways_ && from == flapping_to_ && to == flapping_from_);
  }
  void deliver(Duration at, std::size_t to, base::Buffer datagram, EventQueue& queue);
  void attack(Duration now, EventQueue& queue);
  bool drawn(std::uint32_t of_a_thousand) { return random_.chance(of_a_thousand, 1000); }

  const RunOptions& options_;
  base::Random random_;
  std::size_t nodes_;
  bool perfect_ = false;
  std::vector<bool> links_;
  bool flapped_ = false;
  std::size_t flapping_from_ = 0;
  std::size_t flapping_to_ = 0;
  bool flapping_both_ways_ = false;
  std::deque<base::Buffer> recorded_;  // By the attacker; bounded.
};

}  // namespace sim
