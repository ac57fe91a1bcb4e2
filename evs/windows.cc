#include "evs/windows.h"

#include <algorithm>

namespace evs {

namespace {

// Enough packets for a share of loss to stand out from chance.
constexpr std::uint64_t kSamplePackets = 2048;

constexpr std::uint64_t kWhole = 1024;

// More loss than before by this much is a change and no chance.
constexpr std::uint64_t kMargin = kWhole / 8;

}  // namespace

Windows::Windows(const Config& config)
    : personal_max_(config.personal_window),
      personal_min_(std::min(config.personal_window_min, config.personal_window)),
      rotation_max_(config.rotation_window),
      accelerated_max_(config.accelerated_window),
      personal_(config.personal_window) {}

void Windows::after_visit(std::uint64_t numbered, std::uint64_t repeated) {
  numbered_ += numbered;
  repeated_ += repeated;
  if (numbered_ < kSamplePackets) return;
  after_sample(std::min(kWhole, repeated_ * kWhole / numbered_));
  numbered_ = 0;
  repeated_ = 0;
}

// Additive increase, multiplicative decrease; but loss that is there at the smallest window too is
// not made by sending too much, and a smaller window would only add slowness to it.
void Windows::after_sample(Share loss) {
  if (loss <= borne_ + kMargin) {
    borne_ = std::min(borne_, (15 * borne_ + loss) / 16);
    backing_off_ = 0;
    personal_ = std::min(personal_ + 1, personal_max_);
    return;
  }
  if (backing_off_ == 0) backing_off_ = personal_;
  if (personal_ > personal_min_) {
    personal_ = std::max(personal_ / 2, personal_min_);
    return;
  }
  borne_ = loss;
  personal_ = backing_off_;
  backing_off_ = 0;
}

}  // namespace evs
