// What the answers of a daemon mean for whoever asked (liblock/event.h).
#pragma once

#include "liblock/event.h"

namespace liblock {

// Of one that is not what was asked for.
inline Failure failure_of(protocol::Answer answer) {
  using protocol::Answer;
  switch (answer) {
    case Answer::busy:
    case Answer::in_use:
    case Answer::full:
      return Failure::busy;
    case Answer::cancelled:
      return Failure::cancelled;
    case Answer::not_quorate:
      return Failure::not_quorate;
    case Answer::limit:
      return Failure::limit;
    case Answer::timed_out:
      return Failure::timed_out;
    case Answer::deadlock:
      return Failure::deadlock;
    case Answer::in_progress:
    case Answer::already_arrived:
    case Answer::inside:
      return Failure::in_progress;
    case Answer::not_found:
    case Answer::not_open:
      return Failure::not_found;
    case Answer::exists:
      return Failure::exists;
    case Answer::different:
      return Failure::different;
    case Answer::not_member:
      return Failure::not_member;
    case Answer::not_permitted:
      return Failure::not_permitted;
    case Answer::not_held:
    case Answer::stale:
      return Failure::lost;
    default:
      return Failure::invalid;
  }
}

}  // namespace liblock
