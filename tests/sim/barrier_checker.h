// Judges a run by what barriers promise: NER, NLB, ONE, VAL, EXO, PRM, GEN, DTH, TMO, CFG and KPT,
// as docs/testing.md states them after docs/barriers.md. It knows what clients asked and were told,
// and what the one order of commands says of barriers (LockChecker finds that order); it shares no
// code with barrier/.
//
// Reports are made in the order of true time. Memory is a record a request, a step and a session.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "liblock/protocol/barrier_messages.h"
#include "tests/sim/lock_checker.h"

namespace sim {

using BarrierConfig = liblock::protocol::BarrierConfig;
using BarrierEnding = base::BarrierEnding;
using BarrierGeneration = base::BarrierGeneration;
using BarrierOnDeath = base::BarrierOnDeath;
using BarrierOutcome = liblock::protocol::BarrierOutcome;
using BarrierStep = base::BarrierStep;
using BarrierUnit = base::BarrierUnit;

// A step of a generation.
struct BarrierKey {
  BarrierGeneration generation{};
  BarrierStep step{};

  friend auto operator<=>(const BarrierKey&, const BarrierKey&) = default;
};

struct BarrierName {
  std::string lockspace;
  std::string barrier;

  friend auto operator<=>(const BarrierName&, const BarrierName&) = default;
};

// What a client asks for, or what was ordered of it; of each kind what it needs.
struct BarrierAsked {
  enum class Kind : std::uint8_t { create, change, arrive, leave, withdraw, cancel, remove };

  Kind kind{};
  base::RequestId request{};
  BarrierName name;                     // But of leave.
  std::optional<BarrierConfig> config;  // create; arrive, which then creates it if it is not there
  std::string value;                    // arrive, leave
  BarrierGeneration generation{};       // leave
  base::RequestId arrival{};            // withdraw: what is taken back.
  liblock::protocol::BarrierAttribute attribute{};  // change
  std::uint32_t number = 0;                         // change: to what.
  bool force = false;                               // remove

  friend bool operator==(const BarrierAsked&, const BarrierAsked&) = default;
};

// What one command did, one after the other.
struct SessionOver {
  base::SessionId session{};
  base::Processor at;   // That served it last.
  bool forced = false;  // By who makes its node leave a lockspace.
};
struct RequestAnswered {
  bool taken = false;  // arrived, done or cancelled; also if it was so before.
};
struct StepOpened {  // Somebody waits in it from now on.
  BarrierKey key;
};
struct StepEnded {  // It has, or had before, and this session is owed the outcome.
  BarrierKey key;
  base::SessionId session{};
  base::RequestId request{};
};
using BarrierHappening = std::variant<SessionOver, RequestAnswered, StepOpened, StepEnded>;

struct OrderedOutcome {
  BarrierName name;
  BarrierOutcome outcome;  // Its `request` means nothing here.
};

// Who is in a lockspace. Sessions that have ended do not count.
struct BarrierMembers {
  std::string lockspace;
  std::uint64_t generation = 0;
  std::vector<base::Processor> nodes;
  std::vector<base::SessionId> sessions;
};

// What a command has to do with barriers: also one that does nothing to any, because members change
// and sessions end.
struct OrderedBarriers {
  std::optional<BarrierAsked> asked;
  base::SessionId asked_by{};
  std::vector<std::pair<base::SessionId, BarrierKey>> acknowledged;  // As the command says.
  std::optional<BarrierKey> timed_out;                               // Likewise.
  bool departures = false;  // Members that are missing from now on have failed.
  std::vector<BarrierHappening> happened;

  // After it: what is kept, and for whom; all lockspaces and barriers.
  std::vector<OrderedOutcome> outcomes;
  std::vector<std::pair<base::SessionId, BarrierKey>> owed;
  std::vector<BarrierMembers> members;
  std::vector<std::pair<BarrierName, BarrierConfig>> barriers;

  // Somebody's request. If it changes members, they change once it is answered.
  bool answers() const {
    return std::any_of(happened.begin(), happened.end(), [](const auto& one) {
      return std::holds_alternative<RequestAnswered>(one);
    });
  }
};

class BarrierChecker : public OrderListener {
 public:
  // No clock is faster than true time by more than `fastest_ppm`. `faultless`: nobody fails who is
  // not made to.
  BarrierChecker(std::uint32_t fastest_ppm, bool faultless);
  ~BarrierChecker() override;
  BarrierChecker(const BarrierChecker&) = delete;
  BarrierChecker& operator=(const BarrierChecker&) = delete;

  // The one order, and where it begins with an empty table.
  void ordered(const Applied& applied) override;
  void began_empty(std::uint64_t epoch) override;

  // At any replica: its clock runs from now on.
  void opened(TrueTime at, BarrierKey key);

  // A daemon tells an outcome. `active`: it is in a regular configuration of an active primary.
  void told(TrueTime at, const base::Processor& by, base::SessionId session, BarrierKey key,
            bool active);

  // Clients, each with a number of its own, which no other process has.
  void client_opened(std::uint64_t client, base::SessionId session);
  void client_asks(std::uint64_t client, const BarrierAsked& asked);

  // Asks to have an arrival taken back, by a request of which it does not know the number.
  void client_withdraws(std::uint64_t client, base::RequestId arrival);

  // Is told how its arrival or its leave ended; or, inside and without having asked to leave, that
  // the second step broke.
  void client_ended(TrueTime at, std::uint64_t client, base::RequestId request,
                    base::SessionId self, const BarrierOutcome& outcome);
  void client_broken(TrueTime at, std::uint64_t client, base::SessionId self,
                     const BarrierOutcome& outcome);

  // There will be no outcome. `withdrawn`: and nobody counts on it.
  void client_failed(TrueTime at, std::uint64_t client, base::RequestId request, bool withdrawn);

  // The answer to what is neither an arrival nor a leave.
  void client_answered(TrueTime at, std::uint64_t client, base::RequestId request);
  void client_gone(std::uint64_t client);

  // The cluster is whole and undisturbed since then, or is not.
  void whole(std::optional<TrueTime> since);

  // For longer than any wait nothing went wrong, one epoch was active, and all clients could talk.
  void settled(TrueTime at);

  bool violated() const;
  std::vector<Violation> violations() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sim
