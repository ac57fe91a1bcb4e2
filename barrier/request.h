// The requests to the barrier table, and the effects that come of them. Plain values; what each
// request is answered is said in docs/barriers.md, row by row.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "barrier/barrier.h"

namespace barrier {

// Whose request this is. Numbers are above 0 and not used twice in a session, but for the same
// request that is sent again.
struct By {
  SessionId session{};
  RequestId request{};

  friend bool operator==(const By&, const By&) = default;
};

// `members` are those of the lockspace now. They count if it has no other barrier: where it has,
// the table has been told.
struct Create {
  By by;
  Name name;
  Config config;
  bool auto_delete = false;
  Patience patience = 0;
  Membership members;
};

enum class Attribute : std::uint8_t {
  auto_delete,  // 0 or 1, at any time.
  parties,      // While the barrier is idle.
  patience,     // Likewise.
  enabled,      // 1: arrives with an empty value, and is answered like that.
};

// `at` serves the session, here and below.
struct Change {
  By by;
  Processor at;
  Name name;
  Attribute attribute{};
  std::uint32_t value = 0;
};

struct Arrive {
  By by;
  Processor at;
  Name name;
  base::Buffer value;
};

struct Leave {
  By by;
  Generation generation{};
  base::Buffer value;
};

// Takes back what `arrival` asked for.
struct Withdraw {
  By by;
  Name name;
  RequestId arrival{};
};

struct Cancel {
  By by;
  Name name;
};

struct Delete {
  By by;
  Name name;
  bool force = false;
};

// All members of a lockspace from now on. Of those who are missing the nodes in `failed` are dead;
// others have left. Sessions are missing because they have left: an end is Table::end_session().
struct MembersChanged {
  std::string lockspace;
  Membership now;
  std::vector<Processor> failed;
};

// Why a request was refused. A refused request has changed nothing.
enum class Status : std::uint8_t {
  ok,
  bad_name,            // A name is empty or too long.
  bad_config,          // More parties than Limits::participants; shrink, and not dynamic.
  bad_attribute,       // Not a value that the attribute has.
  bad_value,           // Longer than kMaxValue.
  different,           // It is there, and was created otherwise.
  in_use,              // Somebody waits at it or is inside: ask again when it is idle.
  not_open,            // Nobody does: there is nothing to cancel.
  not_member,          // Of the lockspace: join it first.
  already_arrived,     // By another request, whose outcome will be told.
  inside,              // Leave the generation before you arrive for the next one.
  barrier_full,        // As many have arrived as the barrier or Limits::participants lets in.
  unknown_barrier,     // Never created, or deleted.
  unknown_arrival,     // Nothing to withdraw: never made, or its outcome is acknowledged.
  unknown_generation,  // The session is not inside in it.
  unknown_outcome,     // It has been acknowledged before, or was never this session's.
  too_many_barriers,   // Limits::barriers or barriers_per_lockspace.
  too_many_lockspaces,
  session_full,  // Limits::outcomes_per_session: acknowledge some.
  too_many_places,
  too_many_bytes,
};

std::string_view to_string(Status status);

// What a command means for one session, whose daemon tells it once that is allowed.
struct Effect {
  enum class Kind : std::uint8_t {
    done,     // What was asked for is so.
    refused,  // `status`.
    arrived,  // Waits at `step` of `generation`. The request is answered again by `ended`.
    ended,    // The step has: Table::find_outcome(). `request` is the arrival's or leave's; 0 if
              // the session is inside and has not asked to leave.
    opened,   // Of nobody: from now on somebody waits in this step, and its patience runs.
  };

  Kind kind{};
  Status status = Status::ok;
  SessionId session{};
  RequestId request{};
  OutcomeKey key;

  friend bool operator==(const Effect&, const Effect&) = default;
};

using Effects = std::vector<Effect>;

std::string_view to_string(Effect::Kind kind);

}  // namespace barrier
