// How many packets a member may send in a visit, how many all may send in a rotation, and how many
// leave after the token: the configured windows, more of all three while rotations are short, and
// less while sending more only makes more packets get lost. Pure counting; what a window limits is
// docs/protocol.md, "Flow control".
#pragma once

#include <algorithm>
#include <cstdint>

#include "evs/config.h"

namespace evs {

class Windows {
 public:
  explicit Windows(const Config& config);

  std::uint32_t personal() const { return personal_; }
  std::uint32_t rotation() const { return scaled(rotation_begin_); }
  std::uint32_t accelerated() const { return scaled(accelerated_begin_); }

  // How many copies of a token to send: one, and more while so much is lost that waiting until it
  // is sent again would cost more.
  std::uint32_t token_copies() const;

  // A visit is over. Since the one before it, `took` ago, `numbered` packets were numbered by all,
  // and this member asked for or sent again `repeated` of the ring's.
  void after_visit(std::uint64_t numbered, std::uint64_t repeated, Duration took);

  // So many packets in a rotation are enough that its length comes of them.
  bool busy(std::uint64_t numbered) const { return numbered >= std::max(personal_, kManyPackets); }

 private:
  static constexpr std::uint32_t kManyPackets = 8;

  // Loss is a share in 1/1024 of the packets numbered.
  using Share = std::uint64_t;

  std::uint32_t scaled(std::uint32_t window) const {
    return static_cast<std::uint32_t>(std::uint64_t{window} * personal_ / personal_begin_);
  }
  void after_sample(Share loss);
  void grow(Share loss);

  std::uint32_t personal_begin_;
  std::uint32_t rotation_begin_;
  std::uint32_t accelerated_begin_;
  std::uint32_t personal_min_;
  std::uint32_t personal_max_;
  std::uint32_t token_copies_max_;

  std::uint32_t personal_;
  Share loss_ = 0;               // Smoothed, whatever it comes from.
  Share borne_ = 0;              // Loss that does not come from our sending.
  std::uint32_t probed_at_ = 0;  // The window before; 0: the smallest is not tried.
  Share probed_loss_ = 0;        // The loss then.
  std::uint64_t numbered_ = 0;   // Of the sample that is being taken.
  std::uint64_t repeated_ = 0;
  int busy_rotations_ = 0;
  Duration busy_{};  // How long those took together.
};

}  // namespace evs
