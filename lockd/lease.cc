#include "lockd/lease.h"

#include <algorithm>

#include "base/mutant.h"

namespace lockd {

void RingStamps::installed(const RingId& ring, Instant at) {
  stamps_.push_back({ring, at, at});
  if (stamps_.size() > kRingsMax) {
    stamps_.pop_front();
  }
}

void RingStamps::token(const RingId& ring, Instant at) {
  if (!stamps_.empty() && stamps_.back().ring == ring) {
    Instant& last = stamps_.back().last_token;
    last = {std::max(last.boot, at.boot), std::max(last.raw, at.raw)};
  }
}

const RingStamps::Stamp* RingStamps::find(const RingId& ring) const {
  const auto found = std::find_if(stamps_.rbegin(), stamps_.rend(),
                                  [&](const Stamp& stamp) { return stamp.ring == ring; });
  return found == stamps_.rend() ? nullptr : &*found;
}

std::optional<Instant> RingStamps::last_token(const RingId& ring) const {
  const Stamp* stamp = find(ring);
  return stamp == nullptr ? std::nullopt : std::optional(stamp->last_token);
}

std::optional<Instant> RingStamps::install(const RingId& ring) const {
  const Stamp* stamp = find(ring);
  return stamp == nullptr ? std::nullopt : std::optional(stamp->install);
}

bool Lease::renew(Instant release) {
  const Instant deadline = release + length_;
  if (deadline_ && deadline.boot <= deadline_->boot && deadline.raw <= deadline_->raw) {
    return false;
  }
  deadline_ = deadline;
  return true;
}

base::Duration Lease::left(Instant now) const {
  if (!deadline_) {
    return base::Duration::zero();
  }
  if (MUTANT("lease_by_boot_clock"))
    return std::max(base::Duration::zero(), deadline_->boot - now.boot);
  // A holder trusts the clock that ran further [docs/safety.md, clocks].
  return std::max(base::Duration::zero(),
                  std::min(deadline_->boot - now.boot, deadline_->raw - now.raw));
}

void OrphanWaits::add(const Mark& mark, Instant from) {
  if (from_.try_emplace(mark, from).second) {
    pending_.emplace(from.boot, mark);
  }
}

bool OrphanWaits::remove(SessionId session) {
  const auto begin = from_.lower_bound(Mark{session, {}, {}});
  auto end = begin;
  for (; end != from_.end() && end->first.session == session; ++end) {
    pending_.erase({end->second.boot, end->first});
  }
  const bool any = begin != end;
  from_.erase(begin, end);
  return any;
}

void OrphanWaits::clear() {
  from_.clear();
  pending_.clear();
}

std::vector<Mark> OrphanWaits::take_due(Instant now, base::Duration wait, std::size_t most) {
  std::vector<Mark> due;
  for (auto at = pending_.begin(); at != pending_.end() && due.size() < most;) {
    if (now.boot - at->first < wait) {
      break;
    }
    // The boot clock says so; the other one has to agree.
    if (!MUTANT("wait_by_boot_clock") && base::elapsed_at_least(from_.at(at->second), now) < wait) {
      ++at;
      continue;
    }
    due.push_back(at->second);
    at = pending_.erase(at);
  }
  return due;
}

void OrphanWaits::retry() {
  for (const auto& [mark, from] : from_) {
    pending_.emplace(from.boot, mark);
  }
}

std::optional<base::Duration> OrphanWaits::next_due(Instant now, base::Duration wait) const {
  if (pending_.empty()) {
    return std::nullopt;
  }
  const Instant from = from_.at(pending_.begin()->second);
  return now.boot + std::max(base::Duration::zero(), wait - base::elapsed_at_least(from, now));
}

}  // namespace lockd
