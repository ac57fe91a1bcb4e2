// What all messages of the client protocol are made of: limits, clock readings, and what a lease
// still promises.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/ids.h"
#include "base/lock_flags.h"
#include "base/lock_mode.h"
#include "base/time.h"

namespace liblock::protocol {

using base::Duration;
using base::GrantNotes;
using base::GroupKey;
using base::LockFlags;
using base::NodeId;
using base::Processor;
using base::RequestId;
using base::RingId;
using base::SessionId;
using base::Token;
using base::ValueBlock;
using Mode = base::LockMode;

constexpr std::uint16_t kVersion = 1;

// A frame is a length of four bytes, then that many bytes: one of type, then the body.
constexpr std::size_t kFrameHeaderBytes = 4;
constexpr std::size_t kRequestBytesMax = 24 * 1024;   // Client to daemon, without the header.
constexpr std::size_t kResponseBytesMax = 64 * 1024;  // Daemon to client.

constexpr std::size_t kLockspaceBytesMax = 64;  // 1 to 64 arbitrary bytes.
constexpr std::size_t kResourceBytesMax = 255;  // 1 to 255 arbitrary bytes.
constexpr std::size_t kCommandBytesMax = 255;   // Longer command texts are cut by the client.
constexpr std::size_t kAdviceBytesMax = 512;
constexpr std::size_t kPartsMax = 64;          // Of one AcquireAll.
constexpr std::size_t kDeadlockStepsMax = 64;  // Of a longer ring the first ones are told.
constexpr std::size_t kListItemsMax = 64;      // In one page.
constexpr std::size_t kShowLocksMax = 64;      // In one page.
constexpr std::size_t kLockspacesMax = 32;     // In one page.
constexpr std::size_t kMembersMax = 64;
constexpr std::size_t kCountersMax = 128;
constexpr std::size_t kRingEventsMax = 64;  // In one page.
constexpr std::size_t kTextBytesMax = 255;  // Every other text.

// Requests sent and not answered (`queued` is an answer). A client sends no more; a daemon may hang
// up on one that does.
constexpr std::size_t kInFlightMax = 128;

// No request id is sent that is further than this above the acknowledged mark; so the reply cache
// of a session needs no more entries.
constexpr std::uint64_t kRequestWindow = 1024;

// A reading of the client's two clocks. To the daemon it is opaque: it is copied into `echo`,
// nothing else.
using Stamp = base::Instant;

// What a client may rely on, and since when. `remaining` is zero when there is no lease to rely on.
struct LeaseNote {
  Stamp echo;
  Duration remaining{0};

  friend bool operator==(const LeaseNote&, const LeaseNote&) = default;
};

}  // namespace liblock::protocol
