// Whole daemons over a ring that never fails by itself: messages are delivered safe, to all, in one
// order, and configurations change when the test says so. Time moves when the test says so.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/random.h"
#include "liblock/protocol/codec.h"
#include "lockd/daemon.h"

namespace lockd::test {

namespace protocol = liblock::protocol;
using namespace std::chrono_literals;

class Cluster;

// A client as the wire sees it, without a mind of its own: it sends what the test says and keeps
// what comes.
class Client {
 public:
  Client(Cluster& cluster, std::size_t node, ConnectionId connection, std::uint8_t process)
      : cluster_(cluster), node_(node), connection_(connection) {
    instance_.fill(static_cast<std::byte>(process));
  }

  void send(const protocol::Request& request);
  void send_bytes(base::Bytes bytes);

  // Everybody that had the socket has closed it, or the connection is found broken.
  void hang_up(HangUp how = HangUp::closed_by_client);

  // Messages of the protocol, with the current time as the stamp.
  void hello(protocol::HelloKind kind = protocol::HelloKind::open);
  void resume(const protocol::Welcome& welcome);
  base::RequestId acquire(const std::string& resource, bool no_queue = false);
  base::RequestId release(base::RequestId acquire, base::Token token);
  base::RequestId cancel(base::RequestId acquire);
  void keepalive();

  // The next response of this type, and those before it are gone; none if there is none.
  template <typename Message>
  std::optional<Message> next() {
    while (!received.empty()) {
      protocol::Response first = std::move(received.front());
      received.pop_front();
      if (auto* wanted = std::get_if<Message>(&first)) return std::move(*wanted);
    }
    return std::nullopt;
  }

  // The answer to this request, if it came.
  std::optional<protocol::Reply> answer(base::RequestId request);

  void take(base::Bytes bytes);

  std::deque<protocol::Response> received;
  bool closed = false;

  // Takes nothing from its socket while false.
  bool reads = true;

  base::RequestId last_request{};
  base::RequestId acknowledged{};

  ConnectionId connection() const { return connection_; }
  std::size_t node() const { return node_; }

 private:
  Cluster& cluster_;
  std::size_t node_;
  ConnectionId connection_;
  protocol::Instance instance_{};
  protocol::FrameCutter cutter_{protocol::kResponseBytesMax};
};

class Cluster {
 public:
  explicit Cluster(std::size_t nodes, bool witness_last = false);

  // Starts a node's daemon, anew if it ran: with the record that it wrote last and another
  // incarnation.
  void start(std::size_t node);

  // The daemon is gone without a word.
  void kill(std::size_t node);

  // One regular configuration of these nodes, after the transitional ones; others keep theirs.
  void form(const std::vector<std::size_t>& nodes);
  void form_all();

  // The node's ring breaks without another one: it is alone in a transitional configuration.
  void break_ring(std::size_t node);

  // A client of a node. It lives as long as the cluster.
  Client& connect(std::size_t node, std::uint32_t uid = 1000, std::uint8_t process = 1);

  // Connects and opens a session.
  Client& open(std::size_t node, std::uint32_t uid = 1000, std::uint8_t process = 1);

  // Carries everything on until nothing more happens without time.
  void settle();

  // Lets time pass in small steps, timeouts and all.
  void pass(base::Duration time);

  Daemon& daemon(std::size_t node) { return *nodes_.at(node).daemon; }
  const ReplicaConfig& config() const { return config_; }

  // The ring moves its token: evidence is renewed. Stops when false.
  bool token_moves = true;

  Instant now{1000s, 900s};
  std::vector<DaemonEvent> events;

 private:
  friend class Client;

  struct Node {
    std::unique_ptr<Daemon> daemon;
    base::Processor self;
    std::optional<Record> record;
    std::optional<evs::Configuration> ring;
    bool operational = false;
    Instant last_token;
    std::uint64_t sequence = 0;
    evs::TokenEvidence evidence;
  };

  bool turn(std::size_t node);

  ReplicaConfig config_;
  std::vector<Node> nodes_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::uint64_t last_nonce_ = 0;
  std::uint64_t last_incarnation_ = 0;
  std::uint64_t last_connection_ = 0;
  std::map<base::RingId, std::uint64_t> sequences_;
  base::Random random_{7};
};

}  // namespace lockd::test
