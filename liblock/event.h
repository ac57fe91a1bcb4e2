// What the client machine tells its driver. Each acquire ends in exactly one of Granted and Failed
// unless it is forgotten, and so does each conversion in Converted or ConversionFailed, each
// arrival at a barrier and each leave in BarrierEnded or BarrierFailed, each other operation in
// Done; each Granted ends in exactly one of Released and GrantLost.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "liblock/protocol/messages.h"

namespace liblock {

using base::RequestId;
using base::Token;

// The daemon knows us; a session is there unless the client is for queries only.
struct Opened {
  bool resumed = false;
};

// Lost for good, whatever the daemon says later. Comes before every other event of its input.
struct GrantLost {
  RequestId request{};
  Token token{};
};

// Grants are held, but nobody prolongs them: the connection is gone, the daemon is not in a
// majority, or half of the lease has passed without a word. Ends with JeopardyEnded if all is well
// again, and with GrantLost or the release of all grants if not.
struct JeopardyBegan {};
struct JeopardyEnded {};

// The session has ended, as far as the client will ever know; GrantLost came before for each grant.
// Requests that wait are put into the next session by themselves.
struct SessionLost {};

// Held, as long as valid_for() is not zero.
struct Granted {
  RequestId request{};
  Token token{};
  protocol::Mode mode{};
  protocol::GrantNotes notes = 0;
  std::optional<protocol::ValueBlock> value{};
};

// All parts of one request, in their order.
struct GrantedAll {
  std::vector<Granted> parts;
};

enum class Failure : std::uint8_t {
  busy,
  cancelled,
  not_quorate,
  lost,  // Granted, but the lease was over when we heard of it: given back. Or of a session that
         // ended.
  limit,
  invalid,
  timed_out,  // Its patience was over.
  deadlock,
  in_progress,
  not_found,
  exists,
  different,   // The barrier is there, created otherwise.
  not_member,  // Of the lockspace whose members the barrier is for.
  not_permitted,
  disabled,  // The daemon refuses us for good: see Disabled.
};

using DeadlockSteps = std::vector<protocol::DeadlockStep>;

// Of a request for several locks, with its first id.
struct Failed {
  RequestId request{};
  Failure failure = Failure::invalid;
  std::string advice;
  DeadlockSteps deadlock;  // Empty if nobody told.
};

// The same lock, under another token.
struct Converted {
  RequestId operation{};
  Granted lock;
};

// The lock is held as it was, unless GrantLost was told: `lock` is how.
struct ConversionFailed {
  RequestId operation{};
  Failure failure = Failure::invalid;
  Granted lock;
  std::string advice;
  DeadlockSteps deadlock;
};

// The outcome of release(). Not `in_time`: the lock was gone before the release took effect.
struct Released {
  RequestId request{};  // The acquire's.
  bool in_time = false;
  RequestId operation{};
};

// Somebody waits for `mode`, which this grant stands against.
struct Blocked {
  RequestId request{};
  Token token{};
  protocol::Mode mode{};
};

// How a step of a barrier ended for this client: all parts of the outcome.
struct BarrierEnd {
  protocol::SessionId self{};  // Under which it took part.
  protocol::BarrierOutcome outcome;
};

// The outcome of arrive() and leave_barrier(), released or broken.
struct BarrierEnded {
  RequestId operation{};
  BarrierEnd end;
};

// There will be no outcome. As cancelled: it was withdrawn, and nobody counts on it. As lost: the
// session has ended, and nobody knows.
struct BarrierFailed {
  RequestId operation{};
  Failure failure = Failure::invalid;
  std::string advice;
};

// The second step broke while we are inside and have not asked to leave.
struct BarrierBroken {
  BarrierEnd end;
};

// The outcome of drop_orphans(), join(), leave(), and of what is asked of barriers beside arrivals.
struct Done {
  RequestId operation{};
  std::optional<Failure> failure;
  std::string advice;
};

// Of a lockspace that was joined; may come again unchanged after a reconnect.
struct LockspaceChanged {
  protocol::LockspaceState state;
};

// A new session could not join it again.
struct LockspaceGone {
  std::string lockspace;
  Failure failure = Failure::invalid;
  std::string advice;
};

struct QueryAnswered {
  std::uint32_t query = 0;
  protocol::Response answer;  // ListPage, ShowPage, Status or Members.
};

// Of a watch; each connection's begin with WatchGap.
struct Watched {
  std::uint32_t query = 0;
  protocol::Response news;  // One of liblock/protocol/watch_messages.h.
};

// The daemon, or what answers in its place, does not want us now; the machine tries again.
struct Refused {
  protocol::Refusal refusal = protocol::Refusal::malformed;
  std::string advice;
};

// As Refused, but trying again is no use. No connection is wanted any more.
struct Disabled {
  protocol::Refusal refusal = protocol::Refusal::malformed;
  std::string advice;
};

// After close(): nothing follows.
struct Closed {};

using Event = std::variant<Opened, GrantLost, JeopardyBegan, JeopardyEnded, SessionLost, Granted,
                           GrantedAll, Failed, Converted, ConversionFailed, Released, Blocked,
                           BarrierEnded, BarrierFailed, BarrierBroken, Done, LockspaceChanged,
                           LockspaceGone, QueryAnswered, Watched, Refused, Disabled, Closed>;

}  // namespace liblock
