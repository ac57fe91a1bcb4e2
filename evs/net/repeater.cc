#include "evs/net/repeater.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <utility>

#include "evs/codec.h"

namespace evs::net {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kHeaderBytesOfIpAndUdp = 28;

// Timers are no finer than this, and what a late one missed is made up for so far back.
constexpr base::Duration kTick = milliseconds(1);
constexpr base::Duration kCatchUpMax = milliseconds(20);

std::uint64_t cost(NodeMask to, std::size_t bytes) {
  return static_cast<std::uint64_t>(std::popcount(to)) * (bytes + kHeaderBytesOfIpAndUdp);
}

}  // namespace

void Repeater::add(base::Duration now, RecordType type, NodeMask to, base::Bytes text,
                   const base::Buffer& sealed) {
  if (!enabled()) return;
  if (control_.waiting.empty() && packets_.waiting.empty()) next_at_ = std::max(next_at_, now);
  const bool of_ring = type == RecordType::ring;
  const MessageKind message = of_ring ? evs::kind_of(text) : MessageKind{0};
  // These only save others some work or waiting.
  if (message == MessageKind::token_receipt || message == MessageKind::wake ||
      message == MessageKind::acknowledgement) {
    return;
  }
  const auto kind =
      static_cast<std::uint16_t>(static_cast<unsigned>(type) << 8 | static_cast<unsigned>(message));
  Repeated repeated{kind, to, sealed, redundancy_.copies_max, {}, 0, 0};
  if (message == MessageKind::packet) {
    add_packet(std::move(repeated), text);
    return;
  }
  if (message == MessageKind::token) {
    take_vector(text);
    // There is a ring.
    std::erase_if(control_.waiting, [](const Repeated& earlier) {
      const MessageKind agreed{static_cast<std::uint8_t>(earlier.kind & 0xff)};
      return agreed == MessageKind::join || agreed == MessageKind::commit;
    });
  }
  for (Repeated& earlier : control_.waiting) {
    if (earlier.kind != kind || earlier.to != to) continue;
    earlier = std::move(repeated);
    return;
  }
  take(control_, packets_, std::move(repeated));
}

void Repeater::add_packet(Repeated repeated, base::Bytes text) {
  const std::optional<evs::Message> message = evs::decode(text);
  const auto* packet = message ? std::get_if<evs::PacketMessage>(&*message) : nullptr;
  if (packet == nullptr) return;
  repeated.ring = packet->ring;
  repeated.sequence = packet->sequence;
  repeated.members = repeated.to | self_;
  spare_receivers(repeated);
  if (repeated.to == 0) return;
  for (Repeated& earlier : packets_.waiting) {
    if (earlier.ring != repeated.ring || earlier.sequence != repeated.sequence) continue;
    earlier = std::move(repeated);
    return;
  }
  if (packets_.waiting.size() == kPacketsMax) packets_.waiting.pop_front();
  take(packets_, control_, std::move(repeated));
}

// What this member passes on is the newest that it knows.
void Repeater::take_vector(base::Bytes text) {
  const std::optional<evs::Message> message = evs::decode(text);
  const auto* token = message ? std::get_if<evs::TokenMessage>(&*message) : nullptr;
  if (token == nullptr) return;
  ring_ = token->ring;
  received_ = token->acknowledged;
  for (Repeated& packet : packets_.waiting) spare_receivers(packet);
  std::erase_if(packets_.waiting, [](const Repeated& packet) { return packet.to == 0; });
}

// Nodes and members are in the same order, that of their ids.
void Repeater::spare_receivers(Repeated& packet) const {
  if (packet.ring != ring_ ||
      static_cast<std::size_t>(std::popcount(packet.members)) != received_.size()) {
    return;
  }
  NodeMask left = packet.members;
  for (const std::uint64_t received : received_) {
    const NodeMask member = left & (~left + 1);
    if (received >= packet.sequence) packet.to &= ~member;
    left &= left - 1;
  }
}

// Who had nothing to repeat does not make up for it later.
void Repeater::take(Share& share, Share& other, Repeated repeated) {
  if (share.waiting.empty() && &share == &packets_)
    share.bytes = std::max(share.bytes, 3 * other.bytes);
  if (share.waiting.empty() && &share == &control_)
    share.bytes = std::max(share.bytes, other.bytes / 3);
  share.waiting.push_back(std::move(repeated));
}

std::optional<Repeater::Copy> Repeater::poll(base::Duration now) {
  polled_at_ = now;
  if (control_.waiting.empty() && packets_.waiting.empty()) return std::nullopt;
  next_at_ = std::max(next_at_, now - kCatchUpMax);
  if (next_at_ > now) return std::nullopt;
  const bool packet = control_.waiting.empty() ||
                      (!packets_.waiting.empty() && packets_.bytes < 3 * control_.bytes);
  Share& share = packet ? packets_ : control_;
  Repeated next = std::move(share.waiting.front());
  share.waiting.pop_front();
  const std::uint64_t bytes = cost(next.to, next.datagram.size());
  share.bytes += bytes;
  next_at_ += base::Duration(
      static_cast<std::int64_t>(bytes * 8 * 1'000'000'000 / redundancy_.bits_per_second));
  ++copies_;
  const NodeMask to = next.to;
  if (--next.left == 0) {
    last_ = std::move(next.datagram);
    return Copy{to, &last_};
  }
  share.waiting.push_back(std::move(next));
  return Copy{to, &share.waiting.back().datagram};
}

std::optional<base::Duration> Repeater::next_due() const {
  if (control_.waiting.empty() && packets_.waiting.empty()) return std::nullopt;
  return std::max(next_at_, polled_at_ + kTick);
}

}  // namespace evs::net
