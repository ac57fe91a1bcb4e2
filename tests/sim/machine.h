// One simulated machine: its clocks and its network card's buffer, and the life of the ring member
// that runs on it, if it runs. Crashing ends the life; pausing stops it while the world goes on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "evs/net/sealer.h"
#include "evs/node.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/run_options.h"
#include "tests/sim/seal_checker.h"
#include "tests/sim/virtual_clock.h"

namespace sim {

class MachineObserver {
 public:
  virtual ~MachineObserver() = default;
  virtual void on_numbered(std::size_t node, const evs::TraceRecord& record) = 0;
  virtual void on_trace(std::size_t node, const evs::TraceRecord& record) = 0;
  virtual void on_event(std::size_t node, const evs::Event& event) = 0;
  virtual void on_transmit(std::size_t node, const evs::Transmit& transmit,
                           const base::Buffer& sealed) = 0;
};

class Machine : private evs::TraceSink {
 public:
  // Datagrams that the socket keeps while nobody reads it.
  static constexpr std::size_t kBacklogMax = 512;

  Machine(std::size_t index, const RunOptions& options, base::Random random,
          SealChecker& seal_checker, MachineObserver& observer);

  void start(Duration true_time);
  void crash();
  void pause() { paused_ = true; }

  // Goes on: reads what waited at the socket first, as the driver does.
  void resume(Duration true_time);

  void receive(Duration true_time, const base::Buffer& datagram);
  void handle_timeout(Duration true_time);
  bool multicast(Duration true_time, evs::Service service, base::Bytes payload);

  bool running() const { return life_ != nullptr; }
  bool paused() const { return paused_; }
  const evs::Node& node() const { return life_->node; }
  base::Processor processor() const { return life_->node.self(); }
  const evs::net::Opener& opener() const { return life_->opener.opener(); }

  // The true time of the next deadline; none while paused or down.
  std::optional<Duration> next_timeout() const;

  // Deadlines set before this number are void.
  std::uint64_t timer_number = 0;

 private:
  struct Life {
    Life(const evs::Config& config, base::Random& random, Instant now, SealChecker& seal_checker,
         evs::TraceSink* trace);

    evs::net::Sealer sealer;
    CheckedOpener opener;
    evs::Node node;
  };

  void record(const evs::TraceRecord& record) override;
  void drain();

  std::size_t index_;
  base::Random random_;
  VirtualClock clock_;
  SealChecker& seal_checker_;
  MachineObserver& observer_;
  evs::Config config_;
  std::unique_ptr<Life> life_;
  bool paused_ = false;
  std::deque<base::Buffer> backlog_;
  base::Buffer sealed_;
};

// Node ids of the simulated cluster: machine 0 is node 1.
base::NodeId node_id(std::size_t index);

}  // namespace sim
