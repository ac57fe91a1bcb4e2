// A ring of members on links that lose datagrams at random, for as long as one likes: whether it
// forms, whether it stays whole, and how much it delivers. Unlike a World it has no faults but loss
// and judges nothing but the order; its links have a rate, its members a processor and a receive
// buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "evs/net/opener.h"
#include "evs/net/repeater.h"
#include "evs/net/sealer.h"
#include "evs/node.h"
#include "tests/sim/event_queue.h"

namespace sim {

struct LossOptions {
  std::uint64_t seed = 1;
  std::size_t nodes = 3;
  double loss = 0;  // Of each datagram on its way to each receiver, from 0 to 1.
  Duration length = std::chrono::minutes(1);  // After the ring has formed.
  Duration formation_max = std::chrono::minutes(1);

  // Messages a second of all members together; 0: as many as the ring takes.
  double rate = 300;
  std::size_t message_bytes = 100;

  // A link of 1 Gbit/s, and what a member needs for a datagram: sealing or opening, and the system
  // call.
  Duration delay_min = std::chrono::microseconds(40);
  Duration delay_max = std::chrono::microseconds(80);
  std::int64_t wire_ns_per_byte = 8;
  std::int64_t seal_ns_per_byte = 3;
  Duration datagram_cost = std::chrono::microseconds(2);
  std::size_t receive_buffer_bytes = std::size_t{2} * 1024 * 1024;

  bool all_safe = false;  // Else every other message.

  evs::Config ring;  // `self` and `nodes` apart.
  evs::net::Redundancy redundancy;
};

struct LossResult {
  Duration formed{};    // When all members were in one configuration; zero if they never were.
  Duration measured{};  // From then on.
  std::uint64_t delivered = 0;              // Messages, at the slowest member.
  std::uint64_t configuration_changes = 0;  // After the ring had formed, at all members.
  std::uint64_t token_losses = 0;
  std::uint64_t token_retransmissions = 0;
  std::uint64_t packets_sent = 0;
  std::uint64_t copies = 0;
  std::uint64_t packets_retransmitted = 0;
  std::uint32_t personal_window = 0;  // The smallest, at the end.
  std::uint64_t overflows = 0;        // Datagrams for which a buffer had no room.
  std::uint64_t bytes = 0;            // On the wire, the headers of IP and UDP included.
  std::vector<std::uint64_t> delivered_by_minute;  // At the slowest member.
  std::vector<Duration> latencies;  // From multicast() to the sender's own delivery; a sample.
  std::optional<std::string> violation;
};

class LossyRing {
 public:
  explicit LossyRing(const LossOptions& options);
  ~LossyRing();

  LossResult run();

 private:
  struct Machine;
  struct Message {
    std::size_t sender = 0;
    std::uint64_t number = 0;
    friend bool operator==(const Message&, const Message&) = default;
  };

  void step(Occurrence occurrence);
  void receive(Machine& machine, const base::Buffer& datagram);
  void fill(std::size_t index);
  bool multicast(std::size_t index);
  void settle(std::size_t index);
  void send(std::size_t index, evs::net::RecordType type, evs::NodeMask to, base::Bytes text);
  void repeat(std::size_t index);
  void put_on_wire(std::size_t index, evs::NodeMask to, const base::Buffer& sealed);
  void arrive(std::size_t index, base::Buffer datagram);
  void on_event(std::size_t index, const evs::Event& event);
  void on_delivery(std::size_t index, const evs::Delivery& delivery);
  bool formed() const;

  base::Instant instant() const { return {now_, now_}; }
  bool measuring() const { return result_.formed > Duration(0); }

  const LossOptions options_;
  base::Random random_;
  EventQueue queue_;
  std::vector<std::unique_ptr<Machine>> machines_;
  Duration now_ = std::chrono::seconds(1);

  // What was delivered by some and not yet by all, and the place of the first of it.
  std::deque<Message> order_;
  std::uint64_t order_begin_ = 0;
  LossResult result_;
};

// One line for each figure, for people.
std::string to_string(const LossOptions& options, const LossResult& result);

}  // namespace sim
