#include "dlm/lock.h"

namespace dlm {

std::string_view to_string(Status status) {
  switch (status) {
    case Status::ok:
      return "ok";
    case Status::bad_name:
      return "bad name";
    case Status::bad_flags:
      return "bad flags";
    case Status::would_block:
      return "would block";
    case Status::deadlock:
      return "deadlock";
    case Status::duplicate:
      return "duplicate";
    case Status::too_many_locks:
      return "too many locks";
    case Status::session_full:
      return "session full";
    case Status::too_many_resources:
      return "too many resources";
    case Status::too_many_lockspaces:
      return "too many lockspaces";
    case Status::unknown_lock:
      return "unknown lock";
    case Status::wrong_token:
      return "wrong token";
    case Status::not_granted:
      return "not granted";
    case Status::already_granted:
      return "already granted";
    case Status::in_progress:
      return "in progress";
    case Status::timed_out:
      return "timed out";
    case Status::withdrawn:
      return "withdrawn";
  }
  return "?";
}

std::string_view to_string(Effect::Kind kind) {
  switch (kind) {
    case Effect::Kind::granted:
      return "granted";
    case Effect::Kind::queued:
      return "queued";
    case Effect::Kind::refused:
      return "refused";
    case Effect::Kind::released:
      return "released";
    case Effect::Kind::cancelled:
      return "cancelled";
    case Effect::Kind::reverted:
      return "reverted";
    case Effect::Kind::blocks:
      return "blocks";
  }
  return "?";
}

}  // namespace dlm
