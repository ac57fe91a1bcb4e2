// The vocabulary between the lock table and whoever feeds it: requests in, effects and views out.
// Plain values; what they do to the table is said in dlm/table.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "dlm/mode.h"

namespace dlm {

using base::Bytes;
using base::RequestId;
using base::SessionId;
using base::Token;

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

struct Acquire {
  LockName lock;
  ResourceName on;
  Mode mode = Mode::ex;

  // Refuse (would_block) rather than wait: `try`.
  bool no_queue = false;
};

// Why a request was refused. A refused request has changed nothing.
enum class Status : std::uint8_t {
  ok,
  bad_name,        // A name is empty or too long.
  would_block,     // no_queue, and it could not be granted at once.
  duplicate,       // A lock of this name is in the table already.
  too_many_locks,  // Limits::locks: the whole table is full.
  session_full,    // Limits::locks_per_session.
  too_many_resources,
  too_many_lockspaces,
  unknown_lock,     // No such lock, granted or waiting: it may have been released before.
  wrong_token,      // The lock is granted under another token; nothing was freed.
  not_granted,      // Release of a request that still waits: cancel it.
  already_granted,  // Cancel of a request that has been granted: release it.
};

std::string_view to_string(Status status);

// What a change of the table means for one lock. Its client is told so, once that is allowed.
struct Effect {
  enum class Kind : std::uint8_t {
    granted,   // `token` and `mode`. At once, or from the queue as the effect of another's release.
    queued,    // The request waits.
    refused,   // `status`. Also for a release or cancel that found nothing to do.
    released,  // `token` is the one that ended.
    cancelled,  // The request does not wait any more.
  };

  Kind kind{};
  Status status = Status::ok;
  Mode mode = Mode::nl;
  LockName lock;
  Token token{};

  friend bool operator==(const Effect&, const Effect&) = default;
};

using Effects = std::vector<Effect>;

std::string_view to_string(Effect::Kind kind);

// Part of the replicated behaviour: must be the same on every node of a cluster.
struct Limits {
  std::size_t locks = 4'000'000;
  std::size_t resources = 4'000'000;
  std::size_t lockspaces = 1024;
  std::size_t locks_per_session = 65'536;
};

// Views for `ls` and `show`. The bytes are borrowed from the table until its next change.
struct ResourceView {
  ResourceName name;
  std::size_t holders = 0;
  std::size_t waiters = 0;
};

struct LockView {
  LockName lock;
  ResourceName on;
  Mode mode{};  // Held, or waited for.
  bool granted = false;
  Token token{};             // Of a granted lock.
  std::size_t position = 0;  // Of a waiting one, from 1; 0 where nobody counted (Table::locks_of).
};

}  // namespace dlm
