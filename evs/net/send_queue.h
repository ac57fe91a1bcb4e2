// Sealed datagrams on their way to the socket, each for several nodes. When the socket is full they
// wait here, up to a bound; what comes then is dropped and counted, because a datagram may get lost
// anyway.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "evs/net/address.h"
#include "evs/net/udp_socket.h"
#include "evs/node.h"

namespace evs::net {

class SendQueue {
 public:
  static constexpr std::size_t kDatagramsMax = 256;

  // `nodes` are the addresses of Config::nodes, in their order. `socket` outlives the queue. With a
  // group, what is for several nodes is sent there once, and so to all that have joined.
  SendQueue(UdpSocket& socket, std::vector<Address> nodes, std::optional<Address> group)
      : socket_(socket), nodes_(std::move(nodes)), group_(group) {}

  bool empty() const { return count_ == 0; }
  bool full() const { return count_ == kDatagramsMax; }
  std::size_t size() const { return count_; }

  // Queues a datagram for these nodes, to be filled in by the caller. The queue must not be full,
  // and at least one node be named.
  base::Buffer& push(NodeMask to);

  // Hands over as much as the socket takes.
  void flush();

 private:
  struct Waiting {
    NodeMask to = 0;  // Those for whom it is not settled yet. To the group: the first bit.
    bool to_group = false;
    base::Buffer datagram;
  };

  void pop_settled();
  Waiting& at(std::size_t i) { return ring_[(first_ + i) % kDatagramsMax]; }

  UdpSocket& socket_;
  std::vector<Address> nodes_;
  std::optional<Address> group_;
  std::array<Waiting, kDatagramsMax> ring_;  // The buffers are kept for the next datagrams.
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

}  // namespace evs::net
