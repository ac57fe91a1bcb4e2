// The ordered commands on barriers (lockd/command.h). What each does is docs/barriers.md; they
// become requests to the barrier table in lockd/state_barriers.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "barrier/barrier.h"
#include "barrier/request.h"
#include "base/bytes.h"
#include "lockd/request.h"

namespace lockd {

// What a barrier is created with.
struct BarrierSettings {
  barrier::Config config;
  bool auto_delete = false;
  barrier::Patience patience = 0;

  friend bool operator==(const BarrierSettings&, const BarrierSettings&) = default;
};

struct BarrierCreate {
  Request request;
  barrier::Name name;
  BarrierSettings settings;

  friend bool operator==(const BarrierCreate&, const BarrierCreate&) = default;
};

// Not of `enabled`, which is to arrive.
struct BarrierChange {
  Request request;
  barrier::Name name;
  barrier::Attribute attribute{};
  std::uint32_t value = 0;

  friend bool operator==(const BarrierChange&, const BarrierChange&) = default;
};

// With settings it creates the barrier first, if it is not there: then an arrival that is refused
// leaves none behind.
struct BarrierArrive {
  Request request;
  barrier::Name name;
  std::optional<BarrierSettings> settings;
  base::Buffer value;

  friend bool operator==(const BarrierArrive&, const BarrierArrive&) = default;
};

struct BarrierLeave {
  Request request;
  barrier::Generation generation{};
  base::Buffer value;

  friend bool operator==(const BarrierLeave&, const BarrierLeave&) = default;
};

// Takes back what the request `arrival` asked for.
struct BarrierWithdraw {
  Request request;
  barrier::Name name;
  RequestId arrival{};

  friend bool operator==(const BarrierWithdraw&, const BarrierWithdraw&) = default;
};

struct BarrierCancel {
  Request request;
  barrier::Name name;

  friend bool operator==(const BarrierCancel&, const BarrierCancel&) = default;
};

struct BarrierDelete {
  Request request;
  barrier::Name name;
  bool force = false;

  friend bool operator==(const BarrierDelete&, const BarrierDelete&) = default;
};

// A session has the whole outcome of this step.
struct BarrierReceipt {
  SessionId session{};
  barrier::OutcomeKey key;

  friend auto operator<=>(const BarrierReceipt&, const BarrierReceipt&) = default;
};
inline constexpr std::size_t kReceiptsMax = 64;  // In one command.

// Of sessions of the sender: these outcomes need not be kept for them any more.
struct BarrierAcknowledge {
  std::vector<BarrierReceipt> receipts;

  friend bool operator==(const BarrierAcknowledge&, const BarrierAcknowledge&) = default;
};

// The patience of this step is over, by the clock of the sender. Who else says so too does no harm.
struct BarrierTimeOut {
  barrier::OutcomeKey key;

  friend bool operator==(const BarrierTimeOut&, const BarrierTimeOut&) = default;
};

}  // namespace lockd
