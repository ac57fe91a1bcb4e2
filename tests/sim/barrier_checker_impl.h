// The parts of the judge of barriers: what the one order says of them (barrier_order.cc), who has
// come, gone and died at each (barrier_rounds.cc), and what clients are told (barrier_told.cc).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/barrier_checker.h"

namespace sim {

class BarrierChecker::Impl {
 public:
  Impl(std::uint32_t fastest_ppm, bool faultless)
      : fastest_ppm_(fastest_ppm), faultless_(faultless) {}

  void ordered(const Applied& applied);
  void began_empty(std::uint64_t epoch) { tables_.try_emplace(epoch); }
  void opened(TrueTime at, BarrierKey key) { opened_.try_emplace(key, at); }
  void told(TrueTime at, const base::Processor& by, base::SessionId session, BarrierKey key,
            bool active);
  void client_opened(std::uint64_t client, base::SessionId session) { owners_[session] = client; }
  void client_asks(std::uint64_t client, const BarrierAsked& asked);
  void client_withdraws(std::uint64_t client, base::RequestId arrival);
  void client_ended(TrueTime at, std::uint64_t client, base::RequestId request,
                    base::SessionId self, const BarrierOutcome& outcome);
  void client_broken(TrueTime at, std::uint64_t client, base::SessionId self,
                     const BarrierOutcome& outcome);
  void client_failed(TrueTime at, std::uint64_t client, base::RequestId request, bool withdrawn);
  void client_answered(TrueTime at, std::uint64_t client, base::RequestId request);
  void client_gone(std::uint64_t client);
  void whole(std::optional<TrueTime> since) { whole_since_ = since; }
  void settled(TrueTime at);

  std::vector<Violation> violations;

 private:
  using SessionId = base::SessionId;
  using RequestId = base::RequestId;
  using Processor = base::Processor;

  struct Participant {
    RequestId request{};  // Its arrival; inside, its leave: 0 until then.
    Processor at;
    std::string value;
  };

  // A step that has not ended.
  struct Round {
    BarrierGeneration generation{};  // 0 until it is told.
    std::map<SessionId, Participant> participants;
    std::vector<liblock::protocol::BarrierLost> lost;
    std::uint64_t losses = 0;
    std::uint64_t replacements = 0;
    std::optional<BarrierEnding> due;  // It has to be broken, now.

    void lose(SessionId session, const Processor& at);
    bool has_left(SessionId session) const;
    bool all_left() const;
    bool someone_at(const Processor& at) const;
    bool someone_inside_at(const Processor& at) const;
  };

  struct Barrier {
    BarrierConfig config;
    std::optional<Round> entering;
    std::optional<Round> inside;
    bool over = false;  // A generation is, by this command.

    bool idle() const { return !entering && !inside; }
    bool dynamic() const { return config.parties == 0; }
    bool of_nodes() const { return config.unit == BarrierUnit::node; }
    bool breaks() const { return config.on_death == BarrierOnDeath::break_it; }
  };

  struct Members {
    std::uint64_t generation = 0;
    std::set<Processor> nodes;
    std::set<SessionId> sessions;
  };

  // What should be so after the commands since a cold start.
  struct Table {
    std::map<BarrierName, Barrier> barriers;
    std::map<std::string, Members> members;
    std::set<SessionId> ended;
    std::set<std::pair<SessionId, RequestId>> taken;  // Requests that had their effect.
    std::set<std::pair<SessionId, BarrierKey>> owed;
  };

  struct Ended {
    BarrierName name;
    BarrierOutcome outcome;
    std::map<SessionId, RequestId> requests;
  };

  struct Asked {
    BarrierAsked what;
    bool withdraws = false;  // Asks for that.
    bool answered = false;
    bool withdrawn = false;
  };

  // The command that is looked at.
  struct Command {
    const Applied& applied;
    const OrderedBarriers& barriers;
    Table& table;
    bool late;                                         // Of an epoch before the last cold start.
    BarrierName opening;                               // Where a generation has no number yet.
    std::map<std::string, std::uint64_t> generations;  // Of lockspaces, before it.
    std::set<BarrierKey> ends;                         // Steps that it has ended.
  };

  void report(std::string property, std::string explanation);
  void wrong(const Command& command, const char* property, const std::string& what);

  // barrier_order.cc
  void on(Command& command, const SessionOver& over);
  void on(Command& command, const RequestAnswered& answered);
  void on(Command& command, const StepOpened& opened);
  void on(Command& command, const StepEnded& ended);
  void take(Command& command, const BarrierAsked& asked);
  void take_create(Command& command, const BarrierName& name, const BarrierConfig& config);
  void take_change(Command& command, Barrier& barrier, const BarrierAsked& asked);
  void take_arrival(Command& command, Barrier& barrier, const BarrierAsked& asked);
  void take_leave(Command& command, const BarrierAsked& asked);
  void take_withdrawal(Command& command, Barrier& barrier, const BarrierAsked& asked);
  void check_tokens(const Command& command);
  void check_due(Command& command);
  void check_patience(const Command& command);
  void check_views(Command& command);
  void end_step(Command& command, const StepEnded& ended, const BarrierName& name,
                Barrier& barrier);
  void judge(const Command& command, BarrierKey key, const BarrierName& name,
             const Barrier& barrier, const Round& round, const BarrierOutcome& outcome);
  bool is_generation_of(const Command& command, const std::string& lockspace,
                        std::uint64_t generation) const;
  void judge_members(const Command& command, const BarrierName& name, BarrierKey key,
                     const Round& round, const BarrierOutcome& outcome);
  void judge_ending(const Command& command, const BarrierName& name, BarrierKey key,
                    const Barrier& barrier, const Round& round, BarrierEnding ending);
  void judge_time_out(const Command& command, const BarrierName& name, BarrierKey key,
                      const Barrier& barrier, const Round& round);
  void check_asked(const Command& command, SessionId session, const BarrierAsked& asked);
  Asked* asked_by(SessionId session, RequestId request);

  // barrier_rounds.cc
  void change_members(Command& command);
  void change_members(Command& command, const std::string& lockspace, Members now);
  void bury(Barrier& barrier, SessionId session, const Processor& last, bool was_member);
  bool complete(const Table& table, const BarrierName& name, const Barrier& barrier) const;

  // barrier_told.cc
  void compare_told(TrueTime at, SessionId self, const BarrierOutcome& outcome);

  const std::uint32_t fastest_ppm_;
  const bool faultless_;
  std::map<std::uint64_t, Table> tables_;  // By the epoch of the cold start.
  std::optional<TrueTime> whole_since_;
  std::map<BarrierKey, TrueTime> opened_;
  std::map<BarrierKey, Ended> ended_;
  std::set<SessionId> forced_;
  std::set<std::pair<SessionId, BarrierKey>> told_;
  BarrierGeneration last_generation_{};
  base::Token last_token_{};
  std::set<BarrierGeneration> generations_;
  std::map<SessionId, std::uint64_t> owners_;
  std::map<std::pair<std::uint64_t, RequestId>, Asked> asked_;
};

std::string text(BarrierKey key);
std::string text(const BarrierName& name);

}  // namespace sim
