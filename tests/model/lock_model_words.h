// Short words for the tests of the model: calls with few arguments, and outcomes as a line of text.
#pragma once

#include <string>

#include "tests/model/lock_model.h"

namespace model {

constexpr Mode kModes[] = {Mode::nl, Mode::cr, Mode::cw, Mode::pr, Mode::pw, Mode::ex};

inline std::string word(Mode mode) {
  static const char* const kWords[] = {"none", "nl", "cr", "cw", "pr", "pw", "ex"};
  return kWords[static_cast<int>(mode) + 1];
}

inline std::string word(Status status) {
  switch (status) {
    case Status::ok:
      return "ok";
    case Status::enoent:
      return "ENOENT";
    case Status::eagain:
      return "EAGAIN";
    case Status::ebusy:
      return "EBUSY";
    case Status::einval:
      return "EINVAL";
    case Status::edeadlk:
      return "EDEADLK";
    case Status::etimedout:
      return "ETIMEDOUT";
    case Status::ecancel:
      return "ECANCEL";
    case Status::eunlock:
      return "EUNLOCK";
  }
  return "?";
}

// "1=ok/pr+D 2!ex": lock 1 completed in PR, demoted; lock 2 is told that EX waits. A refusal is its
// status alone.
inline std::string told(const Outcome& outcome) {
  if (outcome.status != Status::ok) return word(outcome.status);
  std::string text;
  for (const Callback& it : outcome.callbacks) {
    if (!text.empty()) text += ' ';
    text += std::to_string(it.lock);
    if (it.kind == Callback::Kind::blocking) {
      text += "!" + word(it.mode);
      continue;
    }
    text += "=" + word(it.status) + "/" + word(it.mode);
    if ((it.flags & kDemoted) != 0) text += "+D";
    if ((it.flags & kValnotvalid) != 0) text += "+V";
    if ((it.flags & kAltmode) != 0) text += "+A";
  }
  return text;
}

inline Value filled(unsigned char byte) {
  Value value;
  value.fill(byte);
  return value;
}

// A lockspace with one resource. The session is a process of its own; its node is 1 unless told.
class Stage {
 public:
  Outcome ask(int session, Mode mode, Flags flags = 0, int node = 1, unsigned char byte = 0) {
    LockCall call{{session, session, node}, "r", 0, mode, flags, filled(byte)};
    call.timeout = 10;
    call.now = now;
    return space.lock(call);
  }
  Outcome convert(int session, int lock, Mode mode, Flags flags = 0, unsigned char byte = 0) {
    LockCall call{{session, session, 1}, "", lock, mode, flags | kConvert, filled(byte)};
    call.timeout = 10;
    call.now = now;
    return space.lock(call);
  }
  Outcome unlock(int session, int lock, Flags flags = 0, unsigned char byte = 0) {
    return space.unlock({session, lock, flags, filled(byte)});
  }
  const Resource& resource() const { return space.resources().at("r"); }

  Lockspace space;
  std::int64_t now = 0;
};

}  // namespace model
