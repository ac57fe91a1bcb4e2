// Whose message a payload of the ring is: its last byte, so that taking it off moves nothing. Locks
// and groups share the one ring, and see only what is their own.
#pragma once

#include <cstdint>

namespace lockd {

enum class PayloadKind : std::uint8_t {
  replica = 1,  // lockd/ring_message.h
  group = 2,    // evs/group_message.h
  flow = 3,     // lockd/group_flow.h
};

}  // namespace lockd
