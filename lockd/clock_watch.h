// Do the two clocks that leases rest upon run alike? Nothing can tell which of two clocks is wrong,
// but clocks that differ by a fifth over ten seconds are no clocks to promise anything by: leases
// are not renewed then (docs/safety.md, "Clocks"). Time in suspend is none of their difference.
#pragma once

#include <deque>

#include "base/time.h"

namespace lockd {

class ClockWatch {
 public:
  static constexpr base::Duration kSpan = std::chrono::seconds(10);

  // `suspended`: how long the machine has been in suspend, in all, up to `now`. To be called often;
  // one reading in a second is looked at.
  void observe(base::Instant now, base::Duration suspended);

  // By the last ten seconds, or longer if nothing was observed meanwhile. True before that.
  bool agree() const { return agree_; }

 private:
  struct Reading {
    base::Duration awake{};  // The boot clock less the time in suspend.
    base::Duration raw{};
  };

  std::deque<Reading> readings_;  // A second apart at least; the first one is as old as kSpan.
  bool agree_ = true;
};

}  // namespace lockd
