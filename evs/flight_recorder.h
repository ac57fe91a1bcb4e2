// What happened to a ring member of late: the trace's rare events with their times, in a buffer of
// fixed size, the oldest overwritten. Always on; recording allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"
#include "evs/trace.h"

namespace evs {

struct FlightRecord {
  std::uint64_t number = 0;  // 1, 2, 3, ... since the member started.
  base::Duration at{0};      // On the boot clock.
  base::Duration last_at{0};
  std::uint32_t times = 1;  // It came so often from `at` to `last_at`, with nothing much between.
  TraceRecord what{};       // As it was the last time.
};

class FlightRecorder {
 public:
  // About 120 bytes each. A change of the ring takes some ten of them and a few for each member
  // that comes or goes.
  static constexpr std::size_t kRecordsMax = 512;

  // What comes again within this many records is counted and not repeated, so that what goes on for
  // long does not push out what explains it.
  static constexpr std::size_t kLookBack = 4;

  FlightRecorder() : records_(kRecordsMax) {}

  // Events that happen at every visit of the token are left out.
  static bool keeps(TraceEvent event);

  void record(base::Duration now, const TraceRecord& what);

  // Those with a number above `since`, oldest first, `most` of them.
  std::vector<FlightRecord> records(std::uint64_t since = 0, std::size_t most = kRecordsMax) const;

 private:
  FlightRecord& at(std::uint64_t number) { return records_[(number - 1) % kRecordsMax]; }
  const FlightRecord& at(std::uint64_t number) const {
    return records_[(number - 1) % kRecordsMax];
  }

  std::vector<FlightRecord> records_;
  std::uint64_t last_ = 0;
};

}  // namespace evs
