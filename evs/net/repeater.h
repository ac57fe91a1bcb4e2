// Redundant copies for networks that lose nearly everything: sealed datagrams are sent again and
// again, byte for byte, within a rate and a number of copies. Receivers drop what they have by the
// replay window. Pure; when it is worth its traffic is docs/protocol.md, "Storms".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "evs/net/record.h"
#include "evs/node.h"

namespace evs::net {

struct Redundancy {
  std::uint32_t copies_max = 0;  // Of each datagram, besides the first; 0: none are sent.
  std::uint64_t bits_per_second = 10'000'000;  // Of copies, the headers of IP and UDP included.
};

// Of the storm profile: at 99.9 % loss one of 3000 copies arrives 95 times of 100.
constexpr Redundancy kStormRedundancy{3000, 10'000'000};

class Repeater {
 public:
  // Packets that are being repeated; of more, the oldest are given up. Of anything else there is
  // one of each kind and destination.
  static constexpr std::size_t kPacketsMax = 16;

  // `self` is this node's own bit.
  Repeater(const Redundancy& redundancy, NodeMask self) : redundancy_(redundancy), self_(self) {}

  bool enabled() const { return redundancy_.copies_max > 0; }

  // `sealed` is on its way to these nodes for the first time; it holds `text`. What it makes
  // needless is not repeated any more: a newer token says all that an older one did, and so does
  // anything but a packet; a packet that is sent again is the same; and a token's vector says who
  // has which packets.
  void add(base::Duration now, RecordType type, NodeMask to, base::Bytes text,
           const base::Buffer& sealed);

  struct Copy {
    NodeMask to = 0;
    const base::Buffer* datagram = nullptr;  // Until the next call.
  };

  // The next copy that is due; none if there is nothing to repeat, or the rate is used up.
  std::optional<Copy> poll(base::Duration now);

  // When to poll again.
  std::optional<base::Duration> next_due() const;

  std::uint64_t copies() const { return copies_; }

 private:
  struct Repeated {
    std::uint16_t kind = 0;
    NodeMask to = 0;
    base::Buffer datagram;
    std::uint32_t left = 0;

    // A packet's place, and who is in its ring.
    base::RingId ring;
    std::uint64_t sequence = 0;
    NodeMask members = 0;
  };

  // Tokens and all that agrees on a membership, and packets. While both have something to repeat,
  // packets have three quarters of the rate: they are longer, and several are on their way.
  struct Share {
    std::deque<Repeated> waiting;  // In turns.
    std::uint64_t bytes = 0;       // Spent.
  };

  void add_packet(Repeated repeated, base::Bytes text);
  void take_vector(base::Bytes token);
  void spare_receivers(Repeated& packet) const;
  void take(Share& share, Share& other, Repeated repeated);

  Redundancy redundancy_;
  NodeMask self_;

  // What the last token that was passed on says: of which ring, and how far each member has
  // received.
  base::RingId ring_;
  std::vector<std::uint64_t> received_;
  Share control_;
  Share packets_;
  base::Duration next_at_{0};
  base::Duration polled_at_{0};
  base::Buffer last_;  // What was polled, if it was its last copy.
  std::uint64_t copies_ = 0;
};

}  // namespace evs::net
