// What a session asks of locks and lockspaces, and what it is told of them
// (liblock/protocol/messages.h). What flags, modes and value blocks do is docs/locks.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "liblock/protocol/terms.h"

namespace liblock::protocol {

// Each of these is answered with a Reply.

// Answers: queued (not final), granted, busy (no_queue only), not_quorate (no_queue only, and only
// if the command was not put into the order), cancelled, timed_out, deadlock, limit, invalid,
// not_permitted, stale. With adopt_orphan: granted, busy (an orphan of another mode is there),
// not_found.
struct Acquire {
  RequestId request{};
  RequestId acknowledged{};
  Stamp stamp;
  Mode mode = Mode::ex;
  LockFlags flags = 0;
  std::uint64_t owner = 0;     // For the detection of deadlocks: who waits; 0: nobody.
  std::uint32_t patience = 0;  // In milliseconds, from when it is queued; 0: without end.
  std::string lockspace;
  std::string resource;

  friend bool operator==(const Acquire&, const Acquire&) = default;
};

struct AcquirePart {
  Mode mode = Mode::ex;
  std::string lockspace;
  std::string resource;

  friend bool operator==(const AcquirePart&, const AcquirePart&) = default;
};

// All or none, at one moment. Takes as many request ids as there are parts, from `request` on: each
// is the name of its lock and has a Reply of its own, as if it had been acquired alone.
struct AcquireAll {
  RequestId request{};
  RequestId acknowledged{};
  Stamp stamp;
  LockFlags flags = 0;
  std::uint64_t owner = 0;
  std::uint32_t patience = 0;
  std::vector<AcquirePart> parts;  // 1 to kPartsMax, on as many resources.

  friend bool operator==(const AcquireAll&, const AcquireAll&) = default;
};

// Another mode for a lock that is held. `value` is what it leaves behind where it writes. Answers:
// as Acquire, and not_held, in_progress; whatever it is but granted, the lock is as it was, or NL
// with the note `demoted`. When a queued one is repeated, the answer comes from the lock table:
// `granted` then has the token of the lock as it is, which is the one it had before if the
// conversion came to nothing.
struct Convert {
  RequestId request{};
  RequestId acknowledged{};
  Stamp stamp;
  RequestId acquire{};
  Mode mode = Mode::nl;
  LockFlags flags = 0;
  std::uint32_t patience = 0;
  std::optional<ValueBlock> value{};

  friend bool operator==(const Convert&, const Convert&) = default;
};

// Names the grant by the acquire's id and its token; with `force` also a lock that waits or
// converts, whatever the token. Answers: released, not_held, in_progress, invalid, stale.
struct Release {
  RequestId request{};
  RequestId acknowledged{};
  Stamp stamp;
  RequestId acquire{};
  Token token{};
  LockFlags flags = 0;
  std::optional<ValueBlock> value{};

  friend bool operator==(const Release&, const Release&) = default;
};

// Ends the wait of an acquire or of a conversion of its lock. Answers: cancelled (it waited; that
// is its own answer too), not_waiting (its own outcome was ordered first, or it is unknown).
struct Cancel {
  RequestId request{};
  RequestId acknowledged{};
  Stamp stamp;
  RequestId acquire{};

  friend bool operator==(const Cancel&, const Cancel&) = default;
};

// Drops the orphans that processes of a node left behind. Answers: done, not_permitted (others'
// orphans are dropped by their user, root, or the daemon's own).
struct DropOrphans {
  RequestId request{};
  RequestId acknowledged{};
  Stamp stamp;
  NodeId node{};          // 0: this one.
  std::uint32_t pid = 0;  // 0: all.

  friend bool operator==(const DropOrphans&, const DropOrphans&) = default;
};

enum class JoinKind : std::uint8_t {
  open = 0,       // Only if this node is in it: else not_found.
  create = 1,     // This node joins if it is not in it, and is in it once more if it is.
  create_new = 2  // Only if this node is not in it: else exists.
};

// Makes the session a user of a lockspace. Answers: done, not_found, exists, not_permitted, limit.
// LockspaceState follows at once, and whenever the members change.
struct JoinLockspace {
  RequestId request{};
  RequestId acknowledged{};
  Stamp stamp;
  JoinKind kind = JoinKind::create;
  std::uint16_t permissions = 0;  // Of owner, group and others, as of a file; 0: 0600.
  std::string lockspace;

  friend bool operator==(const JoinLockspace&, const JoinLockspace&) = default;
};

// Undoes a create. The last one takes the node out of the lockspace, if nobody of it holds a lock
// there, or `force` is set: then those are ended. Answers: done, not_found, busy, not_permitted.
struct LeaveLockspace {
  RequestId request{};
  RequestId acknowledged{};
  Stamp stamp;
  bool force = false;
  std::string lockspace;

  friend bool operator==(const LeaveLockspace&, const LeaveLockspace&) = default;
};

// ---- Daemon to client ----

enum class Answer : std::uint8_t {
  granted = 1,
  queued = 2,  // Not final: it stands in the queue, and is known to the table by (session,
               // request).
  busy = 3,
  cancelled = 4,
  released = 5,
  not_held = 6,
  not_waiting = 7,
  not_quorate = 8,  // Was not put into the order, and will not be.
  limit = 9,
  invalid = 10,
  stale = 11,  // At or below the acknowledged mark, and not in the table.
  timed_out = 12,
  deadlock = 13,     // Deadlock comes before it.
  in_progress = 14,  // The lock waits or converts.
  done = 15,
  not_found = 16,
  exists = 17,
  not_permitted = 18,

  // Of barriers (liblock/protocol/barrier_messages.h).
  arrived = 19,  // Not final: BarrierOutcome follows.
  too_late = 20,
  different = 21,  // It is there, and was created otherwise.
  in_use = 22,
  not_open = 23,
  not_member = 24,  // Of the lockspace: join it first.
  already_arrived = 25,
  inside = 26,
  full = 27,
};

// `token`, `mode`, `notes` and `value` are set when granted; `notes` also when a conversion ended
// otherwise.
struct Reply {
  RequestId request{};
  Answer answer = Answer::invalid;
  Mode mode = Mode::nl;
  Token token{};
  GrantNotes notes = 0;
  std::optional<ValueBlock> value;  // If it was read.
  LeaseNote note;
  std::string advice;  // With limit and invalid: what to do, for people.

  friend bool operator==(const Reply&, const Reply&) = default;
};

// Somebody waits for `mode`, which this lock stands against as it was granted with this token. Told
// to who asked to be notified; after a resume it is told again.
struct Blocks {
  RequestId acquire{};
  Token token{};
  Mode mode = Mode::nl;

  friend bool operator==(const Blocks&, const Blocks&) = default;
};

// A lock as others see it.
struct LockRef {
  SessionId session{};
  RequestId acquire{};
  NodeId node{};
  std::uint32_t pid = 0;
  std::string command;

  friend bool operator==(const LockRef&, const LockRef&) = default;
};

struct DeadlockStep {
  LockRef waits;
  Mode wants = Mode::nl;
  LockRef blocker;
  Mode has = Mode::nl;
  std::string lockspace;
  std::string resource;

  friend bool operator==(const DeadlockStep&, const DeadlockStep&) = default;
};

// Why `request` is answered with deadlock: a ring of waits, each for the lock of the next.
struct Deadlock {
  RequestId request{};
  std::vector<DeadlockStep> steps;

  friend bool operator==(const Deadlock&, const Deadlock&) = default;
};

struct LockspaceMember {
  NodeId node{};
  std::uint32_t slot = 0;  // From 1; kept while the node is a member.

  friend bool operator==(const LockspaceMember&, const LockspaceMember&) = default;
};

// To the users of a lockspace. When members fail it is told twice: first with `failed`, when their
// locks are about to be given to others, and with `recovered` when that is done.
struct LockspaceState {
  std::string lockspace;
  std::uint64_t generation = 0;  // Grows with each change of members.
  bool recovered = true;         // No locks of failed members are left.
  std::vector<LockspaceMember> members;
  std::vector<LockspaceMember> failed;  // Since the last generation that was recovered.

  friend bool operator==(const LockspaceState&, const LockspaceState&) = default;
};

}  // namespace liblock::protocol
