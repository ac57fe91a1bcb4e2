// The vocabulary between the lock table and whoever feeds it: requests in, effects and views out.
// Plain values; what they do to the table is said in dlm/table.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/lock_flags.h"
#include "base/lock_mode.h"
#include "dlm/mode.h"

namespace dlm {

using base::Bytes;
using base::GrantNotes;
using base::LockFlags;
using base::RequestId;
using base::SessionId;
using base::Token;
using base::ValueBlock;

inline constexpr std::size_t kMaxLockspaceName = 64;
inline constexpr std::size_t kMaxResourceName = 255;

// A lock, granted or waiting, is named by the session and the request that asked for it. Request
// ids are not used twice in a session and session ids never, so a name is unique for ever.
struct LockName {
  SessionId session{};
  RequestId acquired_by{};

  friend auto operator<=>(const LockName&, const LockName&) = default;
};

// A resource's name, borrowed: 1 to 255 arbitrary bytes in a lockspace of 1 to 64 bytes.
struct ResourceName {
  Bytes lockspace;
  Bytes resource;
};

// Who waits, for the detection of deadlocks: a thread or a transaction of the session, which does
// nothing while a request of its own waits. 0 is nobody: what it waits for is no part of a
// deadlock.
enum class Owner : std::uint64_t {};

// How long a request or conversion may wait, in milliseconds; 0 is without end. The table keeps it
// for whoever watches the clock, and does nothing about it.
using Patience = std::uint32_t;

struct Acquire {
  LockName lock;
  ResourceName on;
  Mode mode = Mode::ex;
  LockFlags flags = 0;
  Owner owner{};
  Patience patience = 0;
};

// One of the resources of a request for several. The flags are those of Acquire that say nothing of
// queues: value_block, persistent, notify.
struct Part {
  ResourceName on;
  Mode mode = Mode::ex;
};

// All of them or none, at one moment. The locks are named `lock`, and by the requests that follow.
struct AcquireAll {
  LockName lock;
  std::vector<Part> parts;
  LockFlags flags = 0;
  Owner owner{};
  Patience patience = 0;
};

inline constexpr std::size_t kMaxParts = 64;

// What AcquireAll may carry.
inline constexpr LockFlags kForAll = base::lock_flag::no_queue | base::lock_flag::value_block |
                                     base::lock_flag::persistent | base::lock_flag::notify |
                                     base::lock_flag::no_deadlock_wait |
                                     base::lock_flag::no_deadlock_block;

// The flags replace those that the lock has. `value` is what a conversion that writes leaves
// behind; without one it writes nothing.
struct Convert {
  LockName lock;
  RequestId request{};  // Of this conversion itself.
  Mode mode = Mode::nl;
  LockFlags flags = 0;
  std::optional<ValueBlock> value;
  Patience patience = 0;
};

// `token` is that of the grant; with `force` it does not matter.
struct Release {
  LockName lock;
  Token token{};
  LockFlags flags = 0;
  std::optional<ValueBlock> value;
};

// Takes over the orphan `orphan`, which holds `mode`, under a name of a living session.
struct Adopt {
  LockName lock;
  LockName orphan;
  LockFlags flags = 0;
};

// Why a request was refused, or a wait has ended. A refused request has changed nothing but perhaps
// the counter.
enum class Status : std::uint8_t {
  ok,
  bad_name,        // A name is empty or too long.
  bad_flags,       // Flags that do not go together, or not with the mode; parts that are none.
  would_block,     // no_queue, and it could not be granted at once.
  deadlock,        // To wait for it is to wait for oneself: Table::deadlocks() says how.
  duplicate,       // A lock of this name is in the table already.
  too_many_locks,  // Limits::locks: the whole table is full.
  session_full,    // Limits::locks_per_session.
  too_many_resources,
  too_many_lockspaces,
  unknown_lock,     // No such lock, granted or waiting: it may have been released before.
  wrong_token,      // The lock is granted under another token; nothing was freed.
  not_granted,      // Release of a request that still waits: cancel it, or force.
  already_granted,  // Cancel of a request that has been granted: release it.
  in_progress,      // Convert of a lock that waits.
  timed_out,        // The wait has ended: its patience was at an end.
  withdrawn,        // The wait has ended: its client took it back.
};

std::string_view to_string(Status status);

// What a change of the table means for one lock. Its client is told so, once that is allowed.
struct Effect {
  enum class Kind : std::uint8_t {
    granted,    // `token`, `mode`, `notes`, `value` if it was read. At once, or from the queue.
    queued,     // The request or conversion waits.
    refused,    // `status`. Also for a release or cancel that found nothing to do.
    released,   // `token` is the one that ended, if it was granted; it waits for nothing any more.
    cancelled,  // The request does not wait any more, and is gone: `status`.
    reverted,  // The conversion does not wait any more: `status`, with the mode and token it keeps.
    blocks,    // Somebody waits for `mode`, which this lock stands against.
  };

  Kind kind{};
  Status status = Status::ok;
  Mode mode = Mode::nl;
  GrantNotes notes = 0;
  LockName lock;
  RequestId request{};  // What this is the outcome of, where it waited: the acquire or conversion.
  Token token{};
  std::optional<ValueBlock> value{};

  friend bool operator==(const Effect&, const Effect&) = default;
};

using Effects = std::vector<Effect>;

// A lock that is gone from the table, for those who watch: its effect names no resource.
struct Gone {
  LockName lock;
  std::string lockspace;
  std::string resource;
};

std::string_view to_string(Effect::Kind kind);

// Part of the replicated behaviour: must be the same on every node of a cluster.
struct Limits {
  std::size_t locks = 4'000'000;
  std::size_t resources = 4'000'000;
  std::size_t lockspaces = 1024;
  std::size_t locks_per_session = 65'536;
};

// A ring of waits, each for the next: `waits` wants `wants` and is kept from it by `blocker`, or by
// its place behind it, and who has that waits too; the last for the first. `on` is the resource.
struct DeadlockStep {
  LockName waits;
  Mode wants{};
  LockName blocker;
  Mode has{};
  std::string lockspace;
  std::string resource;

  friend bool operator==(const DeadlockStep&, const DeadlockStep&) = default;
};

struct Deadlock {
  LockName victim;      // Whose wait was refused or ended:
  RequestId request{};  // that of this acquire or conversion.
  std::vector<DeadlockStep> steps;

  friend bool operator==(const Deadlock&, const Deadlock&) = default;
};

// Views for `ls` and `show`. The bytes are borrowed from the table until its next change.
struct ResourceView {
  ResourceName name;
  std::size_t holders = 0;
  std::size_t waiters = 0;            // Converting ones are among both.
  const ValueBlock* value = nullptr;  // Null: never written.
  bool value_invalid = false;
};

struct LockView {
  LockName lock;
  ResourceName on;
  bool granted = false;
  bool waiting = false;  // Both: it converts.
  Mode mode{};           // Held, or waited for by one that holds nothing.
  Mode wants{};          // Waited for,
  RequestId request{};   // by this acquire or conversion.
  Token token{};         // Of a granted lock.
  LockFlags flags = 0;
  Owner owner{};
  Patience patience = 0;     // Of a waiting one.
  Mode notified{};           // The highest mode that it was told to stand against, since its grant.
  bool orphan = false;       // Its process has ended: it waits to be adopted or purged.
  std::uint32_t since = 0;   // Table::set_second() at the grant, or when it began to wait.
  std::size_t position = 0;  // Of a waiting one, from 1; 0 where nobody counted (Table::locks_of).
};

}  // namespace dlm
