// The EVS instances of this daemon's clients: which groups each has joined, what each has sent that
// the ring has not taken yet, and who is told of what the ring delivers. It owns the windows and
// the turns of the senders; connections and their bytes belong to lockd/sessions.h, the words to
// docs/wire.md, "Client protocol".
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "evs/config.h"
#include "evs/event.h"
#include "evs/groups.h"
#include "liblock/protocol/messages.h"
#include "lockd/client_connection.h"
#include "lockd/group_flow.h"

namespace lockd {

struct InstancesConfig {
  // Each may keep its window in this daemon, and its unread deliveries (lockd/sessions.h).
  std::size_t instances_max = 64;
  std::size_t instances_per_user_max = 48;

  // Of the ring member's send queue (evs::Config). Messages to groups are added while less than
  // `ring_backlog_bytes` wait in it: more would not be sooner ordered, and locks would wait behind.
  std::size_t ring_queue_bytes_max = evs::Config().send_queue_bytes_max;
  std::size_t ring_backlog_bytes = 256 * 1024;
};

struct InstancesStatistics {
  std::uint64_t sent = 0;       // Messages handed to the ring.
  std::uint64_t delivered = 0;  // Messages that concerned somebody here.
  std::uint64_t pauses = 0;     // Words that a reader here is behind.
  std::uint64_t malformed = 0;  // Of the ring: each is a bug somewhere.
};

// A message for the ring.
struct GroupMulticast {
  evs::Service service = evs::Service::agreed;
  base::Buffer message;  // evs/group_message.h
};

// What these connections are to be told.
struct InstanceNews {
  std::vector<ConnectionId> to;
  std::variant<liblock::protocol::EvsDeliveryView, liblock::protocol::EvsConfiguration,
               liblock::protocol::EvsCredit>
      response;  // A delivery borrows from the message it is made of.
};

enum class OpenInstanceError : std::uint8_t { too_many, too_many_of_user };

class Instances {
 public:
  explicit Instances(const InstancesConfig& config) : config_(config) {}

  base::Result<void, OpenInstanceError> open(ConnectionId connection, std::uint32_t uid);

  // False: it would be in more groups than there may be, and is in those of before.
  bool join(ConnectionId connection, std::span<const base::GroupKey> groups);
  void leave(ConnectionId connection, std::span<const base::GroupKey> groups);

  // Takes a message for the ring. False, and nothing is taken, if the window does not allow it.
  bool multicast(ConnectionId connection, const liblock::protocol::EvsMulticast& message);

  // It is told nothing more, but still counts.
  void mute(ConnectionId connection);

  // It is gone. What it had sent goes to the ring all the same, and until then it counts.
  void close(ConnectionId connection);

  // So much waits for each to read; to be called before poll_word() and poll_multicast().
  void watch_readers(Instant now, const std::function<std::size_t(ConnectionId)>& unread);

  // Whether poll_word() may have something as soon as somebody has read.
  bool waits_for_readers() const { return flow_.waits(now_); }

  // A word about readers, to be multicast; and one that was delivered (lockd/group_flow.h).
  std::optional<base::Buffer> poll_word();
  void on_word(Instant now, const base::Processor& sender, base::Bytes word);

  // When handle_timeout() is wanted, on the boot clock.
  std::optional<base::Duration> next_timeout() const { return flow_.next_timeout(); }
  void handle_timeout(Instant now) { flow_.handle_timeout(now); }

  // The next message for the ring, if it is time for one: each sender has a turn. `room` is
  // Node::send_room().
  std::optional<GroupMulticast> poll_multicast(std::size_t room);

  // Who may send again.
  std::optional<InstanceNews> poll_credit();

  // What the ring delivered; null if it concerns nobody here. `message` is the payload's. Borrowed
  // until the next call.
  const InstanceNews* on_delivery(const evs::Delivery& delivery, base::Bytes message);
  InstanceNews on_configuration(const evs::ConfigurationChange& change);

  // The last one, without who left or joined: it begins the stream of a new instance.
  const liblock::protocol::EvsConfiguration& configuration() const { return configuration_; }

  std::size_t size() const { return instances_.size(); }
  const InstancesStatistics& statistics() const { return statistics_; }

  // For tests and simulation: CHECKs on a state that must not be.
  void check_invariants() const;

 private:
  struct Waiting {
    evs::Service service{};
    std::uint64_t cost = 0;
    base::Buffer message;
  };
  struct Instance {
    std::uint32_t uid = 0;
    bool muted = false;
    bool closed = false;
    std::uint64_t given = 0;  // All that it ever sent, as evs_cost() counts.
    std::uint64_t taken = 0;  // Of that, handed to the ring.
    std::uint64_t told = 0;   // Of that, told to the client.
    std::deque<Waiting> waiting;
  };

  void credit(ConnectionId connection, Instance& instance);
  void remove(ConnectionId connection);

  InstancesConfig config_;
  std::map<ConnectionId, Instance> instances_;
  std::map<std::uint32_t, std::size_t> of_user_;
  evs::Groups groups_;
  GroupFlow flow_;
  Instant now_;                     // Of the last watch_readers().
  std::deque<ConnectionId> turns_;  // Who has something waiting, each once.
  std::set<ConnectionId> credits_;
  liblock::protocol::EvsConfiguration configuration_;

  // Of the last delivery: there are so many that their memory is used again.
  evs::GroupMessage delivered_;
  InstanceNews delivery_news_;

  InstancesStatistics statistics_;
};

}  // namespace lockd
