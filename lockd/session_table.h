// The sessions as all replicas know them, with their reply caches and the highest OPEN of each
// daemon. It owns look-up, limits, digest and bytes; what the ordered commands do to sessions is
// lockd/state.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "dlm/mode.h"
#include "lockd/command.h"

namespace lockd {

// What becomes of a request. Those from `no_such_lock` on are refusals that changed nothing.
enum class Status : std::uint8_t {
  granted = 0,  // With token and mode.
  queued,       // Waits; told again when granted. Also the answer to a repeated request that still
                // waits.
  busy,         // A try that can not be granted now, also while the table is cold.
  released,
  cancelled,
  no_such_lock,       // The session has no lock of this name.
  wrong_token,        // It has, but not granted with this token.
  already_granted,    // A CANCEL that came too late, with token and mode.
  too_many_locks,     // Of this session, or of the table.
  too_many_requests,  // Unanswered ones; may be sent again when earlier ones are acknowledged.
  already_answered,   // At or below the acknowledged mark.
  stale_generation,   // The session has been attached anew since.
  not_attached,       // Orphaned or elsewhere: RESUME first, then send again.
  session_lost,       // Ended or never known; for ever.
};

// The outcome of a request, kept until it is acknowledged.
struct Reply {
  RequestId request{};
  Status status{};
  dlm::Mode mode{};
  Token token{};

  friend bool operator==(const Reply&, const Reply&) = default;
};

struct Attached {
  friend bool operator==(const Attached&, const Attached&) = default;
};

// Nobody serves it; its locks stay until RESUME, CLOSE or the EXPIRE of its mark.
struct Orphaned {
  RingId ring;
  friend bool operator==(const Orphaned&, const Orphaned&) = default;
};

// Ended for ever; only what PURGE has not freed yet keeps it here.
struct Dead {
  friend bool operator==(const Dead&, const Dead&) = default;
};

using Standing = std::variant<Attached, Orphaned, Dead>;

struct Session {
  SessionId id{};
  Secret secret;
  Instance instance;

  // The daemon that serves it, or did last, and the how-many-eth attachment that is.
  Processor at;
  Generation generation{};
  Standing standing;

  // The OPEN that made it.
  Processor opened_by;
  OpenNumber number{};

  std::uint32_t uid = 0;
  std::uint32_t pid = 0;
  std::string program;

  // No request at or below it is ever executed (again).
  RequestId acknowledged{};

  // By request, all above `acknowledged`.
  std::vector<Reply> replies;

  bool attached() const { return std::holds_alternative<Attached>(standing); }
  bool orphaned() const { return std::holds_alternative<Orphaned>(standing); }
  bool dead() const { return std::holds_alternative<Dead>(standing); }

  // The name of its wait, if it is orphaned.
  std::optional<Mark> mark() const;

  // What is remembered of a request, if it is.
  const Reply* reply(RequestId request) const;
};

}  // namespace lockd
