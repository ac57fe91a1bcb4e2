#include "lockd/barrier_clocks.h"

namespace lockd {

void BarrierClocks::start(Instant now, const barrier::OpenStep& step) {
  if (step.patience == 0) return;
  stop(step.key);
  const Duration end = now.boot + std::chrono::milliseconds(step.patience);
  ends_[step.key] = end;
  in_order_.emplace(end, step.key);
}

void BarrierClocks::restart(Instant now, const std::vector<barrier::OpenStep>& steps) {
  ends_.clear();
  in_order_.clear();
  for (const barrier::OpenStep& step : steps) start(now, step);
}

void BarrierClocks::stop(barrier::OutcomeKey key) {
  const auto found = ends_.find(key);
  if (found == ends_.end()) return;
  in_order_.erase({found->second, key});
  ends_.erase(found);
}

void BarrierClocks::drop(const std::function<bool(barrier::OutcomeKey)>& is_over) {
  for (auto at = ends_.begin(); at != ends_.end();) {
    const auto [key, end] = *at++;
    if (is_over(key)) stop(key);
  }
}

std::vector<barrier::OutcomeKey> BarrierClocks::take_due(Instant now, Duration late, Duration again,
                                                         std::size_t most) {
  std::vector<barrier::OutcomeKey> due;
  while (due.size() < most && !in_order_.empty() && in_order_.begin()->first + late <= now.boot) {
    const barrier::OutcomeKey key = in_order_.begin()->second;
    in_order_.erase(in_order_.begin());
    const Duration next = now.boot + again;
    ends_[key] = next;
    in_order_.emplace(next, key);
    due.push_back(key);
  }
  return due;
}

std::optional<Duration> BarrierClocks::next_due(Duration late) const {
  if (in_order_.empty()) return std::nullopt;
  return in_order_.begin()->first + late;
}

}  // namespace lockd
