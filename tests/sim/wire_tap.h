// Reads what daemons write to their clients, and tells the judges which grants, which outcomes of
// barriers and which durations were handed out, whether or not they arrive.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "base/bytes.h"
#include "liblock/protocol/codec.h"
#include "tests/sim/barrier_checker.h"
#include "tests/sim/lock_checker.h"
#include "tests/sim/virtual_clock.h"

namespace sim {

class WireTap {
 public:
  WireTap(LockChecker& checker, BarrierChecker& barrier_checker)
      : checker_(checker), barrier_checker_(barrier_checker) {}

  // Bytes of a connection, by the daemon `by`; `clock` is the client's.
  void written(TrueTime at, const base::Processor& by, std::uint64_t connection,
               const VirtualClock& clock, base::Bytes bytes);
  void closed(std::uint64_t connection) { taps_.erase(connection); }

 private:
  struct Tap {
    liblock::protocol::FrameCutter cutter{liblock::protocol::kResponseBytesMax};
    std::optional<base::SessionId> session;
  };

  LockChecker& checker_;
  BarrierChecker& barrier_checker_;
  std::map<std::uint64_t, Tap> taps_;
};

}  // namespace sim
