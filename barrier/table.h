// The barrier table: a pure, deterministic state machine over ordered commands. It owns barriers,
// their generations and the outcomes that are kept; sessions' lives, exactly-once beyond a kept
// outcome, permissions and who may be told belong to lockd. The rules are docs/barriers.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "barrier/barrier.h"
#include "barrier/outcomes.h"
#include "barrier/request.h"
#include "barrier/round.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace barrier {

// Why an image was not loaded.
enum class LoadError : std::uint8_t {
  malformed,      // Not the bytes of an image of this version, or cut short.
  over_limit,     // More than the limits allow.
  contradictory,  // Well formed, but no table can be in such a state.
};

std::string_view to_string(LoadError error);

// Views are for listings and for who comes back; they are copies.
struct RoundView {
  Generation generation{};
  std::size_t participants = 0;
  std::size_t arrived = 0;       // In units: sessions or nodes. Inside: of sessions, who has left.
  std::size_t missing = 0;       // Entering: units that have to come, replacements included.
                                 // Inside: sessions that have not left.
  std::size_t replacements = 0;  // Of the missing.
};

struct BarrierView {
  Name name;
  Config config;
  bool auto_delete = false;
  Patience patience = 0;
  std::optional<RoundView> entering;
  std::optional<RoundView> inside;
};

// A step in which somebody waits, for whoever watches its clock.
struct OpenStep {
  OutcomeKey key;
  Name name;
  Patience patience = 0;

  friend bool operator==(const OpenStep&, const OpenStep&) = default;
};

// Where a session waits, is inside, or is owed an outcome.
struct Standing {
  enum class Kind : std::uint8_t {
    arrived,  // Waits at the step.
    inside,   // In the generation, and has not asked to leave; the request is 0.
    owed,     // The outcome is kept for it.
  };
  Kind kind{};
  OutcomeKey key;
  RequestId request{};

  friend bool operator==(const Standing&, const Standing&) = default;
};

// Same commands in the same order give the same table, the same effects and the same digest on
// every node. A table that was loaded from an image continues exactly as its original. Nothing
// blocks, nothing is kept of the caller's; one thread at a time. Without a quorum there are no
// ordered commands: the table stands still, and what it keeps may be read but not told.
class Table {
 public:
  explicit Table(const Limits& limits = {}) : limits_(limits) {}

  // The ring in which the commands from now on are ordered: outcomes name it. Set it before a
  // command, also on a table that was just loaded.
  void set_ring(const RingId& ring) { ring_ = ring; }

  // Requests. Each appends the answer first, exactly one effect of the asking session: done,
  // arrived, refused, or `ended` when a kept outcome answers it. Then `opened`, if it was the first
  // to wait; then `ended` for all who are owed an outcome by it, step by step, by session.
  void create(const Create& request, Effects& effects);
  void change(const Change& request, Effects& effects);
  void arrive(const Arrive& request, Effects& effects);
  void leave(const Leave& request, Effects& effects);
  void withdraw(const Withdraw& request, Effects& effects);
  void cancel(const Cancel& request, Effects& effects);
  void remove(const Delete& request, Effects& effects);

  // This session has the outcome: ok or unknown_outcome, which does no harm.
  Status acknowledge(SessionId session, OutcomeKey key);

  // The rest are commands of nobody's; they append `ended`, barrier by barrier in order of names.

  // The patience of the step is over. Nothing happens if nobody waits in it any more.
  void time_out(OutcomeKey key, Effects& effects);

  // To be called at each change in a lockspace that watches() says is watched; else it does
  // nothing.
  void change_members(const MembersChanged& change, Effects& effects);
  bool watches(const std::string& lockspace) const { return lockspaces_.count(lockspace) != 0; }

  // The session has ended for ever, however. `at` served it last, and is named to the others where
  // the session had not arrived. It is forgotten in all lockspaces: no change_members() needs to
  // follow for that.
  void end_session(SessionId session, Processor at, Effects& effects);

  // No generation below `base` is drawn from now on: after a start with an empty table.
  void raise_generation_base(std::uint64_t base);
  std::uint64_t next_generation() const { return next_generation_; }

  // 64 bits over all of it, kept up to date with every change: equal tables have equal digests.
  std::uint64_t digest() const;

  void serialize(base::ByteWriter& out) const;
  static base::Result<Table, LoadError> deserialize(Bytes bytes, const Limits& limits = {});

  std::size_t barriers() const { return barriers_.size(); }
  std::size_t lockspaces() const { return lockspaces_.size(); }
  std::size_t outcomes() const { return outcomes_.size(); }
  std::size_t places() const;
  std::size_t value_bytes() const;

  std::optional<BarrierView> find(const Name& name) const;

  // Visits at most `most` barriers, by name, from the first that is not before `from`.
  void visit(const Name& from, std::size_t most,
             const std::function<void(const BarrierView&)>& visit) const;

  // Those who take part in a step that has not ended, by session. Empty if there is no such step.
  std::vector<Member> participants(OutcomeKey key) const;

  // The members that a dynamic barrier waits for; those of the other unit are left empty.
  Membership awaited(const Name& name) const;

  // All steps in which somebody waits, by generation; and whether this is one.
  std::vector<OpenStep> open_steps() const;
  std::optional<OpenStep> find_open_step(OutcomeKey key) const;

  // Whether it waits somewhere, or is inside.
  bool takes_part(SessionId session) const;

  // By generation: what a session that was resumed is to be told again.
  std::vector<Standing> standing_of(SessionId session) const;

  // All who take part or are owed an outcome, sorted.
  std::vector<SessionId> sessions() const;

  // Borrowed until the next change. Null if it is not kept (any more).
  const Outcome* find_outcome(OutcomeKey key) const { return outcomes_.find(key); }

  // Whether the session has still to acknowledge it; and the arrival or leave that it answers to
  // the session, 0 if it was inside and had not asked to leave.
  bool is_owed(SessionId session, OutcomeKey key) const {
    return outcomes_.request_of(session, key).has_value();
  }
  std::optional<RequestId> request_of(SessionId session, OutcomeKey key) const {
    return outcomes_.request_of(session, key);
  }

  // Who has not acknowledged it.
  std::vector<SessionId> owed(OutcomeKey key) const { return outcomes_.owed(key); }

 private:
  struct Barrier {
    Config config;
    bool auto_delete = false;
    Patience patience = 0;
    std::optional<Round> entering;
    std::optional<Round> inside;

    bool idle() const { return !entering && !inside; }
    std::size_t steps() const { return config.two_steps ? 2 : 1; }
  };
  using Barriers = std::map<Name, Barrier>;

  // Who is in a lockspace, while it has barriers.
  struct Lockspace {
    std::uint64_t generation = 0;
    std::set<Processor> nodes;
    std::set<SessionId> sessions;
    std::size_t barriers = 0;
  };
  using Lockspaces = std::map<std::string, Lockspace>;

  // Where a session takes part, and what it is owed.
  struct SessionRecord {
    std::set<Name> at;
    std::set<OutcomeKey> owed;

    bool empty() const { return at.empty() && owed.empty(); }
  };

  // table.cc: the requests.
  Status legal(const Config& config) const;
  Status admit(const Create& request) const;
  Status admit(const Arrive& request, const Barrier& barrier) const;
  Status change(const Change& request);
  bool answer_again(By by, OutcomeKey key, Effects& effects) const;
  bool answer_again(By by, RequestId arrival, Effects& effects) const;
  std::size_t load_of(SessionId session) const;

  // generation.cc: barriers, participants, and how steps end.
  void insert(const Name& name, Barrier barrier);
  void erase(Barriers::iterator at);
  void open(Barriers::iterator at);
  Barriers::iterator find_open(Generation generation);
  void add_participant(Barriers::iterator at, SessionId session, Participant participant);
  void add_inside(Barriers::iterator at, SessionId session, Participant participant);
  void remove_entering(Barriers::iterator at, SessionId session);
  void leave_inside(Barriers::iterator at, By by, base::Buffer value);
  void remove_inside(Barriers::iterator at, SessionId session);
  void forget(Barriers::iterator at, SessionId session);
  static std::size_t counted_in(Unit unit, const Round& round);
  bool complete(const Name& name, const Barrier& barrier) const;
  void execute(Barriers::iterator at, Effects& effects, const std::function<bool()>& change);
  bool settle(Barriers::iterator at, Effects& effects);
  void end_entering(Barriers::iterator at, Ending ending, Effects& effects);
  void end_inside(Barriers::iterator at, Ending ending, Effects& effects);
  void tell(Barriers::iterator at, const Round& ended, Step step, Ending ending, Effects& effects);
  void break_all(Barriers::iterator at, Ending ending, Effects& effects);
  static std::uint64_t digest_of_header(const Name& name, const Barrier& barrier);

  // members.cc: the members of lockspaces, and deaths.
  void watch(const Create& request);
  void set_members(Lockspaces::iterator at, const Membership& now);
  bool is_member(const Name& name, Unit unit, SessionId session, const Processor& at) const;
  Membership absent(const Name& name, const Barrier& barrier, std::size_t most) const;
  bool lose_nodes(Barriers::iterator at, const std::vector<Processor>& lost, Effects& effects);
  void replace(Barriers::iterator at, std::size_t joined);
  bool mourn(Barriers::iterator at, std::uint64_t deaths, std::uint64_t members, Effects& effects);
  bool bury_entering(Barriers::iterator at, SessionId session, Processor last, bool was_member,
                     Effects& effects);
  bool bury_inside(Barriers::iterator at, SessionId session, Effects& effects);
  static std::uint64_t digest_of_name(const std::string& lockspace);
  static std::uint64_t digest_of_header(const std::string& name, const Lockspace& lockspace);

  // views.cc
  BarrierView view(const Name& name, const Barrier& barrier) const;
  const Round* find_round(OutcomeKey key) const;

  // Has a barrier changed, and its part of the digest with it.
  template <typename Change>
  void edit(Barriers::iterator at, Change change) {
    digest_ -= digest_of_header(at->first, at->second);
    change(at->second);
    digest_ += digest_of_header(at->first, at->second);
  }

  class Loader;

  Limits limits_;
  RingId ring_;
  std::uint64_t next_generation_ = 1;
  Barriers barriers_;
  Lockspaces lockspaces_;
  Outcomes outcomes_;

  // What follows from these.
  std::map<Generation, Name> open_;  // Entering or inside.
  std::map<SessionId, SessionRecord> sessions_;
  std::size_t waiting_places_ = 0;
  std::size_t waiting_bytes_ = 0;
  std::uint64_t digest_ = 0;
};

}  // namespace barrier
