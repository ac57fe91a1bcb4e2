// One simulated client process: the real client machine of liblock, and a script that takes locks,
// holds them, uses what they guard, and gives them back. It lives on a machine, and reads that
// machine's clocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/random.h"
#include "liblock/client_machine.h"
#include "tests/sim/lock_checker.h"
#include "tests/sim/resource.h"
#include "tests/sim/virtual_clock.h"

namespace sim {

class Client {
 public:
  Client(std::size_t machine, const VirtualClock& clock, base::Random random, LockChecker& checker,
         Resources& resources);

  // Whose clocks it has.
  std::size_t machine() const { return machine_; }
  liblock::ClientMachine& wire() { return wire_; }

  // The script's next step, due at next_act().
  void act(Duration now);
  Duration next_act() const { return next_act_; }

  // After every input: takes the events, and tells the judge what is believed until when.
  void take_events(Duration now);

  // No new locks; what is held is given back, and so is in the end what the patient wait for.
  void wind_down() { winding_down_ = true; }
  bool at_rest() const { return requests_.empty(); }

  // The process dies.
  void die(Duration now);

  std::optional<Duration> next_timeout() const;

  std::uint64_t grants = 0;
  std::uint64_t losses = 0;
  std::string last_event;  // For the trace.

  // Bookkeeping of the world's.
  std::size_t server;  // The machine whose daemon it talks to, or did last.
  bool roams = false;  // It goes on at another daemon when its own is gone.
  std::optional<std::uint64_t> connection;
  std::uint64_t timer_number = 0;
  bool paused = false;

 private:
  struct Request {
    std::string resource;
    dlm::Mode mode{};
    bool patient = false;  // Waits as long as it takes.
    bool granted = false;
    bool releasing = false;
    base::Token token{};
    Duration act_at{};
  };

  void begin(Duration now);
  void use(Duration now, base::RequestId id, const Request& request);
  void on_session(Duration now);
  bool tell_deadline(Duration now, base::RequestId id);
  dlm::LockName name_of(base::RequestId id) const { return {*session_, id}; }
  void end(base::RequestId id);
  Instant clock_now(Duration now) const { return clock_.at(now); }

  std::size_t machine_;
  const VirtualClock& clock_;
  base::Random random_;
  LockChecker& checker_;
  Resources& resources_;
  liblock::ClientMachine wire_;
  std::optional<base::SessionId> session_;
  std::map<base::RequestId, Request> requests_;
  Duration next_act_{};
  bool winding_down_ = false;
};

}  // namespace sim
