#include "evs/windows.h"

#include <algorithm>

namespace evs {

namespace {

// Enough packets for a share of loss to stand out from chance.
constexpr std::uint64_t kSamplePackets = 512;

constexpr std::uint64_t kWhole = 1024;

// From so much loss on a token is worth a second copy, and a third.
constexpr std::uint64_t kTwoCopies = kWhole / 20;
constexpr std::uint64_t kThreeCopies = kWhole / 5;

// More loss than before by this much is a change and no chance.
constexpr std::uint64_t kMargin = kWhole / 8;

}  // namespace

Windows::Windows(const Config& config)
    : personal_max_(config.personal_window),
      personal_min_(std::min(config.personal_window_min, config.personal_window)),
      rotation_max_(config.rotation_window),
      accelerated_max_(config.accelerated_window),
      token_copies_max_(config.token_copies_max),
      personal_(config.personal_window) {}

void Windows::after_visit(std::uint64_t numbered, std::uint64_t repeated) {
  numbered_ += numbered;
  repeated_ += repeated;
  if (numbered_ < kSamplePackets) return;
  const Share loss = std::min(kWhole, repeated_ * kWhole / numbered_);
  loss_ = (3 * loss_ + loss) / 4;
  after_sample(loss);
  numbered_ = 0;
  repeated_ = 0;
}

std::uint32_t Windows::token_copies() const {
  const std::uint32_t worth = loss_ < kTwoCopies ? 1 : loss_ < kThreeCopies ? 2 : 3;
  return std::min(worth, token_copies_max_);
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
    personal_ = std::min(personal_ + 1 + personal_ / 16, personal_max_);
  } else if (personal_ > personal_min_) {
    probed_at_ = personal_;
    probed_loss_ = loss;
    personal_ = personal_min_;
  } else {
    borne_ = loss;
  }
}

}  // namespace evs
