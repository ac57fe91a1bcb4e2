// Replicas over an ideal extended virtual synchrony: one log per ring, of which each member has
// delivered a prefix in the regular configuration; what the rest becomes when the ring breaks is
// the test's choice within what EVS allows. Nodes have clocks of their own rate, disks that may be
// slow, and crash and restart as new incarnations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lockd/replica.h"
#include "lockd/ring_message.h"

namespace lockd::test {

using base::Buffer;
using base::Duration;
using base::NodeId;
using base::Processor;

struct IdealRing {
  struct Message {
    Processor sender;
    Buffer payload;
  };

  evs::Configuration configuration;
  std::vector<Message> log;

  // How much somebody has delivered in the regular configuration: as safe, so that all members have
  // it.
  std::size_t stable = 0;
};

struct Host {
  ReplicaConfig config;
  Processor self;
  std::unique_ptr<Replica> replica;
  std::optional<Record> disk;
  bool disk_stuck = false;
  std::optional<RecordWrite> writing;

  // Parts in a million that its clocks run fast.
  std::int64_t boot_rate = 0;
  std::int64_t raw_rate = 0;

  std::shared_ptr<IdealRing> ring;
  std::size_t delivered = 0;
  bool operational = false;
  bool up = false;
  bool frozen = false;  // Runs no step: stopped, not dead.

  evs::TokenEvidence evidence;
  std::optional<Instant> released;

  std::vector<Effect> told;  // In the order of telling, since the test last cleared it.

  // Changes a payload on its way into this node only: stands in for a bug of it.
  std::function<void(Buffer&)> damage;
};

class World {
 public:
  using Tweak = std::function<void(ReplicaConfig&)>;

  // Nodes 1 to n, each with a vote and an initial record; none is started.
  explicit World(std::size_t n, const Tweak& tweak = {});

  Host& operator[](std::uint32_t node) { return hosts_.at(NodeId{node}); }
  std::map<NodeId, Host>& hosts() { return hosts_; }
  Replica& replica(std::uint32_t node) { return *(*this)[node].replica; }

  void start(std::uint32_t node);
  void crash(std::uint32_t node);
  void start_all();

  // How members that come from one ring part with it. Sequence numbers count the ring's log from 0.
  struct Parting {
    std::size_t regular =
        0;  // In the old regular configuration, at the least, they deliver up to here.
    std::size_t all =
        SIZE_MAX;  // Up to here whoever sent it; beyond it only what one of them sent.
  };

  // These nodes form a ring; those of one old ring go together. Nodes that stay behind are
  // Operational no more.
  void install(const std::vector<std::uint32_t>& nodes,
               const std::map<std::uint32_t, Parting>& partings = {});

  // Everything that Operational members of the node's ring have to say gets its place in the log.
  void order(std::uint32_t node);

  // The node delivers in the regular configuration what it has not delivered of the first `upto`.
  void deliver(std::uint32_t node, std::size_t upto = SIZE_MAX);

  // The record under way becomes durable, unless the disk is stuck, or the power fails.
  void write(std::uint32_t node);

  // Asked before a record becomes durable. False: the power has failed instead, and the test has
  // crashed whom it concerns.
  std::function<bool(Host&)> power;

  // The token goes once around each ring whose members all run.
  void rotate();

  // One exchange of words: everybody says what it has to say, everybody hears it.
  void turn();

  // Time and orders go on, with everybody delivering everything, until nobody has anything to say.
  void settle();

  // The same over a span of time, in steps, with rotations and time-outs.
  void run(Duration span, Duration step = std::chrono::milliseconds(20));

  // A newcomer goes one step on in what it replays; false if there is none that does.
  bool replay(std::uint32_t node);

  // Only time.
  void pass(Duration span) { true_time_ += span; }

  Duration true_time() const { return true_time_; }
  Instant now(const Host& host) const;

  // Hands the state of the ring to the replica, and takes what it says, writes and tells.
  void attend(Host& host);

  void timeouts();

  // Checks that tables of one epoch at one place in its order are equal.
  void check();

 private:
  void begin(Host& host, std::shared_ptr<IdealRing> ring, const std::vector<Processor>& group);
  void hand_over(Host& host, std::size_t index, const RingId& ring);
  bool say(Host& host);
  bool token_passes(const Host& host) const;

  std::map<NodeId, Host> hosts_;
  Duration true_time_ = std::chrono::seconds(1000);
  std::uint64_t rings_ = 0;
  std::uint64_t incarnations_ = 0;
};

// The last effect of this type told to a host; none if none was.
template <typename E>
std::optional<E> last_told(const Host& host) {
  for (auto at = host.told.rbegin(); at != host.told.rend(); ++at) {
    if (const auto* effect = std::get_if<E>(&*at)) {
      return *effect;
    }
  }
  return std::nullopt;
}

// A client of one session, without a connection.
struct TestSession {
  SessionId id{};
  Generation generation{};
  std::uint64_t requests = 0;
};

// Opens a session at a node of an active, settled ring.
TestSession open(World& world, std::uint32_t node, std::uint64_t number = 1);

RequestId acquire(World& world, std::uint32_t node, TestSession& session, const std::string& name);
void release(World& world, std::uint32_t node, TestSession& session, RequestId lock, Token token);

// The token under which the host was told that the request was granted; none if it was not told.
std::optional<Token> granted(const Host& host, const TestSession& session, RequestId request);

}  // namespace lockd::test
