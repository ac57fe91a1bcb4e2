// Until when a client may rely on what its daemon promised. The arithmetic of docs/safety.md,
// "Client hand-over": an instant of the client's own, taken before the daemon read its clock, plus
// a duration.
#pragma once

#include <algorithm>
#include <optional>

#include "base/time.h"

namespace liblock {

using base::Duration;
using base::Instant;

class Deadline {
 public:
  // What is left, by whichever clock has less; zero if nothing.
  Duration left(Instant now) const {
    if (!end_) return Duration::zero();
    return std::max(Duration::zero(), -base::elapsed_at_most(*end_, now));
  }

  bool live(Instant now) const { return left(now) > Duration::zero(); }

  // A promise of `remaining`, made after `sent`. An older promise that reaches further stands: none
  // is ever taken back.
  void extend(Instant now, Instant sent, Duration remaining) {
    Deadline other;
    other.end_ = sent + remaining;
    if (other.left(now) > left(now)) *this = other;
  }

 private:
  std::optional<Instant> end_;
};

}  // namespace liblock
