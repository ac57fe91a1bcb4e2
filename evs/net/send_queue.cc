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

void SendQueue::flush() {
  while (!empty()) {
    std::array<UdpSocket::Outgoing, UdpSocket::kBatch> batch;
    std::size_t size = 0;
    for (std::size_t i = 0; i < count_ && size < batch.size(); ++i) {
      for (NodeMask left = at(i).to; left != 0 && size < batch.size(); left &= left - 1) {
        const auto node = static_cast<std::size_t>(std::countr_zero(left));
        batch[size++] = {at(i).to_group ? &*group_ : &nodes_.at(node), at(i).datagram};
      }
    }
    std::size_t settled = socket_.send(std::span(batch).first(size));
    const bool blocked = settled < size;
    for (; settled > 0; --settled) {
      Waiting& front = at(0);
      front.to &= front.to - 1;
      if (front.to != 0) continue;
      first_ = (first_ + 1) % kDatagramsMax;
      --count_;
    }
    if (blocked) return;
  }
}

}  // namespace evs::net
