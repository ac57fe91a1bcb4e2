#include "tests/sim/machine.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.h"

namespace sim {

namespace {

using std::chrono::milliseconds;

constexpr lockd::ClusterId kCluster = {1, 1, 1, 1};

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

// Some lives begin shortly before their sub-key ends.
std::uint64_t draw_counter(base::Random& random) {
  const std::uint64_t sub_key_end = std::uint64_t{1} << evs::net::kSubKeyBits;
  return random.chance(1, 4) ? sub_key_end - 1 - random.below(500) : 1;
}

evs::Config ring_config(std::size_t index, const RunOptions& options) {
  evs::Config config;
  config.self = node_id(index);
  for (std::size_t i = 0; i < options.nodes; ++i) config.nodes.push_back(node_id(i));
  if (options.numbers_near_32_bits) {
    const std::uint64_t end = std::uint64_t{1} << 32;
    config.first_sequence = end - 1 - options.seed % 64;
    config.first_ring_sequence = end - 2 - index - options.seed % 16;
  }
  if (options.small_windows) {
    config.personal_window = 2;
    config.rotation_window = 5;
    config.outstanding_max = 16;
    // A batch is short here, and still has a tail in half of the runs.
    config.acknowledge_packets_max = 1;
    config.accelerated_window = options.seed % 2;
    config.datagram_bytes_max = 512;
  }
  return config;
}

// Short leases and few tokens, so that waits run out and ranges end within a run.
lockd::ReplicaConfig replica_config(std::size_t index, const RunOptions& options) {
  lockd::ReplicaConfig config;
  config.cluster = kCluster;
  config.self = node_id(index);
  for (std::size_t i = 0; i < options.nodes; ++i) {
    config.nodes.push_back({node_id(i), 1, options.witness && i + 1 == options.nodes});
  }
  config.lease = options.lease;
  config.lease_margin = options.lease_margin;
  config.clock_drift_ppm = std::max<std::uint32_t>(options.drift_ppm, 1);
  config.digest_interval = 8;
  config.token_range = 64;
  config.chunk_bytes = 256;
  return config;
}

lockd::StoreId store_of(std::size_t index) {
  lockd::StoreId store{};
  store[0] = static_cast<std::uint8_t>(index + 1);
  return store;
}

}  // namespace

base::NodeId node_id(std::size_t index) {
  return base::NodeId{static_cast<std::uint32_t>(index + 1)};
}

Machine::Life::Life(const evs::Config& config, base::Random& random, Instant now,
                    SealChecker& seal_checker, evs::TraceSink* trace)
    : salt(draw_salt(random)),
      sealer(seal_checker.aead(), cluster_key(), config.self, salt, draw_counter(random)),
      opener(seal_checker, cluster_key(), config.self, salt, config.nodes),
      node(config, base::Incarnation{random.u64()}, random.fork(), now, trace) {}

Machine::Machine(std::size_t index, const RunOptions& options, base::Random random,
                 SealChecker& seal_checker, MachineObserver& observer)
    : index_(index),
      options_(options),
      random_(random),
      clock_(random_, options.clocks, options.drift_ppm),
      seal_checker_(seal_checker),
      observer_(observer),
      config_(ring_config(index, options)),
      disk_(lockd::kRecordFileBytes) {
  write_slot(lockd::initial_record(kCluster, store_of(index), node_id(index)),
             lockd::kRecordSlotBytes);
}

void Machine::start(Duration true_time) {
  CHECK(!running());
  paused = false;
  const Instant now = clock_.at(true_time);
  evs::TraceSink* trace = this;
  life_ = std::make_unique<Life>(config_, random_, now, seal_checker_, trace);
  if (options_.with_daemons()) {
    lockd::DaemonConfig config = lockd::DaemonConfig::from(replica_config(index_, options_));
    life_->daemon.emplace(config, life_->node.self(), lockd::choose_record(disk_), [this] {
      lockd::Secret secret;
      for (auto& byte : secret.bits) byte = static_cast<std::byte>(random_.below(256));
      return secret;
    });
    life_->daemon->set_observer(&observer_);
  }
  drain(now);
}

// A write under way is on the disk whole, or in part, or not at all.
void Machine::crash() {
  seal_checker_.life_ended(life_->salt);
  life_.reset();
  paused = false;
  leaving_ = false;
  if (writing_ && random_.chance(2, 3)) {
    write_slot(writing_->record, random_.chance(1, 2) ? lockd::kRecordSlotBytes
                                                      : random_.below(lockd::kRecordSlotBytes));
  }
  writing_.reset();
}

// The driver waits for a write under way.
bool Machine::leave(Duration true_time) {
  const Instant now = clock_.at(true_time);
  if (life_->daemon) {
    if (!leaving_) life_->daemon->stop(now);
    leaving_ = true;
    drain(now);
    if (!life_->daemon->may_leave(now)) return false;
  }
  life_->node.leave(now);
  while (auto transmit = life_->node.poll_transmit()) {
    send(evs::net::RecordType::ring, transmit->to, transmit->datagram);
  }
  if (writing_) write_slot(writing_->record, lockd::kRecordSlotBytes);
  writing_.reset();
  crash();
  return true;
}

void Machine::lose_disk() {
  CHECK(!running());
  disk_.assign(disk_.size(), std::byte{});
}

void Machine::write_slot(const lockd::Record& record, std::size_t bytes) {
  const lockd::RecordSlot slot = lockd::encode_record(record);
  const std::size_t at = lockd::slot_of(record.generation) * lockd::kRecordSlotBytes;
  std::copy_n(slot.begin(), bytes, disk_.begin() + static_cast<std::ptrdiff_t>(at));
}

void Machine::receive(Duration true_time, const base::Buffer& datagram) {
  const Instant now = clock_.at(true_time);
  const auto opened = life_->opener.open(now, datagram);
  for (const evs::net::HandshakeRecord& record : life_->opener.opener().to_send()) {
    send(record.type, evs::NodeMask{1} << (base::value(record.to) - 1), record.text);
  }
  if (!opened || !*opened) return;
  life_->node.handle_datagram(now, (*opened)->sender(), (*opened)->plaintext);
  drain(now);
}

void Machine::handle_timeout(Duration true_time) {
  const Instant now = clock_.at(true_time);
  life_->node.handle_timeout(now);
  if (life_->daemon) life_->daemon->handle_timeout(now);
  drain(now);
}

void Machine::record_written(Duration true_time, std::uint64_t id) {
  if (!writing_ || writing_->id != id) return;
  write_slot(writing_->record, lockd::kRecordSlotBytes);
  writing_.reset();
  const Instant now = clock_.at(true_time);
  life_->daemon->handle_record_written(now, id, true);
  drain(now);
}

void Machine::connect(Duration true_time, lockd::ConnectionId connection) {
  const Instant now = clock_.at(true_time);
  // As root, who may join and leave lockspaces.
  life_->daemon->handle_connect(now, connection, lockd::Peer{0, 0, 1});
  drain(now);
}

void Machine::client_bytes(Duration true_time, lockd::ConnectionId connection, base::Bytes bytes) {
  const Instant now = clock_.at(true_time);
  life_->daemon->handle_bytes(now, connection, bytes);
  drain(now);
}

void Machine::client_gone(Duration true_time, lockd::ConnectionId connection, lockd::HangUp how) {
  const Instant now = clock_.at(true_time);
  life_->daemon->handle_hang_up(now, connection, how);
  drain(now);
}

bool Machine::multicast(Duration true_time, evs::Service service, base::Bytes payload) {
  observer_.on_multicast(index_, service, payload);
  const Instant now = clock_.at(true_time);
  const bool taken = life_->node.multicast(now, service, payload).has_value();
  drain(now);
  return taken;
}

std::optional<Duration> Machine::next_timeout() const {
  if (!running()) return std::nullopt;
  auto deadline = life_->node.next_timeout();
  if (life_->daemon) {
    const auto other = life_->daemon->next_timeout();
    if (other && (!deadline || *other < *deadline)) deadline = other;
  }
  if (!deadline) return std::nullopt;
  return clock_.when(*deadline);
}

void Machine::record(const evs::TraceRecord& record) {
  observer_.on_trace(index_, record);
}

void Machine::drain(Instant now) {
  if (life_->daemon) {
    drain_into_daemon(now);
  } else {
    while (auto event = life_->node.poll_event()) observer_.on_event(index_, *event);
  }
  while (auto transmit = life_->node.poll_transmit()) {
    send(evs::net::RecordType::ring, transmit->to, transmit->datagram);
  }
}

void Machine::send(evs::net::RecordType type, evs::NodeMask to, base::Bytes text) {
  life_->sealer.seal(type, text, sealed_);
  observer_.on_transmit(index_, to, sealed_);
}

// The loop of lockd/daemon.h.
void Machine::drain_into_daemon(Instant now) {
  lockd::Daemon& daemon = *life_->daemon;
  for (bool again = true; again;) {
    while (auto event = life_->node.poll_event()) {
      observer_.on_event(index_, *event);
      daemon.handle_event(now, std::move(*event));
    }
    const bool operational = life_->node.state() == evs::NodeState::operational;
    daemon.handle_evidence(now, operational ? &life_->node.evidence() : nullptr);
    again = false;
    while (auto message = daemon.poll_multicast(life_->node.send_room())) {
      observer_.on_multicast(index_, message->service, message->payload);
      CHECK(life_->node.multicast(now, message->service, message->payload).has_value());
      again = true;
    }
  }
  if (auto write = daemon.poll_record_write()) {
    CHECK(!writing_);
    writing_ = std::move(*write);
    observer_.on_record_write(index_, writing_->id);
  }
  while (auto output = daemon.poll_output()) {
    const lockd::ConnectionId connection = output->connection;
    const std::size_t size = output->bytes.size();
    observer_.on_output(index_, connection, output->bytes, output->close);
    if (!output->close) daemon.handle_written(connection, size);
  }
  while (daemon.poll_event()) {
  }
}

}  // namespace sim
