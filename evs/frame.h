// Packing and fragmentation: a packet's payload is a row of frames, and a frame is a message or a
// piece of one. Services are per packet, so a packet holds frames of safe messages only, or none
// [rule 4].
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "evs/event.h"

namespace evs {

constexpr std::size_t kFrameHeaderBytes = 1 + 2;

// A packet's worth of frames, and how many messages end in it.
struct PackedPayload {
  bool safe = false;
  Buffer payload;
  std::uint32_t messages_ended = 0;
};

// Messages that wait for a number. Bounded by the bytes that it holds.
class SendQueue {
 public:
  explicit SendQueue(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // False if the queue is full.
  bool push(Service service, base::Bytes payload);

  bool empty() const { return messages_.empty(); }
  std::size_t messages() const { return messages_.size(); }
  std::size_t bytes() const { return bytes_; }

  // The longest message that push() would take; 0 too when it would take none.
  std::size_t room() const { return free() < kFrameHeaderBytes ? 0 : free() - kFrameHeaderBytes; }

  // The next frames, at most `bytes_max` long. The queue must not be empty.
  PackedPayload pack(std::size_t bytes_max);

  // A message of which some frames were numbered in a ring that ended starts again from its
  // beginning: the frames that were numbered are no message there.
  void restart_message();

  void clear();

 private:
  struct Waiting {
    Service service;
    Buffer payload;
    std::size_t packed = 0;
  };

  std::size_t free() const { return bytes_max_ - bytes_; }

  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::deque<Waiting> messages_;
};

struct Reassembled {
  Service service;
  Buffer payload;
};

// Puts the frames of one sender's packets, taken in order, together again. A partial message dies
// with it.
class Reassembly {
 public:
  // The messages that end in this packet, in order; none if the frames make no sense, in which case
  // nothing of the packet is kept.
  std::optional<std::vector<Reassembled>> take(base::Bytes payload);

 private:
  Buffer partial_;
  bool open_ = false;
  std::size_t ended_before_ = 0;  // In the last packet: as many will end in the next one.
};

}  // namespace evs
