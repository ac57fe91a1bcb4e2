// Until when steps of barriers may wait, by this node's boot clock, since it saw them open or
// loaded the table that has them open. What a time-out does is ordered: docs/barriers.md,
// "Time-out".
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "barrier/table.h"
#include "base/time.h"

namespace lockd {

using base::Duration;
using base::Instant;

class BarrierClocks {
 public:
  // Starts the clock of a step that has opened; none if its patience is without end.
  void start(Instant now, const barrier::OpenStep& step);

  // All clocks anew: of the table that is this node's now.
  void restart(Instant now, const std::vector<barrier::OpenStep>& steps);

  // It has ended. Nothing happens if it has no clock.
  void stop(barrier::OutcomeKey key);

  // Those of which that is true.
  void drop(const std::function<bool(barrier::OutcomeKey)>& is_over);

  // Steps whose patience was over `late` ago, at most `most`. They come again after `again`: what
  // was sent of them may be lost.
  std::vector<barrier::OutcomeKey> take_due(Instant now, Duration late, Duration again,
                                            std::size_t most);

  // When take_due() has something, on the boot clock.
  std::optional<Duration> next_due(Duration late) const;

  std::size_t size() const { return ends_.size(); }

 private:
  std::map<barrier::OutcomeKey, Duration> ends_;
  std::set<std::pair<Duration, barrier::OutcomeKey>> in_order_;
};

}  // namespace lockd
