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
    case TraceEvent::token_held:
      return "token_held";
    case TraceEvent::message_numbered:
      return "message_numbered";
    case TraceEvent::packet_missing:
      return "packet_missing";
    case TraceEvent::recovered:
      return "recovered";
    case TraceEvent::left:
      return "left";
  }
  return "unknown";
}

}  // namespace evs
