#include "evs/net/replay_window.h"

#include "base/mutant.h"

namespace evs::net {

bool ReplayWindow::fresh(std::uint64_t counter) const {
  if (MUTANT("seal_no_replay_window")) return true;
  if (counter > highest_) return true;
  if (highest_ - counter >= kWidth) return false;
  return !accepted_.test(place(counter));
}

void ReplayWindow::accept(std::uint64_t counter) {
  if (counter > highest_) {
    if (counter - highest_ >= kWidth) {
      accepted_.reset();
    } else {
      for (std::uint64_t skipped = highest_ + 1; skipped < counter; ++skipped) {
        accepted_.reset(place(skipped));
      }
    }
    highest_ = counter;
  } else if (highest_ - counter >= kWidth) {
    return;
  }
  accepted_.set(place(counter));
}

}  // namespace evs::net
