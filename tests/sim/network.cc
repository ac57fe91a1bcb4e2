#include "tests/sim/network.h"

#include <algorithm>
#include <utility>

namespace sim {

namespace {
constexpr std::size_t kRecordedMax = 256;
}

Network::Network(const RunOptions& options, base::Random random)
    : options_(options), random_(random), nodes_(options.nodes), links_(nodes_ * nodes_, true) {}

void Network::send(Duration now, std::size_t from, std::size_t to, const base::Buffer& datagram,
                   EventQueue& queue) {
  if (perfect_) {
    if (!connected(from, to)) return;
    deliver(now + random_.between(options_.delay_min, options_.delay_max), to, datagram, queue);
    return;
  }
  // The attacker sees what is sent, whether it arrives or not.
  if (options_.attack > 0) {
    if (recorded_.size() < kRecordedMax) {
      recorded_.push_back(datagram);
    } else if (random_.chance(1, 8)) {
      recorded_[random_.below(kRecordedMax)] = datagram;
    }
    if (drawn(options_.attack)) attack(now, queue);
  }
  if (!connected(from, to) || drawn(options_.loss)) return;
  Duration at = now + random_.between(options_.delay_min, options_.delay_max);
  if (drawn(options_.straggling)) at += random_.between(Duration(0), options_.straggle_max);
  if (drawn(options_.duplication)) {
    deliver(at + random_.between(Duration(0), options_.straggle_max), to, datagram, queue);
  }
  deliver(at, to, datagram, queue);
}

void Network::deliver(Duration at, std::size_t to, base::Buffer datagram, EventQueue& queue) {
  queue.push(at, Happening::datagram, to, 0, std::move(datagram));
}

// Replays a recording to anybody, or changes some of its bytes first.
void Network::attack(Duration now, EventQueue& queue) {
  if (recorded_.empty()) return;
  base::Buffer datagram = recorded_[random_.below(recorded_.size())];
  if (random_.chance(1, 2)) {
    for (std::uint64_t changes = random_.between(std::uint64_t{1}, std::uint64_t{4}); changes > 0;
         --changes) {
      const auto flipped = static_cast<unsigned char>(1 + random_.below(255));
      datagram[random_.below(datagram.size())] ^= std::byte{flipped};
    }
    if (random_.chance(1, 8)) datagram.resize(random_.below(datagram.size()));
  }
  deliver(now + random_.between(Duration(0), options_.straggle_max), random_.below(nodes_),
          std::move(datagram), queue);
}

void Network::partition() {
  heal();
  if (options_.adjacency) {
    const std::uint64_t up = random_.between(std::uint64_t{1}, std::uint64_t{15});
    for (std::size_t a = 0; a < nodes_; ++a) {
      for (std::size_t b = 0; b < nodes_; ++b) {
        if (a != b) links_[a * nodes_ + b] = random_.chance(up, 16);
      }
    }
    return;
  }
  if (random_.chance(1, 4)) {
    // Any adjacency.
    for (std::size_t a = 0; a < nodes_; ++a) {
      for (std::size_t b = 0; b < a; ++b) {
        const bool up = random_.chance(1, 2);
        links_[a * nodes_ + b] = up;
        links_[b * nodes_ + a] = options_.one_way_cuts ? random_.chance(1, 2) : up;
      }
    }
    return;
  }
  const std::uint64_t sides = random_.chance(1, 4) ? 3 : 2;
  std::vector<std::uint64_t> side(nodes_);
  for (auto& s : side) s = random_.below(sides);
  const bool one_way = options_.one_way_cuts && random_.chance(1, 2);
  for (std::size_t a = 0; a < nodes_; ++a) {
    for (std::size_t b = 0; b < nodes_; ++b) {
      if (side[a] != side[b] && (!one_way || side[a] < side[b])) links_[a * nodes_ + b] = false;
    }
  }
}

void Network::heal() {
  std::fill(links_.begin(), links_.end(), true);
}

// The same link goes up and down for a while, then another.
void Network::flap() {
  flapped_ = !flapped_;
  if (!flapped_ || nodes_ < 2 || !random_.chance(1, 8)) return;
  flapping_from_ = random_.below(nodes_);
  flapping_to_ = (flapping_from_ + 1 + random_.below(nodes_ - 1)) % nodes_;
  flapping_both_ways_ = random_.chance(1, 2);
}

void Network::isolate(const std::vector<bool>& core) {
  for (std::size_t a = 0; a < nodes_; ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      if (core[a] && core[b]) continue;
      const bool outside = !core[a] && !core[b];
      const bool there = random_.chance(1, 2);
      const bool back = random_.chance(1, 2);
      links_[a * nodes_ + b] = there;
      links_[b * nodes_ + a] = back && (outside || !there);
    }
  }
}

void Network::become_perfect() {
  heal();
  flapped_ = false;
  perfect_ = true;
}

bool Network::cut() const {
  return std::find(links_.begin(), links_.end(), false) != links_.end();
}

}  // namespace sim
