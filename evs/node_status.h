// How a ring member stands at one moment, for people. A copy, made when somebody asks; counters
// over its life are statistics.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace evs {

// How long the token took from one visit to the next, in the ring that stands. The rest of an idle
// ring's token is part of it (docs/protocol.md, "Token").
struct RotationTimes {
  base::Duration last{0};
  base::Duration average{0};  // Each rotation counts for a sixteenth.
  base::Duration longest{0};
  std::array<base::Duration, 8> recent{};

  void add(base::Duration rotation);
  base::Duration shortest() const;  // Of the recent ones.
};

// What is known of one configured node.
struct PeerStatus {
  base::NodeId node{};
  std::optional<base::Processor> member;  // Of the regular configuration, if it is one.
  std::uint64_t acknowledged = 0;         // Of a member: it is known to have everything up to here.
  std::optional<base::Duration> heard;    // So long ago; none if never, and for this node.
  bool barred = false;  // Not heard for a while (docs/protocol.md, "Coming back").
};

struct NodeStatus {
  RotationTimes rotation;

  // Places in the order of the ring last installed, as far as this member knows.
  std::uint64_t highest = 0;    // Of the packets that it holds.
  std::uint64_t received = 0;   // Without a gap.
  std::uint64_t stable = 0;     // By all.
  std::uint64_t delivered = 0;  // Here.
  std::uint64_t stored = 0;     // Packets that it keeps room for: above the last discarded one.

  // As they have adapted to now; Config has their maxima.
  std::uint32_t personal_window = 0;
  std::uint32_t rotation_window = 0;
  std::uint32_t accelerated_window = 0;

  // Messages that wait for a number.
  std::size_t waiting_messages = 0;
  std::size_t waiting_bytes = 0;

  std::vector<PeerStatus> peers;  // All configured nodes, sorted.
};

}  // namespace evs
