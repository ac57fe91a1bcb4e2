// What a simulated client does at barriers: it arrives, waits or gives up, leaves again, and now
// and then creates, changes, cancels or deletes one. It tells the judge of barriers all that it
// asks and hears.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "liblock/client_machine.h"
#include "tests/sim/barrier_checker.h"
#include "tests/sim/coverage.h"
#include "tests/sim/virtual_clock.h"

namespace sim {

// The barriers of a run: all clients mean the same by a name.
struct BarrierPlan {
  struct Kind {
    BarrierName name;
    BarrierConfig config;
  };
  std::vector<Kind> kinds;
  bool force = false;  // Sessions are ended by force.

  static BarrierPlan draw(base::Random& random, std::size_t clients, std::size_t nodes, bool force);
};

class BarrierScript {
 public:
  BarrierScript(const BarrierPlan& plan, const VirtualClock& clock, base::Random& random,
                BarrierChecker& checker, Coverage& coverage, liblock::ClientMachine& wire,
                std::uint64_t number);

  void act(Duration now);
  void on_session(base::SessionId session) { checker_.client_opened(number_, session); }

  // True if it was about barriers, or about what was asked here.
  bool hear(Duration now, const liblock::Event& event);

  // No new arrivals; whoever waits withdraws, and whoever is inside leaves.
  void wind_down() { winding_down_ = true; }
  bool at_rest() const { return arrivals_.empty() && inside_.empty() && operations_.empty(); }
  void die() { checker_.client_gone(number_); }

 private:
  struct Arrival {
    bool two_steps = false;
    bool patient = false;  // Waits as long as it takes.
    Duration act_at{};
  };
  struct Inside {
    base::RequestId leave{};  // 0 while it has not asked to leave.
    Duration act_at{};
  };

  void arrive(Duration now);
  void leave(Duration now, BarrierGeneration generation);
  void withdraw(Duration now, base::RequestId arrival);
  void operate(Duration now);
  void visit_lockspace(Duration now);
  void ended(Duration now, const liblock::BarrierEnded& ended);
  void failed(Duration now, const liblock::BarrierFailed& failed);
  std::string draw_value();
  Instant clock_now(Duration now) const { return clock_.at(now); }

  const BarrierPlan& plan_;
  const VirtualClock& clock_;
  base::Random& random_;
  BarrierChecker& checker_;
  Coverage& coverage_;
  liblock::ClientMachine& wire_;
  const std::uint64_t number_;
  std::map<base::RequestId, Arrival> arrivals_;
  std::map<BarrierGeneration, Inside> inside_;
  std::set<base::RequestId> operations_;
  std::uint64_t values_ = 0;
  bool joined_ = false;
  bool winding_down_ = false;
};

}  // namespace sim
