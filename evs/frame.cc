#include "evs/frame.h"

#include <algorithm>

#include "base/check.h"
#include "evs/config.h"

namespace evs {

namespace {

constexpr std::uint8_t kServiceBits = 3;
constexpr std::uint8_t kFirst = 4;
constexpr std::uint8_t kLast = 8;
constexpr std::size_t kFrameBytesMax = 0xffff;

// What is left of a packet is not worth cutting a message for if it is less than this: the frame's
// header and the second packet that the message would stand or fall with cost more.
constexpr std::size_t kFirstPieceBytesMin = 64;

}  // namespace

bool SendQueue::push(Service service, base::Bytes payload) {
  // An empty message takes room too, or the queue would have no bound.
  const std::size_t cost = payload.size() + kFrameHeaderBytes;
  if (cost > free()) return false;
  bytes_ += cost;
  messages_.push_back({service, Buffer(payload.begin(), payload.end())});
  return true;
}

PackedPayload SendQueue::pack(std::size_t bytes_max) {
  CHECK(!messages_.empty() && bytes_max > kFrameHeaderBytes);
  PackedPayload packed;
  packed.safe = messages_.front().service == Service::safe;
  packed.payload.reserve(std::min(bytes_max, bytes_));
  base::ByteWriter out(packed.payload);
  while (!messages_.empty()) {
    Waiting& message = messages_.front();
    if ((message.service == Service::safe) != packed.safe) break;
    if (packed.payload.size() + kFrameHeaderBytes >= bytes_max) break;
    const std::size_t left = message.payload.size() - message.packed;
    const std::size_t taken =
        std::min({left, bytes_max - packed.payload.size() - kFrameHeaderBytes, kFrameBytesMax});
    const bool last = taken == left;
    const bool begins = message.packed == 0;
    if (begins && !last && taken < kFirstPieceBytesMin && !packed.payload.empty()) break;
    auto flags = static_cast<std::uint8_t>(message.service);
    if (begins) flags |= kFirst;
    if (last) flags |= kLast;
    out.u8(flags);
    out.bytes16(base::Bytes(message.payload).subspan(message.packed, taken));
    message.packed += taken;
    if (!last) continue;
    ++packed.messages_ended;
    bytes_ -= message.payload.size() + kFrameHeaderBytes;
    messages_.pop_front();
  }
  return packed;
}

void SendQueue::restart_message() {
  if (!messages_.empty()) messages_.front().packed = 0;
}

void SendQueue::clear() {
  messages_.clear();
  bytes_ = 0;
}

std::optional<std::vector<Reassembled>> Reassembly::take(base::Bytes payload) {
  std::vector<Reassembled> ended;
  ended.reserve(ended_before_);
  base::ByteReader in(payload);
  while (in.left() > 0) {
    const std::uint8_t flags = in.u8();
    const base::Bytes piece = in.bytes16();
    const bool first = (flags & kFirst) != 0;
    // A first frame while a message is open, or a later one while none is: the sender is not one of
    // ours.
    if (in.failed() || (flags & ~(kServiceBits | kFirst | kLast)) != 0 || first == open_ ||
        partial_.size() + piece.size() > kMessageBytesMax) {
      partial_.clear();
      open_ = false;
      return std::nullopt;
    }
    partial_.insert(partial_.end(), piece.begin(), piece.end());
    open_ = true;
    if ((flags & kLast) == 0) continue;
    ended.push_back(
        {Service{static_cast<std::uint8_t>(flags & kServiceBits)}, std::move(partial_)});
    partial_.clear();
    open_ = false;
  }
  ended_before_ = ended.size();
  return ended;
}

}  // namespace evs
