#include "evs/flight_recorder.h"

#include <algorithm>

namespace evs {

namespace {

// The same, but for how much and how long.
bool alike(const TraceRecord& a, const TraceRecord& b) {
  return a.event == b.event && a.ring == b.ring && a.reason == b.reason &&
         a.processor == b.processor && a.teller == b.teller && a.members == b.members;
}

}  // namespace

bool FlightRecorder::keeps(TraceEvent event) {
  switch (event) {
    case TraceEvent::token_accepted:
    case TraceEvent::token_released:
    case TraceEvent::token_held:
    case TraceEvent::message_numbered:
    case TraceEvent::packet_missing:
      return false;
    default:
      return true;
  }
}

void FlightRecorder::record(base::Duration now, const TraceRecord& what) {
  if (!keeps(what.event)) return;
  for (std::uint64_t back = 0; back < std::min<std::uint64_t>(kLookBack, last_); ++back) {
    FlightRecord& before = at(last_ - back);
    if (!alike(before.what, what)) continue;
    before.last_at = now;
    ++before.times;
    before.what = what;
    return;
  }
  ++last_;
  at(last_) = FlightRecord{last_, now, now, 1, what};
}

std::vector<FlightRecord> FlightRecorder::records(std::uint64_t since, std::size_t most) const {
  std::vector<FlightRecord> found;
  const std::uint64_t overwritten = last_ - std::min<std::uint64_t>(last_, kRecordsMax);
  for (std::uint64_t number = std::max(since, overwritten) + 1;
       number <= last_ && found.size() < most; ++number) {
    found.push_back(at(number));
  }
  return found;
}

}  // namespace evs
