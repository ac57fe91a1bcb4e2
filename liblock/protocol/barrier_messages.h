// What a session asks of barriers, and what it is told of them (liblock/protocol/messages.h). What
// barriers are is docs/barriers.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/barrier_terms.h"
#include "liblock/protocol/terms.h"

namespace liblock::protocol {

using base::BarrierEnding;
using base::BarrierGeneration;
using base::BarrierOnDeath;
using base::BarrierStep;
using base::BarrierUnit;

constexpr std::size_t kBarrierNameBytesMax = 255;  // 1 to 255 arbitrary bytes.
constexpr std::size_t kBarrierValueBytesMax = base::kBarrierValueMax;
constexpr std::size_t kBarrierMembersMax = 192;  // In one BarrierOutcome.
constexpr std::size_t kBarrierLostMax = 64;      // Deaths that are named.
constexpr std::size_t kBarriersMax = 64;         // In one page.

struct BarrierConfig {
  std::uint32_t parties = 0;  // 0: all members of the lockspace, as it is at each moment.
  BarrierUnit unit = BarrierUnit::session;
  BarrierOnDeath on_death = BarrierOnDeath::break_it;
  bool two_steps = false;
  bool auto_delete = true;
  std::uint32_t patience = 0;  // In milliseconds, of each step from its first arrival; 0: no end.

  friend bool operator==(const BarrierConfig&, const BarrierConfig&) = default;
};

// Each of these is answered with a Reply, but for BarrierConfirm and BarrierMore. Answers of all:
// limit, invalid, not_permitted, stale.

// Answers: done (also if it is there with the same parties, unit, deaths and steps), different.
struct BarrierCreate {
  RequestId request{};
  RequestId acknowledged{};
  Stamp stamp;
  std::string lockspace;
  std::string barrier;
  BarrierConfig config;

  friend bool operator==(const BarrierCreate&, const BarrierCreate&) = default;
};

// Changes of a barrier that is there.
enum class BarrierAttribute : std::uint8_t {
  auto_delete = 0,  // 0 or 1, at any time.
  parties = 1,      // While nobody has arrived, and nobody is inside.
  patience = 2,     // Likewise.
};

// Answers: done, not_found, in_use.
struct BarrierChange {
  RequestId request{};
  RequestId acknowledged{};
  Stamp stamp;
  std::string lockspace;
  std::string barrier;
  BarrierAttribute attribute{};
  std::uint32_t value = 0;

  friend bool operator==(const BarrierChange&, const BarrierChange&) = default;
};

// Arrives; with a `config` it creates the barrier first, if it is not there. Answers: arrived (as
// `queued`: not final; BarrierOutcome with this request's id follows), not_found (without
// `config`), different, not_member, already_arrived (by another request), inside (leave first),
// full.
struct BarrierArrive {
  RequestId request{};
  RequestId acknowledged{};
  Stamp stamp;
  std::string lockspace;
  std::string barrier;
  std::optional<BarrierConfig> config;
  std::string value;

  friend bool operator==(const BarrierArrive&, const BarrierArrive&) = default;
};

// Out of a barrier with two steps, of which the first has released us. Answers: arrived
// (BarrierOutcome follows), not_found (not inside in that generation), already_arrived.
struct BarrierLeave {
  RequestId request{};
  RequestId acknowledged{};
  Stamp stamp;
  BarrierGeneration generation{};
  std::string value;

  friend bool operator==(const BarrierLeave&, const BarrierLeave&) = default;
};

// Takes an arrival back. Answers: cancelled (it waited, and its outcome will not follow), too_late
// (its outcome was ordered first, and has followed or follows), not_found.
struct BarrierWithdraw {
  RequestId request{};
  RequestId acknowledged{};
  Stamp stamp;
  std::string lockspace;
  std::string barrier;
  RequestId arrival{};

  friend bool operator==(const BarrierWithdraw&, const BarrierWithdraw&) = default;
};

// Breaks it for all who are there. Answers: done, not_found, not_open (nobody is there).
struct BarrierCancel {
  RequestId request{};
  RequestId acknowledged{};
  Stamp stamp;
  std::string lockspace;
  std::string barrier;

  friend bool operator==(const BarrierCancel&, const BarrierCancel&) = default;
};

// Answers: done, not_found, in_use (somebody is there, and no `force`: it breaks it for them).
struct BarrierDelete {
  RequestId request{};
  RequestId acknowledged{};
  Stamp stamp;
  std::string lockspace;
  std::string barrier;
  bool force = false;

  friend bool operator==(const BarrierDelete&, const BarrierDelete&) = default;
};

// The client has this outcome whole, and never asks for it again. An outcome that is told once more
// nevertheless is confirmed once more.
struct BarrierConfirm {
  BarrierGeneration generation{};
  BarrierStep step{};

  friend bool operator==(const BarrierConfirm&, const BarrierConfirm&) = default;
};

// More members of an outcome that is not confirmed: those with sessions above `after`. Told with a
// BarrierOutcome; with none if there is no such outcome for this session.
struct BarrierMore {
  BarrierGeneration generation{};
  BarrierStep step{};
  SessionId after{};

  friend bool operator==(const BarrierMore&, const BarrierMore&) = default;
};

// ---- Daemon to client ----

struct BarrierMember {
  SessionId session{};
  Processor at;  // The node that served it when it arrived.
  std::string value;

  friend bool operator==(const BarrierMember&, const BarrierMember&) = default;
};

// A death: of a session, or if that is 0 of a whole node.
struct BarrierLost {
  SessionId session{};
  Processor at;

  friend bool operator==(const BarrierLost&, const BarrierLost&) = default;
};

// How a step of a generation ended, the same for all who took part. Told until it is confirmed, so
// again after a resume. Of `members_total` it has some, by session; the rest is got by BarrierMore,
// and `members` of each part begins where it asked.
struct BarrierOutcome {
  RequestId request{};  // The arrival; the leave, or 0 if we have not asked to leave.
  BarrierGeneration generation{};
  BarrierStep step{};
  BarrierEnding ending{};
  RingId ring;                   // In which the command was ordered that ended it.
  std::uint64_t membership = 0;  // Generation of the lockspace's members then; 0: none has joined.
  std::uint64_t losses = 0;      // Deaths that concerned it, of which so many are named:
  std::vector<BarrierLost> lost;
  std::uint32_t members_total = 0;
  std::vector<BarrierMember> members;

  friend bool operator==(const BarrierOutcome&, const BarrierOutcome&) = default;
};

// ---- Questions ----

// Barriers by lockspace and name, behind the one named `after`; an empty lockspace means all of
// them. Answered with one BarriersPage.
struct BarriersQuery {
  std::uint32_t query = 0;
  std::string lockspace;
  std::string after_lockspace;  // Empty at first.
  std::string after_barrier;

  friend bool operator==(const BarriersQuery&, const BarriersQuery&) = default;
};

// A step in which somebody is. Entering: `arrived` units, and `missing` that have to come. Inside:
// `arrived` sessions have left, and `missing` have not.
struct BarrierRound {
  BarrierGeneration generation{};
  std::uint32_t arrived = 0;
  std::uint32_t missing = 0;

  friend bool operator==(const BarrierRound&, const BarrierRound&) = default;
};

struct BarrierItem {
  std::string lockspace;
  std::string barrier;
  BarrierConfig config;
  std::optional<BarrierRound> entering;
  std::optional<BarrierRound> inside;

  friend bool operator==(const BarrierItem&, const BarrierItem&) = default;
};

struct BarriersPage {
  std::uint32_t query = 0;
  bool primary = false;  // If not: what was last known here.
  bool more = false;
  std::vector<BarrierItem> items;

  friend bool operator==(const BarriersPage&, const BarriersPage&) = default;
};

}  // namespace liblock::protocol
