#include "barrier/request.h"

namespace barrier {

std::string_view to_string(Status status) {
  switch (status) {
    case Status::ok:
      return "ok";
    case Status::bad_name:
      return "bad name";
    case Status::bad_config:
      return "bad config";
    case Status::bad_attribute:
      return "bad attribute";
    case Status::bad_value:
      return "bad value";
    case Status::different:
      return "different";
    case Status::in_use:
      return "in use";
    case Status::not_open:
      return "not open";
    case Status::not_member:
      return "not member";
    case Status::already_arrived:
      return "already arrived";
    case Status::inside:
      return "inside";
    case Status::barrier_full:
      return "barrier full";
    case Status::unknown_barrier:
      return "unknown barrier";
    case Status::unknown_arrival:
      return "unknown arrival";
    case Status::unknown_generation:
      return "unknown generation";
    case Status::unknown_outcome:
      return "unknown outcome";
    case Status::too_many_barriers:
      return "too many barriers";
    case Status::too_many_lockspaces:
      return "too many lockspaces";
    case Status::session_full:
      return "session full";
    case Status::too_many_places:
      return "too many places";
    case Status::too_many_bytes:
      return "too many bytes";
  }
  return "?";
}

std::string_view to_string(Effect::Kind kind) {
  switch (kind) {
    case Effect::Kind::done:
      return "done";
    case Effect::Kind::refused:
      return "refused";
    case Effect::Kind::arrived:
      return "arrived";
    case Effect::Kind::ended:
      return "ended";
    case Effect::Kind::opened:
      return "opened";
  }
  return "?";
}

}  // namespace barrier
