#include "evs/net/send_queue.h"

#include <span>

#include "base/check.h"

namespace evs::net {

base::Buffer& SendQueue::push(NodeMask to) {
  CHECK(!full() && to != 0);
  Waiting& waiting = at(count_++);
  waiting.to_group = group_ && std::popcount(to) > 1;
  waiting.to = waiting.to_group ? 1 : to;
  return waiting.datagram;
}

// Node by node, so that what goes to one stands together and can be sent as bundles.
void SendQueue::flush() {
  for (std::size_t node = 0; node < nodes_.size() && !empty(); ++node) {
    const NodeMask bit = NodeMask{1} << node;
    std::size_t begin = 0;
    while (begin < count_) {
      std::array<UdpSocket::Outgoing, UdpSocket::kBatch> batch;
      std::array<std::size_t, UdpSocket::kBatch> from;
      std::size_t size = 0;
      for (; begin < count_ && size < batch.size(); ++begin) {
        if ((at(begin).to & bit) == 0) continue;
        from[size] = begin;
        batch[size++] = {at(begin).to_group ? &*group_ : &nodes_[node], at(begin).datagram};
      }
      const std::size_t settled = socket_.send(std::span(batch).first(size));
      for (std::size_t i = 0; i < settled; ++i) at(from[i]).to &= ~bit;
      if (settled < size) return pop_settled();
    }
  }
  pop_settled();
}

void SendQueue::pop_settled() {
  while (count_ > 0 && at(0).to == 0) {
    first_ = (first_ + 1) % kDatagramsMax;
    --count_;
  }
}

}  // namespace evs::net
