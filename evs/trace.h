// Typed records of what a ring member does, for the simulator's columns and the flight recorder.
// The core emits them; whoever listens formats them.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/ids.h"
#include "evs/event.h"

namespace evs {

enum class TraceEvent : std::uint8_t {
  enter_operational,
  enter_gather,
  enter_commit,
  enter_recovery,
  install_transitional,
  install_regular,
  token_accepted,
  token_released,
  token_lost,
  token_held,
  message_numbered,  // `sequence`, `index`: a message of this member got its place in the order of
                     // `ring`.
  packet_missing,
  recovered,
  left,
};

std::string_view to_string(TraceEvent event);

struct TraceRecord {
  TraceEvent event{};
  base::RingId ring;
  std::uint64_t sequence = 0;
  std::uint32_t index = 0;
  std::string_view detail;  // A constant: why.
};

class TraceSink {
 public:
  virtual ~TraceSink() = default;
  virtual void record(const TraceRecord& record) = 0;
};

}  // namespace evs
