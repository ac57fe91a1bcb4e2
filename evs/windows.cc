#include "evs/windows.h"

#include <algorithm>
#include <chrono>

namespace evs {

namespace {

// Enough packets for a share of loss to stand out from chance.
constexpr std::uint64_t kSamplePackets = 512;

// Windows grow while a rotation takes less than this, and shrink from twice as much on.
constexpr Duration kShortRotation = std::chrono::milliseconds(10);

constexpr std::uint64_t kWhole = 1024;

// From so much loss on a token is worth a second copy, and a third.
constexpr std::uint64_t kTwoCopies = kWhole / 20;
constexpr std::uint64_t kThreeCopies = kWhole / 5;

// More loss than before by this much is a change and no chance.
constexpr std::uint64_t kMargin = kWhole / 8;

}  // namespace

Windows::Windows(const Config& config)
    : personal_begin_(config.personal_window),
      rotation_begin_(config.rotation_window),
      accelerated_begin_(config.accelerated_window),
      personal_min_(std::min(config.personal_window_min, config.personal_window)),
      personal_max_(config.personal_window * config.window_growth),
      token_copies_max_(config.token_copies_max),
      personal_(config.personal_window) {}

void Windows::after_visit(std::uint64_t numbered, std::uint64_t repeated, Duration took) {
  if (busy(numbered)) {
    ++busy_rotations_;
    busy_ += took;
  }
  numbered_ += numbered;
  repeated_ += repeated;
  if (numbered_ < kSamplePackets) return;
  const Share loss = std::min(kWhole, repeated_ * kWhole / numbered_);
  loss_ = (3 * loss_ + loss) / 4;
  after_sample(loss);
  numbered_ = 0;
  repeated_ = 0;
  busy_rotations_ = 0;
  busy_ = {};
}

std::uint32_t Windows::token_copies() const {
  const std::uint32_t worth = loss_ < kTwoCopies ? 1 : loss_ < kThreeCopies ? 2 : 3;
  return std::min(worth, token_copies_max_);
}

// Up to the configured size a window grows whatever a rotation takes, and whatever little is lost.
// Beyond it only while next to nothing is lost and the others need not wait long for the token.
void Windows::grow(Share loss) {
  const std::uint32_t larger = personal_ + 1 + personal_ / 16;
  if (personal_ < personal_begin_) {
    personal_ = std::min(larger, personal_begin_);
    return;
  }
  const Duration took = busy_rotations_ == 0 ? Duration{} : busy_ / busy_rotations_;
  const bool lossy = loss > borne_ + kMargin / 8;
  if (lossy || took > 2 * kShortRotation) {
    personal_ = std::max(personal_ / 2, personal_begin_);
  } else if (busy_rotations_ > 0 && took < kShortRotation) {
    personal_ = std::min(larger, personal_max_);
  }
}

// Additive increase, multiplicative decrease; but first a sample at the smallest window tells
// whether the loss comes of sending much. Loss that stays does not, and a smaller window would only
// add slowness to it.
void Windows::after_sample(Share loss) {
  if (probed_at_ != 0) {
    const bool of_sending = loss + kMargin < probed_loss_;
    personal_ = of_sending ? std::max(probed_at_ / 2, personal_min_) : probed_at_;
    if (!of_sending) borne_ = probed_loss_;
    probed_at_ = 0;
  } else if (loss <= borne_ + kMargin) {
    borne_ = std::min(borne_, (15 * borne_ + loss) / 16);
    grow(loss);
  } else if (personal_ > personal_min_) {
    probed_at_ = personal_;
    probed_loss_ = loss;
    personal_ = personal_min_;
  } else {
    borne_ = loss;
  }
}

}  // namespace evs
