// One simulated run: a cluster of machines with clocks, disks, a network and an attacker, clients
// that take locks, faults by plan and by chance, and the judges of it all. The code under it is the
// real one; only sockets, clocks, disks and the cipher are simulated.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/barrier_checker.h"
#include "tests/sim/client.h"
#include "tests/sim/coverage.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/evs_checker.h"
#include "tests/sim/lock_checker.h"
#include "tests/sim/machine.h"
#include "tests/sim/network.h"
#include "tests/sim/run_options.h"
#include "tests/sim/seal_checker.h"
#include "tests/sim/wire_tap.h"

namespace sim {

// The property that a run breaks which reaches its time limit.
inline constexpr const char* kRest = "rest";

struct RunResult {
  std::vector<Violation> violations;
  Duration simulated{};
  std::uint64_t events = 0;
  Coverage coverage;
};

class World : public MachineObserver {
 public:
  // With `trace`, prints what happens, a line each.
  World(const RunOptions& options, bool trace);
  ~World() override;

  RunResult run();

 private:
  void step(Occurrence occurrence);
  void to_machine(const Occurrence& occurrence);
  void to_client(const Occurrence& occurrence);
  void to_world(const Occurrence& occurrence);

  // Faults: faults.cc.
  void strike(std::size_t node);
  void crash_some();
  void crash_all();
  void crash(std::size_t node);
  void leave(std::size_t node);
  void went_down(std::size_t node);
  void restart(std::size_t node);
  Duration pause_length();
  void pause(std::size_t node, Duration how_long);
  void resume(std::size_t node);
  void pause_client();
  void resume_client(std::size_t client);
  void fail_client(std::size_t client);
  void heal();
  void choose_core();

  // Clients: clients.cc.
  std::unique_ptr<Client> new_client(std::size_t client);
  void after_client(std::size_t client);
  void connect(std::size_t client);
  void disconnect(std::size_t client);
  void tidy_up();
  std::size_t serving() const;
  Duration pipe_time(std::size_t client);

  void after_machine(std::size_t node);
  void multicast();
  bool whole() const;
  bool at_rest() const;
  void look();
  void collect_coverage();
  void count(const Client& client);
  void schedule(Happening what, Duration mean);
  void say(std::size_t node, const std::string& what);
  std::vector<std::size_t> running() const;
  // The core, and whoever is in a ring with it although a link is dead: where nothing more is sent,
  // it need not be missed. None if the core is not there.
  std::vector<std::size_t> resting() const;
  bool with_daemons() const { return options_.with_daemons(); }

  void on_trace(std::size_t node, const evs::TraceRecord& record) override;
  void on_event(std::size_t node, const evs::Event& event) override;
  void on_transmit(std::size_t node, evs::NodeMask to, const base::Buffer& sealed) override;
  void on_multicast(std::size_t node, evs::Service service, base::Bytes payload) override;
  void on_record_write(std::size_t node, std::uint64_t id) override;
  void on_output(std::size_t node, lockd::ConnectionId connection, base::Bytes bytes,
                 bool close) override;
  void activated(const lockd::Epoch& epoch, const std::vector<base::Processor>& members,
                 const std::vector<base::Processor>& holders, const lockd::Activate& activate,
                 const evs::Configuration& configuration) override;
  void applied(const lockd::Epoch& epoch, const evs::Delivery& delivery,
               const evs::Configuration& configuration, const lockd::State& state,
               const lockd::Effects& effects) override;

  const RunOptions options_;
  const bool trace_;
  base::Random random_;
  EventQueue queue_;
  Network network_;
  EvsChecker evs_checker_;
  SealChecker seal_checker_;
  LockChecker lock_checker_;
  BarrierChecker barrier_checker_;
  BarrierPlan barrier_plan_;
  Resources resources_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::vector<std::vector<Occurrence>> deferred_;  // What waits for a paused machine.
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::vector<Occurrence>> deferred_clients_;
  std::vector<Duration> pipe_times_;                     // A client's bytes keep their order.
  std::vector<std::optional<std::size_t>> connections_;  // By number: whose.
  WireTap wire_tap_;
  std::map<dlm::LockName, std::string> lock_resources_;
  std::uint64_t clients_made_ = 0;
  Duration now_{};
  std::size_t acting_ = 0;  // The machine that is handling an input.
  bool healed_ = false;
  std::vector<bool> core_;  // Those that are to come to rest together.
  std::vector<bool> gone_;  // Down for good.
  bool disk_lost_ = false;
  bool traffic_ = true;
  std::optional<evs::TraceEvent> crash_at_;  // A crash is planned for when a member does this.
  std::optional<std::size_t> struck_;        // The member that is to crash now.
  std::uint64_t temptation_ = 0;             // Now a fault is worth while, once in so many times.
  bool undisturbed_ = false;                 // Nothing goes wrong any more, and all are together.
  int whole_for_ = 0;                        // So many looks.
  std::vector<Violation> violations_;
  Coverage coverage_;
  std::uint64_t events_ = 0;
};

}  // namespace sim
