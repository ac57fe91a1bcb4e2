// Whose request a command is. Rules 6.20-6.23 say why each field is there.
#pragma once

#include <cstdint>

#include "base/ids.h"

namespace lockd {

using base::RequestId;
using base::SessionId;

// Counts the attachments of a session to daemons: 1 when it is opened, more with each RESUME. A
// command of an older attachment is refused wherever it was delayed.
enum class Generation : std::uint64_t {};

// Whose request this is, as opens each command of a session. Requests are numbered by the client;
// one that is sent again keeps its number. Every request up to `acknowledged` has been answered,
// the client has the answer and will never send it again.
struct Request {
  SessionId session{};
  Generation generation{};
  RequestId id{};
  RequestId acknowledged{};

  friend bool operator==(const Request&, const Request&) = default;
};

}  // namespace lockd
