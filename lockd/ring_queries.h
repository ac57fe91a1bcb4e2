// Answers to what people ask about the ring below: how its member stands and what
// happened to it, and why. Pure; what is told is a
// reading of the member's own state.
#pragma once

#include <cstdint>
#include <functional>

#include "base/ids.h"
#include "base/time.h"
#include "evs/node.h"
#include "liblock/protocol/messages.h"

namespace lockd {

struct RingQueriesConfig {
  // Outlives the answers. Null where there is none, as in tests: then they say nothing.
  const evs::Node* node = nullptr;

  // What only the driver knows; may be empty.
  std::function<std::uint16_t(base::NodeId)> key_of;  // 0: not heard.
  std::function<std::uint64_t()> waiting_datagrams;
};

liblock::protocol::RingStatus answer(base::Instant now, const RingQueriesConfig& config,
                                     const liblock::protocol::RingStatusQuery& query);

liblock::protocol::RingLogPage answer(base::Instant now, const RingQueriesConfig& config,
                                      const liblock::protocol::RingLogQuery& query);
liblock::protocol::Why answer(base::Instant now, const RingQueriesConfig& config,
                              const liblock::protocol::WhyQuery& query);

}  // namespace lockd
