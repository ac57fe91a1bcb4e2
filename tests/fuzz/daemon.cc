// A whole daemon without its sockets: clients send it what they like, members of its ring too, and
// the ring changes. It may refuse, hang up, and stop when replicas differ; its invariants hold.
#include <algorithm>
#include <array>
#include <optional>

#include "lockd/daemon.h"
#include "lockd/payload_kind.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace std::chrono_literals;

constexpr std::array kNodes = {base::NodeId{1}, base::NodeId{2}, base::NodeId{3}};
constexpr std::size_t kConnections = 2;

base::Processor processor(std::size_t index) {
  return {kNodes[index], base::Incarnation{index + 10}};
}

// This node has the majority alone, so that it grants locks whoever else is there.
lockd::ReplicaConfig replica_config() {
  lockd::ReplicaConfig config;
  config.self = kNodes[0];
  config.nodes = {{kNodes[0], 3, false}, {kNodes[1], 1, false}, {kNodes[2], 1, false}};
  config.digest_interval = 4;
  return config;
}

class World {
 public:
  World()
      : daemon_(lockd::DaemonConfig::from(replica_config()), processor(0),
                lockd::initial_record({}, {}, kNodes[0]), [] { return lockd::Secret{}; }) {
    install(0);
    settle();
  }

  bool over() const { return daemon_.failure().has_value(); }

  void step(fuzz::Input& input) {
    const std::uint8_t what = input.u8();
    const std::size_t who = what / 16 % 2;
    switch (what % 8) {
      case 0:
      case 1: {
        base::Buffer frame;
        base::ByteWriter(frame).bytes32(input.piece());
        receive(who, frame);
        break;
      }
      case 2:
        if (what & 0x80) {
          receive(who, input.piece());
        } else if (connections_[who]) {
          daemon_.handle_hang_up(
              now_, *connections_[who],
              what & 0x40 ? lockd::HangUp::broken : lockd::HangUp::closed_by_client);
          connections_[who].reset();
        }
        break;
      case 3: {
        const base::Bytes payload = input.piece();
        deliver(who + 1, {payload.begin(), payload.end()}, static_cast<evs::Service>(what >> 6));
        break;
      }
      case 4:
      case 5:
        deliver_of_this_ring(who + 1, input.piece());
        break;
      case 6:
        install(what / 16 % 4);
        break;
      case 7:
        pass(std::chrono::milliseconds(input.u8()) * (what & 0x80 ? 20 : 1));
        break;
    }
    settle();
  }

  void check() const { daemon_.check_invariants(); }

 private:
  void install(std::uint32_t others) {
    evs::ConfigurationChange from;
    evs::ConfigurationChange to;
    to.configuration.members.push_back(processor(0));
    if (others & 1) to.configuration.members.push_back(processor(1));
    if (others & 2) to.configuration.members.push_back(processor(2));
    ++rings_;
    to.configuration.id = {rings_ * 2, kNodes[0], rings_};
    if (!ring_.members.empty()) {
      // Nobody comes along.
      from.configuration = {evs::ConfigurationKind::transitional,
                            {rings_ * 2 - 1, kNodes[0], rings_},
                            {processor(0)}};
      from.departed.assign(ring_.members.begin() + 1, ring_.members.end());
      from.last_token = now_;
      daemon_.handle_event(now_, from);
      to.joined.assign(to.configuration.members.begin() + 1, to.configuration.members.end());
    }
    to.last_token = now_;
    ring_ = to.configuration;
    daemon_.handle_event(now_, to);
  }

  void deliver(std::size_t from, base::Buffer payload, evs::Service service) {
    daemon_.handle_event(now_, evs::Delivery{processor(from), ring_.id, ++sequence_, 0, service,
                                             std::move(payload)});
  }

  // What replicas drop because it is of another ring is made one of this one.
  void deliver_of_this_ring(std::size_t from, base::Bytes bytes) {
    auto message = lockd::decode_ring_message(bytes);
    if (!message) return;
    message->ring = ring_.id;
    if (auto* ordered = std::get_if<lockd::Ordered>(&message->body))
      ordered->command.ring = ring_.id;
    base::Buffer payload = lockd::encode(*message);
    payload.push_back(static_cast<std::byte>(lockd::PayloadKind::replica));
    deliver(from, std::move(payload), evs::Service::safe);
  }

  void receive(std::size_t who, base::Bytes bytes) {
    if (!connections_[who]) {
      connections_[who] = lockd::ConnectionId{++made_};
      daemon_.handle_connect(now_, *connections_[who], {1000, 1000, 1});
      settle();
      if (!connections_[who]) return;
    }
    daemon_.handle_bytes(now_, *connections_[who], bytes);
  }

  void pass(base::Duration time) {
    now_ = now_ + time;
    const auto due = daemon_.next_timeout();
    if (due && *due <= now_.boot) daemon_.handle_timeout(now_);
  }

  // The driver's loop, as lockd/daemon.h has it; what it multicasts is delivered at once.
  void settle() {
    bool busy = true;
    for (int rounds = 0; busy && !over(); ++rounds) {
      fuzz::require(rounds < 1000, "it comes to rest");
      busy = false;
      const evs::TokenEvidence evidence{ring_.id, now_, now_, true};
      daemon_.handle_evidence(now_, &evidence);
      while (auto message = daemon_.poll_multicast(evs::kMessageBytesMax)) {
        busy = true;
        deliver(0, std::move(message->payload), message->service);
      }
      if (auto write = daemon_.poll_record_write()) {
        busy = true;
        daemon_.handle_record_written(now_, write->id, true);
      }
      while (const auto output = daemon_.poll_output()) {
        const auto connection =
            std::find(connections_.begin(), connections_.end(), output->connection);
        fuzz::require(connection != connections_.end(), "it writes to who is connected");
        if (output->close) {
          connection->reset();
        } else {
          daemon_.handle_written(output->connection, output->bytes.size());
        }
      }
      while (daemon_.poll_event()) {
      }
    }
  }

  base::Instant now_{1000s, 900s};
  lockd::Daemon daemon_;
  evs::Configuration ring_;
  std::uint64_t rings_ = 0;
  std::uint64_t sequence_ = 0;
  std::uint64_t made_ = 0;
  std::array<std::optional<lockd::ConnectionId>, kConnections> connections_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  World world;
  fuzz::Input input(data, size);
  while (!input.empty() && !world.over()) world.step(input);
  world.check();
  return 0;
}
