// What a ring member must be told before it starts. Times are true durations; each default says
// why.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"

namespace evs {

using base::Duration;

// Members of a configuration, and so nodes of a cluster. Sets of members travel as 32-bit masks.
constexpr std::size_t kMembersMax = 32;

// The longest message that multicast() takes: a MiB of an application's, and room for what the
// layers between put around it.
constexpr std::size_t kMessageBytesMax = 1024 * 1024 + 16 * 1024;

struct Config {
  base::NodeId self{};

  // Every configured node, self included, sorted by id and without repetition. Only these may join.
  std::vector<base::NodeId> nodes;

  // A token not seen for this long is lost. Loss of single datagrams is healed long before.
  Duration token_timeout = std::chrono::milliseconds(300);

  // Pause before a forwarded token is sent again, unless something has shown that it arrived.
  // Short, because a lost token stops the whole ring for so long; copies are small, and a live
  // successor answers the first. 150 tries fit into the token timeout, so at 30 % loss no rotation
  // fails.
  Duration token_retransmit = std::chrono::milliseconds(2);

  // An idle ring costs a rotation, and a few copies of the token, per hold. At most a third of the
  // token timeout; lockd lowers it to an eighth of the lease.
  Duration token_hold_max = std::chrono::milliseconds(100);

  // Pause between repeated Joins while a membership is being agreed.
  Duration join_interval = std::chrono::milliseconds(25);

  // Who has not agreed to the membership after this long is taken to have failed.
  Duration consensus_timeout = std::chrono::milliseconds(360);

  // How often a ring tells the configured nodes outside it that it exists.
  Duration presence_interval = std::chrono::milliseconds(200);

  // A node that ended rings without being in the next one, three times and more, is not heard for
  // this long, then twice as long and so on up to the maximum; a ring without a majority of the
  // nodes waits for a fifth of that at most. As long as two maxima without a further time are
  // forgiveness. A maximum of 0: every node is always heard.
  Duration readmission_pause = std::chrono::milliseconds(500);
  Duration readmission_pause_max = std::chrono::seconds(10);

  // A member whose acknowledgement stands still this long while the ring moves on fails to receive.
  Duration fail_to_receive_timeout = std::chrono::milliseconds(900);

  // Bytes of one data datagram before it is sealed. 1400 leaves room for the seal and an IPv6
  // header in 1500.
  std::size_t datagram_bytes_max = 1400;

  // Packets that one member may send in a visit of the token, and all members in one rotation.
  // Both, and the accelerated window, are made smaller together while that lessens loss: the first
  // down to the least, or not at all if that is not below it. While rotations are short they become
  // larger together, up to window_growth times. A least that is not below the window, and a growth
  // of 1, keep them fixed.
  std::uint32_t personal_window = 40;
  std::uint32_t personal_window_min = 8;
  std::uint32_t rotation_window = 120;
  std::uint32_t window_growth = 4;

  // Copies of a token that leave at once while much is lost.
  std::uint32_t token_copies_max = 3;

  // A safe message asks the others to acknowledge it outside the token while all members together
  // sent at most this many packets in the last rotation. It is delivered after about one round trip
  // then, for a small datagram from each member to each other. 0: nobody asks.
  std::uint32_t acknowledge_packets_max = 4;

  // Packets of a visit that may leave after the token instead of before it, so that the successor
  // works meanwhile; what a quiet ring sends always leaves before. All members should have the
  // same. 0: none does, which is the original protocol.
  std::uint32_t accelerated_window = 20;

  // Packets that may be numbered beyond what all members have. Bounds every store: a ring member
  // keeps at most this many packets of each ring.
  std::uint32_t outstanding_max = 1024;

  // Bytes that may wait in the send queue; multicast() answers try_again above it.
  std::size_t send_queue_bytes_max = 4 * 1024 * 1024;

  // Where packets and rings are counted from. Only tests start elsewhere, to come to numbers that
  // 32 bits would not hold; all members have the same first_sequence.
  std::uint64_t first_sequence = 0;
  std::uint64_t first_ring_sequence = 0;

  // The first thing wrong with these values, naming the field; or nothing.
  base::Result<void, std::string> validate() const;
};

// For networks that lose nearly everything, with copies of each datagram (evs/net/repeater.h): the
// time-outs are as long as a thousand tries take, and few packets are on their way at a time.
Config storm_config();

}  // namespace evs
