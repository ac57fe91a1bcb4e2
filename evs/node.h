// One member of the ring as a pure state machine: Totem's single-ring protocol with extended
// virtual synchrony. It owns ordering, delivery, membership and recovery; sockets, clocks, sealing
// and randomness belong to its driver. The protocol is docs/protocol.md.
//
// After each input the driver drains poll_transmit() and poll_event() and asks next_timeout()
// again. Not thread-safe; nothing blocks; nothing calls out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/time.h"
#include "evs/config.h"
#include "evs/event.h"
#include "evs/flight_recorder.h"
#include "evs/node_status.h"
#include "evs/statistics.h"
#include "evs/trace.h"

namespace evs {

// Destinations of a datagram: bit i is Config::nodes[i]. Never holds the sender itself.
using NodeMask = std::uint32_t;

struct Transmit {
  NodeMask to = 0;
  Buffer datagram;
};

enum class MulticastError : std::uint8_t {
  try_again,  // The send queue is full. It has room again after later inputs; see send_room().
  too_long,   // Over kMessageBytesMax.
  left,       // leave() was called.
};

enum class NodeState : std::uint8_t { operational, gather, commit, recovery, left };

class Node {
 public:
  // Starts alone: the first event is the regular configuration {self}. `config` must be valid. The
  // incarnation must be random and never used before by any node. `trace` may be null.
  Node(const Config& config, base::Incarnation incarnation, base::Random random, Instant now,
       TraceSink* trace = nullptr);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // An authenticated datagram of configured node `from`. `now` was read after it was received.
  // A datagram that makes no sense is counted and dropped.
  void handle_datagram(Instant now, base::NodeId from, base::Bytes datagram);

  // To be called when next_timeout() is reached; calling it early is harmless.
  void handle_timeout(Instant now);

  // Queues a message of up to kMessageBytesMax bytes for everyone in the ring, this member
  // included. It is numbered in the regular configuration that stands when the token comes by.
  base::Result<void, MulticastError> multicast(Instant now, Service service, base::Bytes payload);

  // Leaves the ring for good: tells the others, then falls silent. Queued messages are dropped.
  void leave(Instant now);

  // The next datagram to send. The stamp of a token release is taken from `now` of the input that
  // caused it, so drain this before the next input.
  std::optional<Transmit> poll_transmit();

  std::optional<Event> poll_event();

  // When handle_timeout() is wanted, on the boot clock; none if nothing is awaited.
  std::optional<Duration> next_timeout() const;

  Processor self() const;
  NodeState state() const;

  // The regular configuration that this member last installed.
  const Configuration& regular() const;

  // Meaningful in NodeState::operational only.
  const TokenEvidence& evidence() const;

  // Length of the longest message that multicast() would take now; 0 when the queue is full.
  std::size_t send_room() const;

  const Statistics& statistics() const;
  NodeStatus status(Instant now) const;

  // Borrowed; the next input may change it.
  const FlightRecorder& recorder() const;
  const Config& config() const;

  // Our own reasoning, checked: CHECKs on a state that must not be. For tests and simulation.
  void check_invariants() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace evs
