// The replicated state machine of lockd: lock tables, sessions with their reply caches, fencing
// tokens, orphan marks, the cold flag and the purge cursor. Every replica applies the same commands
// in the same order and has the same state; nothing here reads a clock, a local limit or a random
// number. It decides what a command does, never when one is sent, applied or told: that is
// lockd/replica.h (docs/safety.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "barrier/table.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "dlm/table.h"
#include "lockd/command.h"
#include "lockd/lockspace_table.h"
#include "lockd/session_table.h"

namespace lockd {

// Effects are for the daemon `at`: each replica gets them all, and those of other daemons may be
// left unread. Whether and when a daemon may tell them is rule 7.A6.

// The outcome of an OPEN. Without a session: the reason.
struct Opened {
  enum class Outcome : std::uint8_t {
    opened,
    too_many_sessions,  // Of this user at this node, or of the table.
    number_used,  // Not above the daemon's highest: look with find_opened(), or take a new number.
  };
  Processor at;
  OpenNumber number{};
  Outcome outcome{};
  SessionId session{};
  Generation generation{};

  friend bool operator==(const Opened&, const Opened&) = default;
};

// The outcome of a RESUME. What the session holds and waits for is State::locks_of().
struct Resumed {
  enum class Outcome : std::uint8_t {
    resumed,
    lost,  // Ended or unknown.
    wrong_secret,
    another_process,  // No proof of the same process: the session's wait has to end first
                      // [rule 6.20].
    overtaken,        // A generation at least as high is attached already.
  };
  Processor at;
  SessionId session{};
  Generation generation{};
  Outcome outcome{};

  friend bool operator==(const Resumed&, const Resumed&) = default;
};

// The outcome of a session's request, new or remembered. `at` is who sent it.
struct Replied {
  Processor at;
  SessionId session{};
  Generation generation{};
  Reply reply;

  friend bool operator==(const Replied&, const Replied&) = default;
};

// What waited does so no more: `reply` is that of the acquire or conversion that was queued, and
// names it; `lock` is the acquire.
struct Settled {
  Processor at;
  SessionId session{};
  Generation generation{};
  RequestId lock{};
  Reply reply;

  friend bool operator==(const Settled&, const Settled&) = default;
};

// Somebody waits for `mode`, which a lock of the session stands against that asked to hear of it.
struct Blocked {
  Processor at;
  SessionId session{};
  Generation generation{};
  RequestId lock{};
  Token token{};
  dlm::Mode mode{};

  friend bool operator==(const Blocked&, const Blocked&) = default;
};

// Why a request of the session is about to be answered with `deadlock`.
struct Deadlocked {
  Processor at;
  SessionId session{};
  Generation generation{};
  dlm::Deadlock deadlock;

  friend bool operator==(const Deadlocked&, const Deadlocked&) = default;
};

// The members of a lockspace that the session uses have changed, or the locks of those who are gone
// are all freed now: the table says the rest.
struct LockspaceChanged {
  Processor at;
  SessionId session{};
  Generation generation{};
  std::string lockspace;

  friend bool operator==(const LockspaceChanged&, const LockspaceChanged&) = default;
};

// The outcome of a step that the session took part in is kept for it: State::barriers() has it
// until the session acknowledges it. `request` is its arrival or leave; 0 if it is inside and has
// not asked to leave.
struct BarrierEnded {
  Processor at;
  SessionId session{};
  Generation generation{};
  RequestId request{};
  barrier::OutcomeKey key;

  friend bool operator==(const BarrierEnded&, const BarrierEnded&) = default;
};

// From now on somebody waits in this step: every replica watches its patience. Nobody is told.
struct BarrierOpened {
  Processor at;
  barrier::OutcomeKey key;

  friend bool operator==(const BarrierOpened&, const BarrierOpened&) = default;
};

// `at` does not serve this attachment any more: the session was resumed anew, here or elsewhere.
struct Superseded {
  Processor at;
  SessionId session{};
  Generation generation{};

  friend bool operator==(const Superseded&, const Superseded&) = default;
};

// A session became an orphan of this mark now. Every replica freezes its stamp for the mark here
// [rule 8.C3].
struct BecameOrphan {
  Processor at;
  Mark mark;

  friend bool operator==(const BecameOrphan&, const BecameOrphan&) = default;
};

// A session has ended for ever.
struct SessionEnded {
  enum class Reason : std::uint8_t { closed, expired };
  Processor at;
  SessionId session{};
  Generation generation{};
  Reason reason{};

  friend bool operator==(const SessionEnded&, const SessionEnded&) = default;
};

using Effect =
    std::variant<Opened, Resumed, Replied, Settled, Superseded, BecameOrphan, SessionEnded, Blocked,
                 Deadlocked, LockspaceChanged, BarrierEnded, BarrierOpened>;
using Effects = std::vector<Effect>;

// A member that is gone from the epoch's chain, and the last active ring that it was in
// [rule 6.14].
struct Departure {
  Processor processor;
  RingId ring;

  friend bool operator==(const Departure&, const Departure&) = default;
};

// Part of what all replicas must agree upon: not configuration. Tests use smaller ones.
struct StateLimits {
  SessionLimits sessions;
  dlm::Limits locks;
  LockspaceLimits lockspaces;
  barrier::Limits barriers;

  // About how many effects on locks one command may have by freeing those of an ended session.
  std::size_t purge_step = 512;

  // The same for equal limits, for members to compare.
  std::uint64_t fingerprint() const;
};

// While the table is cold, each resource that is asked for is held exclusively by nobody, so that
// the requests queue as ever; only NL, which excludes nothing, is granted beside it. Session ids
// come from the token counter, which begins above 0.
inline constexpr SessionId kNobody{0};

struct StateCounts {
  std::size_t sessions = 0;
  std::size_t orphans = 0;
  std::size_t dead = 0;
  std::size_t resources = 0;
  std::size_t locks = 0;
  std::size_t waiting = 0;  // Of the locks.
  std::size_t barriers = 0;
  std::size_t outcomes = 0;  // Of barriers, kept for somebody.

  friend bool operator==(const StateCounts&, const StateCounts&) = default;
};

class State {
 public:
  explicit State(const StateLimits& limits = {});

  // Applies a command that evs delivered from `origin`; what follows is appended to `effects`. The
  // caller has dropped commands that were numbered in another ring than command.ring, or before its
  // ACTIVATE [rule 6.22].
  void apply(Processor origin, const Command& command, Effects& effects);

  // At ACTIVATE, and nowhere else: the sessions attached to these processors become orphans
  // [rule 6.14]. Sessions of others stay as they are. `ring` is that of the ACTIVATE.
  void apply_departures(const RingId& ring, std::span<const Departure> departures,
                        Effects& effects);

  // At an ACTIVATE without a donor: drops everything and starts empty and cold, the flag naming the
  // ring. Nothing is granted until COLD_END(ring) [rules 6.15, 7.A1].
  void start_cold(RingId ring, std::uint64_t token_base, base::Duration longest_lease);

  // At an ACTIVATE with a donor: no token below `base` is drawn any more, and the longest lease
  // ever promised is at least that.
  void raise_token_base(std::uint64_t base) { locks_.raise_token_base(base); }
  void raise_longest_lease(base::Duration at_least);

  // May be dead.
  const Session* find(SessionId id) const { return sessions_.find(id); }

  // The session that this OPEN made; none if it made none, or its session has ended.
  const Session* find_opened(const Processor& by, OpenNumber number) const;

  // The highest OPEN of this daemon that was applied, whatever its outcome; 0 if none was.
  OpenNumber highest_open(const Processor& by) const { return sessions_.highest_open(by); }

  // Sorted by id.
  std::vector<SessionId> attached_to(const Processor& at) const;

  // The marks of all orphans, sorted.
  std::vector<Mark> orphans() const;

  // True while the orphan of exactly this mark waits.
  bool waits(const Mark& mark) const;

  // One lock of a session, granted or waiting, or at most `most` of them, waiting ones first. The
  // names are borrowed until the next change.
  std::optional<dlm::LockView> find_lock(SessionId session, RequestId request) const {
    return locks_.find({session, request});
  }
  std::vector<dlm::LockView> locks_of(SessionId session, std::size_t most) const {
    return locks_.locks_of(session, most);
  }

  // True while there is something left to free: somebody must order PURGE, again and again, also on
  // an idle ring [rule 7.B8].
  bool purge_pending() const;

  // The ring that made the table cold, while it is.
  std::optional<RingId> cold() const { return cold_; }

  base::Duration longest_lease() const { return longest_lease_; }

  // No token below it is drawn any more: what an EXCHANGE reports of a donor's counter.
  std::uint64_t next_token() const { return locks_.next_token(); }
  StateCounts counts() const;

  const LockspaceTable& lockspaces() const { return lockspaces_; }

  const barrier::Table& barriers() const { return barriers_; }

  // The last that were found here, newest last: for people. Not part of the state: who has loaded a
  // snapshot knows those that came after.
  const std::deque<dlm::Deadlock>& deadlocks() const { return deadlocks_; }

  // For reading resources and queues. While the table is cold, and until PURGE has ended it,
  // session 0 is shown to hold what was asked for: that is nobody.
  const dlm::Table& locks() const { return locks_; }

  // What the last command did to locks; for observers.
  const dlm::Effects& changes() const { return changes_; }

  // Whether somebody watches, and so wants to know by name what the last command has removed.
  void set_watched(bool watched);
  const std::vector<dlm::Gone>& locks_gone() const { return locks_gone_; }
  const std::vector<Session>& sessions_gone() const { return sessions_gone_; }

  // Equal states have equal digests; kept up to date, so it costs nothing to ask.
  std::uint64_t digest() const;

  // The image of the state, written and read in steps: lockd/image_writer.h,
  // lockd/image_loader.h.
  class Writer;
  class Loader;

  // The image in one go; reading it back gives an equal digest and equal behaviour ever after.
  void serialize(base::Buffer& out) const;
  static std::optional<State> deserialize(base::Bytes bytes, const StateLimits& limits = {});

 private:
  // The command that is being applied.
  struct Step {
    Processor origin;
    RingId ring;
    Effects& effects;
  };

  // Sessions: state.cc.
  void on(const Step& step, const Open& open);
  void on(const Step& step, const Resume& resume);
  void on(const Step& step, const Detached& detached);
  void on(const Step& step, const Close& close);
  void on(const Step& step, const Expire& expire);
  void on(const Step& step, const Purge& purge);
  void on(const Step& step, const ColdEnd& end);

  std::vector<SessionId> left_at(const Processor& at) const;
  Opened open_session(const Step& step, const Open& open);
  Resumed::Outcome resume_session(const Step& step, const Resume& resume);
  void end_session(const Session& session, SessionEnded::Reason reason, dlm::Ending how,
                   Effects& effects);

  // The session, unless it has ended or has another generation.
  const Session* living(SessionId id, Generation generation) const;

  // True if the request is to be executed now; otherwise it has been answered.
  bool admit(const Step& step, const Request& request);
  std::optional<Reply> reply_instead(const Step& step, const Request& request);

  // Frees locks of an ended session, which is forgotten with the last, or those that nobody holds.
  // The number of changes, at least 1.
  std::size_t free_some(SessionId id, std::size_t budget, Effects& effects);

  // Locks: state_locks.cc.
  void on(const Step& step, const Acquire& acquire);
  void on(const Step& step, const AcquireAll& all);
  void on(const Step& step, const Convert& convert);
  void on(const Step& step, const Release& release);
  void on(const Step& step, const Cancel& cancel);
  void on(const Step& step, const TimeOut& time_out);

  // Remembers and tells the reply.
  void answer(const Step& step, const Request& request, const Reply& reply);
  void answer(const Step& step, const Request& request, Status status);

  // The first of changes_ are the outcomes of the request and of those numbered after it: answers
  // them, and settles the rest.
  void answer_with_changes(const Step& step, const Request& request, std::size_t outcomes = 1);

  // Lets a remembered `queued` say what has become of it since.
  void correct(SessionId id, const Reply& reply);

  // Tells what changes_ from `first` on mean for others than who sent the command. What a dead
  // session is granted goes on to the next in the queue at once.
  void settle(std::size_t first, Effects& effects);
  void settle_one(const Session& session, const dlm::Effect& change, Effects& effects);
  void tell_deadlocks(Effects& effects);

  // Who is not to be granted what, whoever holds it.
  std::optional<Status> refusal(const Session& session, const std::string& lockspace) const;

  // While the table is cold: lets nobody hold what is asked for and not there. False if there is no
  // room.
  bool reserve(const dlm::ResourceName& name);

  // The orphan to adopt on a resource, or why there is none.
  base::Result<dlm::LockName, Status> find_orphan(base::NodeId node, const dlm::ResourceName& name,
                                                  dlm::Mode mode) const;

  // Lockspaces and what is left behind: state_lockspaces.cc.
  void on(const Step& step, const DropOrphans& drop);
  void on(const Step& step, const JoinLockspace& join);
  void on(const Step& step, const LeaveLockspace& leave);
  Status join(const Step& step, const Session& session, const JoinLockspace& join);
  Status leave(const Step& step, const Session& session, const LeaveLockspace& leave);
  std::uint64_t generation_of(const std::string& name) const;
  void tell_lockspace(const std::string& name, Effects& effects);
  void depart_from_lockspaces(const std::vector<Processor>& failed, Effects& effects);
  void settle_lockspaces(Effects& effects);

  // Barriers: state_barriers.cc.
  void on(const Step& step, const BarrierCreate& create);
  void on(const Step& step, const BarrierChange& change);
  void on(const Step& step, const BarrierArrive& arrive);
  void on(const Step& step, const BarrierLeave& leave);
  void on(const Step& step, const BarrierWithdraw& withdraw);
  void on(const Step& step, const BarrierCancel& cancel);
  void on(const Step& step, const BarrierDelete& removal);
  void on(const Step& step, const BarrierAcknowledge& acknowledge);
  void on(const Step& step, const BarrierTimeOut& time_out);
  bool admit(const Step& step, const Request& request, const barrier::Name& name);
  barrier::Create creation_of(const Request& request, const barrier::Name& name,
                              const BarrierSettings& settings) const;
  barrier::Membership members_of(const std::string& lockspace) const;
  void change_barrier_members(const std::string& lockspace, std::vector<Processor> failed,
                              Effects& effects);
  void end_at_barriers(const Session& session, Effects& effects);

  // The first of them is the answer to the request.
  void answer(const Step& step, const Request& request, const barrier::Effects& outcome);
  void tell_barriers(std::span<const barrier::Effect> told, Effects& effects);

  void write_head(base::Buffer& out) const;

  // For a snapshot: no lock without its session, no session from the future.
  bool consistent() const;

  StateLimits limits_;
  dlm::Table locks_;
  SessionTable sessions_;
  LockspaceTable lockspaces_;
  barrier::Table barriers_;
  std::optional<RingId> cold_;
  base::Duration longest_lease_{0};

  // What the current command has changed in the lock table.
  dlm::Effects changes_;

  std::deque<dlm::Deadlock> deadlocks_;

  // While it is watched, of the current command.
  bool watched_ = false;
  std::vector<dlm::Gone> locks_gone_;
  std::vector<Session> sessions_gone_;
};

}  // namespace lockd
