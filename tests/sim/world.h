// One simulated run: a cluster of machines with clocks, a network and an attacker, faults by plan
// and by chance, a workload, and the judges of it all. The code under it is the real one; only
// sockets, clocks, disks and the cipher are simulated.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/coverage.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/evs_checker.h"
#include "tests/sim/machine.h"
#include "tests/sim/network.h"
#include "tests/sim/run_options.h"
#include "tests/sim/seal_checker.h"

namespace sim {

struct RunResult {
  std::vector<Violation> violations;
  Duration simulated{};
  std::uint64_t events = 0;
  Coverage coverage;
};

class World : private MachineObserver {
 public:
  // With `trace`, prints what happens, a line each.
  World(const RunOptions& options, bool trace);
  ~World();

  RunResult run();

 private:
  void step(Occurrence occurrence);
  void after_input(std::size_t node);
  void multicast();
  void strike(std::size_t node);
  void crash(std::size_t node);
  void restart(std::size_t node);
  void pause(std::size_t node, Duration how_long);
  void resume(std::size_t node);
  void heal();
  bool at_rest() const;
  void schedule(Happening what, Duration mean, std::size_t node = 0);
  void say(std::size_t node, const std::string& what);
  std::vector<std::size_t> running() const;

  void on_numbered(std::size_t node, const evs::TraceRecord& record) override;
  void on_trace(std::size_t node, const evs::TraceRecord& record) override;
  void on_event(std::size_t node, const evs::Event& event) override;
  void on_transmit(std::size_t node, const evs::Transmit& transmit,
                   const base::Buffer& sealed) override;

  const RunOptions options_;
  const bool trace_;
  base::Random random_;
  EventQueue queue_;
  Network network_;
  EvsChecker evs_checker_;
  SealChecker seal_checker_;
  std::vector<std::unique_ptr<Machine>> machines_;
  Duration now_{};
  bool healed_ = false;
  bool traffic_ = true;
  std::optional<evs::TraceEvent> crash_at_;  // A crash is planned for when a member does this.
  std::optional<std::size_t> struck_;        // The member that is to crash now.
  bool tempting_ = false;  // Something just happened that is a good moment for a fault.
  std::vector<Violation> violations_;
  Coverage coverage_;
  std::uint64_t events_ = 0;
};

}  // namespace sim
