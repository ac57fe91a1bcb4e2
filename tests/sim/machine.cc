#include "tests/sim/machine.h"

#include <chrono>

#include "base/check.h"

namespace sim {

namespace {

evs::net::ClusterKey cluster_key() {
  evs::net::ClusterKey key;
  key.cluster.fill(std::byte{0x11});
  return key;
}

evs::net::Salt draw_salt(base::Random& random) {
  evs::net::Salt salt;
  for (auto& byte : salt) byte = static_cast<std::byte>(random.below(256));
  return salt;
}

evs::Config ring_config(std::size_t index, const RunOptions& options) {
  evs::Config config;
  config.self = node_id(index);
  for (std::size_t i = 0; i < options.nodes; ++i) config.nodes.push_back(node_id(i));
  if (options.small_windows) {
    config.personal_window = 2;
    config.rotation_window = 5;
    config.outstanding_max = 16;
    config.datagram_bytes_max = 512;
  }
  return config;
}

}  // namespace

base::NodeId node_id(std::size_t index) {
  return base::NodeId{static_cast<std::uint32_t>(index + 1)};
}

Machine::Life::Life(const evs::Config& config, base::Random& random, Instant now,
                    SealChecker& seal_checker, evs::TraceSink* trace)
    : sealer(seal_checker.aead(), cluster_key(), config.self, draw_salt(random)),
      opener(seal_checker, cluster_key(), config.self, config.nodes),
      node(config, base::Incarnation{random.u64()}, random.fork(), now, trace) {}

Machine::Machine(std::size_t index, const RunOptions& options, base::Random random,
                 SealChecker& seal_checker, MachineObserver& observer)
    : index_(index),
      random_(random),
      clock_(random_, options.drift_ppm),
      seal_checker_(seal_checker),
      observer_(observer),
      config_(ring_config(index, options)) {}

void Machine::start(Duration true_time) {
  CHECK(!running());
  paused_ = false;
  backlog_.clear();
  evs::TraceSink* trace = this;
  life_ = std::make_unique<Life>(config_, random_, clock_.at(true_time), seal_checker_, trace);
  drain();
}

void Machine::crash() {
  life_.reset();
  backlog_.clear();
  paused_ = false;
}

void Machine::resume(Duration true_time) {
  paused_ = false;
  std::deque<base::Buffer> waited;
  waited.swap(backlog_);
  for (const base::Buffer& datagram : waited) receive(true_time, datagram);
  handle_timeout(true_time);
}

void Machine::receive(Duration true_time, const base::Buffer& datagram) {
  if (!running()) return;
  if (paused_) {
    if (backlog_.size() < kBacklogMax) backlog_.push_back(datagram);
    return;
  }
  const auto opened = life_->opener.open(datagram);
  if (!opened) return;
  life_->node.handle_datagram(clock_.at(true_time), opened->sender, opened->plaintext);
  drain();
}

void Machine::handle_timeout(Duration true_time) {
  if (!running() || paused_) return;
  life_->node.handle_timeout(clock_.at(true_time));
  drain();
}

bool Machine::multicast(Duration true_time, evs::Service service, base::Bytes payload) {
  const bool taken = life_->node.multicast(clock_.at(true_time), service, payload).has_value();
  drain();
  return taken;
}

std::optional<Duration> Machine::next_timeout() const {
  if (!running() || paused_) return std::nullopt;
  const auto deadline = life_->node.next_timeout();
  if (!deadline) return std::nullopt;
  return clock_.when(*deadline);
}

void Machine::record(const evs::TraceRecord& record) {
  if (record.event == evs::TraceEvent::message_numbered) observer_.on_numbered(index_, record);
  observer_.on_trace(index_, record);
}

void Machine::drain() {
  while (auto transmit = life_->node.poll_transmit()) {
    life_->sealer.seal(transmit->datagram, sealed_);
    observer_.on_transmit(index_, *transmit, sealed_);
  }
  while (auto event = life_->node.poll_event()) observer_.on_event(index_, *event);
  life_->node.check_invariants();
}

}  // namespace sim
