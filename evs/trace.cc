#include "evs/trace.h"

namespace evs {

std::string_view to_string(TraceEvent event) {
  switch (event) {
    case TraceEvent::enter_operational:
      return "enter_operational";
    case TraceEvent::enter_gather:
      return "enter_gather";
    case TraceEvent::enter_commit:
      return "enter_commit";
    case TraceEvent::enter_recovery:
      return "enter_recovery";
    case TraceEvent::install_transitional:
      return "install_transitional";
    case TraceEvent::install_regular:
      return "install_regular";
    case TraceEvent::token_accepted:
      return "token_accepted";
    case TraceEvent::token_released:
      return "token_released";
    case TraceEvent::token_lost:
      return "token_lost";
    case TraceEvent::token_awaited:
      return "token_awaited";
    case TraceEvent::token_held:
      return "token_held";
    case TraceEvent::message_numbered:
      return "message_numbered";
    case TraceEvent::packet_missing:
      return "packet_missing";
    case TraceEvent::recovered:
      return "recovered";
    case TraceEvent::candidate_proposed:
      return "candidate_proposed";
    case TraceEvent::candidate_failed:
      return "candidate_failed";
    case TraceEvent::consensus:
      return "consensus";
    case TraceEvent::member_departed:
      return "member_departed";
    case TraceEvent::member_joined:
      return "member_joined";
    case TraceEvent::acknowledgement_stands:
      return "acknowledgement_stands";
    case TraceEvent::acknowledgement_moves:
      return "acknowledgement_moves";
    case TraceEvent::retransmissions:
      return "retransmissions";
    case TraceEvent::stranger_barred:
      return "stranger_barred";
    case TraceEvent::left:
      return "left";
  }
  return "unknown";
}

std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::none:
      return "";
    case Reason::token_lost:
      return "token lost";
    case Reason::token_lost_in_recovery:
      return "token lost in recovery";
    case Reason::commit_lost:
      return "Commit token lost";
    case Reason::no_commit:
      return "no Commit token after consensus";
    case Reason::ring_present:
      return "another ring is present";
    case Reason::member_leaves:
      return "a member leaves";
    case Reason::join_came:
      return "a Join came";
    case Reason::join_in_commit:
      return "a Join came in Commit";
    case Reason::join_in_recovery:
      return "a Join came in Recovery";
    case Reason::fails_to_receive:
      return "a member fails to receive";
    case Reason::said_so:
      return "it said so";
    case Reason::silent:
      return "it has not agreed in time";
    case Reason::started_anew:
      return "another life of the node speaks";
    case Reason::refuses_me:
      return "it takes this member to have failed";
    case Reason::told:
      return "another one takes it to have failed";
    case Reason::token_stops:
      return "the token does not get there";
    case Reason::met_at_start:
      return "this member has started and found it";
    case Reason::started:
      return "it had been alone since its start";
    case Reason::started_again:
      return "it was started again";
    case Reason::back_again:
      return "it is back";
    case Reason::not_known:
      return "not known why";
  }
  return "";
}

}  // namespace evs
