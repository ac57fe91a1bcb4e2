// One EVS instance of a program as a pure state machine: the words with the daemon, the window, the
// groups joined, and the stream of events until somebody takes them. It owns no socket and no
// clock; the C library drives it. What the calls promise is liblock/include/liblock/evs.h.
//
// An instance is one connection: when that ends, so does the instance, and after the events that
// had come end() says why. After each input the driver writes poll_transmit().
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "liblock/protocol/codec.h"
#include "liblock/protocol/messages.h"

namespace liblock {

// A multicast() had been refused for want of room, and now there is some.
struct EvsWritable {};

// A delivery with bytes of its own.
class KeptDelivery {
 public:
  explicit KeptDelivery(const protocol::EvsDeliveryView& delivery);
  KeptDelivery(KeptDelivery&&) = default;
  KeptDelivery& operator=(KeptDelivery&&) = default;

  const protocol::EvsDeliveryView& view() const { return delivery_; }

 private:
  base::Buffer bytes_;  // Stay where they are when this is moved.
  protocol::EvsDeliveryView delivery_;
};

using EvsEvent = std::variant<KeptDelivery, protocol::EvsConfiguration, EvsWritable>;

enum class EvsError : std::uint8_t {
  invalid,  // No group, too many, or a message that is too long.
  limit,    // More groups than an instance can join.
  not_joined,
  try_again,  // No room in the window. EvsWritable follows.
  ended,      // See end().
};

// Why an instance has ended.
struct EvsEnd {
  enum class Why : std::uint8_t {
    disconnected,
    refused,
    not_understood,  // What answers is no daemon of ours.
    not_dispatched,  // More events wait than may.
  };
  Why why = Why::disconnected;
  protocol::Refusal refusal{};  // Of `refused`.
  std::string advice;
};

class EvsMachine {
 public:
  EvsMachine(const protocol::Instance& instance, std::string command);

  void handle_connected(base::Instant now);
  void handle_bytes(base::Bytes bytes);
  void handle_disconnected();

  // Welcome, and the first configuration has come.
  bool open() const { return self_.has_value() && configured_; }

  base::Result<void, EvsError> multicast(protocol::Guarantee guarantee,
                                         std::span<const base::GroupKey> groups,
                                         base::Bytes payload);
  base::Result<void, EvsError> multicast_joined(protocol::Guarantee guarantee, base::Bytes payload);

  // Asks for the filter to be changed; answered() says when it is. Joining what is joined changes
  // nothing; of leave() each group must be joined, or nothing is left.
  base::Result<std::uint32_t, EvsError> join(std::span<const base::GroupKey> groups);
  base::Result<std::uint32_t, EvsError> leave(std::span<const base::GroupKey> groups);
  bool answered(std::uint32_t query) const { return query <= answered_; }

  // True if the daemon has handed all messages to the ring.
  bool all_taken() const { return given_ == taken_; }

  // Empty if there is nothing to send.
  base::Buffer poll_transmit() { return std::exchange(out_, {}); }

  // Whether there is room for more events. Bytes may come all the same, up to a limit at which the
  // instance ends.
  bool wants_bytes() const { return kept_bytes_ < kKeptBytesSoft; }

  // EvsWritable has no place in the stream: it is there while it is true, and comes first.
  bool has_event() const { return writable() || !events_.empty(); }
  std::size_t events() const { return events_.size() + (writable() ? 1 : 0); }
  EvsEvent take_event();

  // The first of the stream that nobody has taken, of which there must be one.
  const EvsEvent& next_event() const { return events_.front(); }

  const std::optional<EvsEnd>& end() const { return end_; }
  base::Processor self() const { return self_.value_or(base::Processor{}); }

 private:
  // Events that wait to be dispatched.
  static constexpr std::uint64_t kKeptBytesSoft = 1024 * 1024;
  static constexpr std::uint64_t kKeptBytesMax = 16 * 1024 * 1024;

  void on(protocol::EvsWelcome&& welcome);
  void on(protocol::EvsDone&& done);
  void on(protocol::EvsCredit&& credit);
  void on(const protocol::EvsDeliveryView& delivery);
  void on(protocol::EvsConfiguration&& configuration);
  void on(protocol::Refused&& refused);
  template <typename Other>
  void on(Other&&) {
    finish({EvsEnd::Why::not_understood, {}, {}});
  }

  // Half a window is room for the longest message, so whatever was refused fits.
  bool writable() const { return wants_room_ && given_ - taken_ <= window_ / 2; }

  void keep(EvsEvent event);
  void finish(EvsEnd end);

  protocol::Instance instance_;
  std::string command_;
  protocol::FrameCutter cutter_{protocol::kEvsFrameBytesMax};
  base::Buffer out_;
  std::deque<EvsEvent> events_;
  std::uint64_t kept_bytes_ = 0;
  std::optional<base::Processor> self_;
  bool configured_ = false;
  std::set<base::GroupKey> joined_;
  std::uint32_t asked_ = 0;
  std::uint32_t answered_ = 0;
  std::uint64_t window_ = 0;
  std::uint64_t given_ = 0;
  std::uint64_t taken_ = 0;
  bool wants_room_ = false;
  std::optional<EvsEnd> end_;
};

}  // namespace liblock
