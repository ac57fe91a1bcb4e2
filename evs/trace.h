// Typed records of what a ring member does, for the simulator's columns and the flight recorder.
// The core emits them; whoever listens formats them.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/ids.h"
#include "base/time.h"
#include "evs/event.h"

namespace evs {

// What stands behind an event is which fields of its record it uses beside `ring`.
enum class TraceEvent : std::uint8_t {
  enter_operational,
  enter_gather,            // `reason`; `processor` who caused it, if one did.
  enter_commit,            // `members`
  enter_recovery,          // `members`
  install_transitional,    // `members`
  install_regular,         // `members`
  token_accepted,          // `sequence`: the hop.
  token_released,          // The same.
  token_lost,              // The same; `span` without a token. `processor`, if it never answered to
                           // the token that it was sent, `index` times again.
  token_awaited,           // As token_lost, when others gave the ring up a moment before.
  token_held,              // `sequence`: the hop.
  message_numbered,        // `sequence`, `index`: a message of this member got its place in the
                           // order of `ring`.
  packet_missing,          // `sequence`
  recovered,               // `sequence`
  candidate_proposed,      // `processor`, `teller`: for the ring to be.
  candidate_failed,        // `processor`, `reason`, `teller`
  consensus,               // `members`
  member_departed,         // `processor`; `sequence`: its acknowledgement, `index` packets behind;
                           // `span`: it was heard so long ago, kNever if never.
  member_joined,           // `processor`, `reason`; `sequence`: the incarnation of its former life.
  acknowledgement_stands,  // `processor`, `sequence`, `span`
  acknowledgement_moves,   // `processor`, `sequence`; it had stood for `span`.
  retransmissions,         // `sequence` packets were sent again in `span`: unusually many.
  stranger_barred,         // `processor`
  left,
};

std::string_view to_string(TraceEvent event);

enum class Reason : std::uint8_t {
  none,

  // Why a ring, or an attempt at one, was given up.
  token_lost,
  token_lost_in_recovery,
  commit_lost,
  no_commit,
  ring_present,
  member_leaves,
  join_came,
  join_in_commit,
  join_in_recovery,
  fails_to_receive,

  // Why a candidate failed. fails_to_receive is one too.
  said_so,       // It takes leave.
  silent,        // It has not agreed in time.
  started_anew,  // Another life of the node speaks.
  refuses_me,    // It takes this member to have failed.
  told,          // Another one takes it to have failed.
  token_stops,   // The token does not get there, though Joins do.

  // Why a member came. `started_again` tells of a former life.
  met_at_start,  // This member has started, and found it.
  started,       // It had been alone since its start.
  started_again,
  back_again,  // The same life was in a ring with this member before.
  not_known,
};

std::string_view to_string(Reason reason);

// The value of `span` for what has never been.
constexpr base::Duration kNever = base::Duration::max();

struct TraceRecord {
  TraceEvent event{};
  base::RingId ring;
  std::uint64_t sequence = 0;
  std::uint32_t index = 0;
  Reason reason = Reason::none;
  base::Processor processor{};  // Node 0: none.
  base::NodeId teller{};        // 0: none.
  std::uint32_t members = 0;    // Bit i is Config::nodes[i].
  base::Duration span{0};
};

class TraceSink {
 public:
  virtual ~TraceSink() = default;
  virtual void record(const TraceRecord& record) = 0;
};

}  // namespace evs
