// Which counters of one life of a sender were accepted: everything is known of the newest 4096, and
// older ones count as accepted.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>

namespace evs::net {

class ReplayWindow {
 public:
  static constexpr std::uint64_t kWidth = 4096;

  // Everything up to `floor` counts as accepted.
  explicit ReplayWindow(std::uint64_t floor = 0) : highest_(floor) { accepted_.set(); }

  // True if this counter was certainly not accepted before.
  bool fresh(std::uint64_t counter) const;

  // To be called for an authenticated datagram only: a forged counter would shut out the genuine
  // ones.
  void accept(std::uint64_t counter);

  std::uint64_t highest() const { return highest_; }

 private:
  static std::size_t place(std::uint64_t counter) {
    return static_cast<std::size_t>(counter % kWidth);
  }

  std::uint64_t highest_;
  std::bitset<kWidth> accepted_;  // Of the counters in (highest_ - kWidth, highest_].
};

}  // namespace evs::net
