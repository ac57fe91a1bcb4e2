#include "lockd/clock_watch.h"

#include <algorithm>
#include <chrono>

namespace lockd {

namespace {

constexpr base::Duration kStep = std::chrono::seconds(1);

}  // namespace

void ClockWatch::observe(base::Instant now, base::Duration suspended) {
  const Reading reading{now.boot - suspended, now.raw};
  const auto since = [&](const Reading& before) {
    return std::max(reading.awake - before.awake, reading.raw - before.raw);
  };
  if (!readings_.empty() && since(readings_.back()) < kStep) return;
  readings_.push_back(reading);
  if (since(readings_.front()) < kSpan) return;
  while (readings_.size() > 1 && since(readings_[1]) >= kSpan) readings_.pop_front();
  const base::Duration awake = reading.awake - readings_.front().awake;
  const base::Duration raw = reading.raw - readings_.front().raw;
  agree_ = 5 * std::max(awake - raw, raw - awake) <= std::max(awake, raw);
}

}  // namespace lockd
