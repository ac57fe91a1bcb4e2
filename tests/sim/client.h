// One simulated client process: the real client machine of liblock, and a script that takes locks,
// holds them, uses what they guard, converts them, and gives them back. It lives on a machine, and
// reads that machine's clocks. The script is client_script.cc; client.cc hears the events.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "liblock/client_machine.h"
#include "tests/sim/barrier_script.h"
#include "tests/sim/lock_checker.h"
#include "tests/sim/resource.h"
#include "tests/sim/run_options.h"
#include "tests/sim/virtual_clock.h"

namespace sim {

// A transaction: what it has yet to ask for.
struct Transaction {
  std::uint64_t owner = 0;
  std::vector<std::string> todo;
};

// What a process that has died left behind.
struct LeftBehind {
  std::string resource;
  dlm::Mode mode{};
};

class Client {
 public:
  Client(std::size_t machine, const VirtualClock& clock, base::Random random, LockChecker& checker,
         Resources& resources, const Traffic& traffic, std::uint64_t number);

  // It is one of those that are at barriers, and takes no locks.
  void take_part(const BarrierPlan& plan, BarrierChecker& checker, Coverage& coverage);

  // Whose clocks it has.
  std::size_t machine() const { return machine_; }
  liblock::ClientMachine& wire() { return wire_; }

  // The script's next step, due at next_act().
  void act(Duration now);
  Duration next_act() const { return next_act_; }

  // After every input: takes the events, and tells the judge what is believed until when.
  void take_events(Duration now);

  // No new locks; what is held is given back, and so is in the end what the patient wait for.
  // Locks that are kept until somebody waits for them are kept on, so that it shows whether who
  // keeps them is told; until let_go().
  void wind_down();
  void let_go() { letting_go_ = true; }
  bool waits() const;
  bool at_rest() const;

  // Ends what dead processes of these nodes have left behind.
  void drop_orphans(Duration now, base::NodeId node);

  // The process dies. What it leaves behind others may hear of, who then try to adopt it.
  void die(Duration now);
  std::vector<LeftBehind> left_behind() const;
  void hear_of(const std::vector<LeftBehind>& left) { left_behind_ = left; }

  std::optional<Duration> next_timeout() const;

  std::uint64_t grants = 0;
  std::uint64_t losses = 0;
  std::uint64_t conversions = 0;
  std::uint64_t deadlocks = 0;
  std::uint64_t adoptions = 0;
  std::uint64_t blocks = 0;
  std::uint64_t lockspace_changes = 0;
  std::string last_event;  // For the trace.

  // Bookkeeping of the world's.
  std::size_t server;  // The machine whose daemon it talks to, or did last.
  bool roams = false;  // It goes on at another daemon when its own is gone.
  std::optional<std::uint64_t> connection;
  std::uint64_t timer_number = 0;
  bool paused = false;

 private:
  enum class Role : std::uint8_t { plain, any_mode, value, cached, transaction, several };

  struct Request {
    std::string resource;
    Role role = Role::plain;
    dlm::Mode mode{};  // Asked for, then held.
    dlm::LockFlags flags = 0;
    std::uint64_t owner = 0;
    base::RequestId first{};  // Of several that were asked for at once.
    std::size_t parts = 1;
    bool patient = false;  // Waits as long as it takes.
    bool granted = false;
    bool releasing = false;
    bool blocked = false;  // Somebody waits for it.
    base::Token token{};
    std::optional<base::RequestId> conversion;
    std::uint64_t number = 0;  // What it read in the value block.
    Duration act_at{};
  };

  // client_script.cc
  void begin(Duration now);
  void begin_one(Duration now, Request request, bool no_queue);
  void begin_several(Duration now);
  void begin_transaction(Duration now);
  void go_on(Duration now);
  void end_transaction();
  bool is_of_transaction(const Request& request) const;
  void visit_lockspace(Duration now);
  void act_on_waiting(Duration now, base::RequestId id);
  void act_on_granted(Duration now, base::RequestId id);
  bool keeps(Duration now, Request& request);
  void convert(Duration now, base::RequestId id, dlm::Mode mode);
  void release(Duration now, base::RequestId id);
  void use(Duration now, base::RequestId id, const Request& request);
  std::uint32_t draw_patience();
  dlm::LockFlags draw_flags(Role role);
  dlm::LockFlags draw_conversion_flags(dlm::Mode from, dlm::Mode to);
  dlm::LockFlags draw_jumps();

  void hear(Duration now, const liblock::Event& event);
  void granted(Duration now, const liblock::Granted& granted);
  void failed(Duration now, const liblock::Failed& failed);
  void converted(Duration now, const liblock::Converted& converted);
  void not_converted(Duration now, const liblock::ConversionFailed& failed);
  void answered(Duration now, base::RequestId operation);
  void operates(base::RequestId operation);
  void on_session(Duration now);
  void ask(Duration now, base::RequestId id);
  bool tell_deadline(Duration now, base::RequestId id);
  dlm::LockName name_of(base::RequestId id) const { return {*session_, id}; }
  void end(base::RequestId id);
  Instant clock_now(Duration now) const { return clock_.at(now); }

  std::size_t machine_;
  const VirtualClock& clock_;
  base::Random random_;
  LockChecker& checker_;
  Resources& resources_;
  const Traffic traffic_;
  const std::uint64_t number_;
  liblock::ClientMachine wire_;
  std::optional<BarrierScript> barriers_;
  std::optional<base::SessionId> session_;
  std::map<base::RequestId, Request> requests_;
  Duration next_act_{};
  std::set<base::RequestId> operations_;  // Conversions and others, without an answer.
  std::optional<Transaction> transaction_;
  std::vector<LeftBehind> left_behind_;
  std::uint64_t last_owner_ = 0;
  bool joined_ = false;
  bool winding_down_ = false;
  bool letting_go_ = false;
};

}  // namespace sim
