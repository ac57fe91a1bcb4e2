// One simulated machine: its clocks and its disk, and the life of the daemon that runs on it, if it
// runs. Crashing ends the life; pausing stops it while the world goes on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "evs/net/sealer.h"
#include "evs/node.h"
#include "lockd/daemon.h"
#include "tests/sim/run_options.h"
#include "tests/sim/seal_checker.h"
#include "tests/sim/virtual_clock.h"

namespace sim {

// What a machine does, told as it happens.
class MachineObserver : public virtual lockd::ReplicaObserver {
 public:
  virtual void on_trace(std::size_t node, const evs::TraceRecord& record) = 0;
  virtual void on_event(std::size_t node, const evs::Event& event) = 0;
  virtual void on_transmit(std::size_t node, evs::NodeMask to, const base::Buffer& sealed) = 0;
  virtual void on_multicast(std::size_t node, evs::Service service, base::Bytes payload) = 0;
  virtual void on_record_write(std::size_t node, std::uint64_t id) = 0;
  virtual void on_output(std::size_t node, lockd::ConnectionId connection, base::Bytes bytes,
                         bool close) = 0;
};

class Machine : private evs::TraceSink {
 public:
  Machine(std::size_t index, const RunOptions& options, base::Random random,
          SealChecker& seal_checker, MachineObserver& observer);

  void start(Duration true_time);
  void crash();

  // In good order, as the driver does. False if the daemon may not go yet: to be called again after
  // every input.
  bool leave(Duration true_time);
  bool leaving() const { return leaving_; }

  // While down: the record is gone.
  void lose_disk();

  void receive(Duration true_time, const base::Buffer& datagram);
  void handle_timeout(Duration true_time);
  void record_written(Duration true_time, std::uint64_t id);
  void connect(Duration true_time, lockd::ConnectionId connection);
  void client_bytes(Duration true_time, lockd::ConnectionId connection, base::Bytes bytes);
  void client_gone(Duration true_time, lockd::ConnectionId connection, lockd::HangUp how);

  // For a run without daemons.
  bool multicast(Duration true_time, evs::Service service, base::Bytes payload);

  bool running() const { return life_ != nullptr; }
  const evs::Node& node() const { return life_->node; }
  const lockd::Daemon& daemon() const { return *life_->daemon; }
  base::Processor processor() const { return life_->node.self(); }
  const evs::net::Opener& opener() const { return life_->opener.opener(); }
  const VirtualClock& clock() const { return clock_; }

  // The true time of the next deadline; none while down.
  std::optional<Duration> next_timeout() const;

  bool paused = false;

  // Deadlines set before this number are void.
  std::uint64_t timer_number = 0;

 private:
  struct Life {
    Life(const evs::Config& config, base::Random& random, Instant now, SealChecker& seal_checker,
         evs::TraceSink* trace);

    evs::net::Salt salt;
    evs::net::Sealer sealer;
    CheckedOpener opener;
    evs::Node node;
    std::optional<lockd::Daemon> daemon;
  };

  void record(const evs::TraceRecord& record) override;
  void send(evs::net::RecordType type, evs::NodeMask to, base::Bytes text);
  void drain(Instant now);
  void drain_into_daemon(Instant now);
  void write_slot(const lockd::Record& record, std::size_t bytes);

  std::size_t index_;
  const RunOptions& options_;
  base::Random random_;
  VirtualClock clock_;
  SealChecker& seal_checker_;
  MachineObserver& observer_;
  evs::Config config_;
  base::Buffer disk_;
  std::optional<lockd::RecordWrite> writing_;
  std::unique_ptr<Life> life_;
  bool leaving_ = false;
  base::Buffer sealed_;
};

// Node ids of the simulated cluster: machine 0 is node 1.
base::NodeId node_id(std::size_t index);

}  // namespace sim
