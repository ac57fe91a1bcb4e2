// What replicas say to each other through the ring, as values and as bytes. Each message names the
// regular configuration it was made for; ordered in another one it is dropped by all [rule 6.11].
// The grammar is docs/wire.md, "Messages of the replicas"; what they mean is docs/safety.md.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"
#include "lockd/epoch.h"
#include "lockd/lineage.h"
#include "lockd/record.h"
#include "lockd/state.h"

namespace lockd {

using base::RingId;

// What a node on whose disk a valid record lies has promised.
struct RecordClaim {
  RecordRole role = RecordRole::voter;
  Epoch last_active;
  std::vector<Attempt> attempts;
  std::uint64_t token_ceiling = 0;
  base::Duration lease_max{0};
};

// A complete table that a node holds.
struct TableClaim {
  Label label;
  std::uint64_t position = 0;  // Deliveries that the table of this label stands for.
  std::uint64_t digest = 0;
  std::uint64_t next_token = 0;
  base::Duration longest_lease{0};
  std::vector<Departure> departures;
};

// An ACTIVATE that a processor delivered. `regular`: in a regular configuration, so the epoch was
// active.
struct Delivered {
  Attempt attempt;
  bool regular = false;
};

// At most this many ACTIVATEs are remembered; see Exchange::forgotten.
constexpr std::size_t kDeliveredMax = 8;

struct Exchange {
  std::uint64_t fingerprint = 0;  // ReplicaConfig::fingerprint().
  base::Duration lease{0};        // That its clients will be promised.
  std::optional<RecordClaim> record;
  std::optional<TableClaim> table;
  std::vector<Delivered> delivered;

  // The sender may have delivered ACTIVATEs up to this number that it does not list: it refutes
  // none of them.
  std::uint64_t forgotten = 0;
};

// The sender's record is durable with the attempt of this ring and this token base
// [rules 6.17, 7.C].
struct Persisted {
  std::uint64_t token_base = 0;
};

struct Activate {
  std::uint64_t number = 0;    // With the message's ring: the epoch.
  std::optional<Label> donor;  // None: a cold start.
  std::vector<Departure> departures;
  std::vector<base::Processor> voters;  // Those that count: they have written.
  std::uint64_t token_base = 0;
  base::Duration lease_max{0};   // The longest lease promised from now on or before.
  base::Duration cold_lease{0};  // The longest one promised before: what a cold start waits for.

  friend bool operator==(const Activate&, const Activate&) = default;
};

// A Command, with the sender's own number for it.
struct Ordered {
  std::uint64_t number = 0;
  Command command;
};

// A snapshot is named by the ring of its SNAPSHOT and its server's count.
struct SnapshotId {
  RingId ring;
  std::uint64_t number = 0;

  friend bool operator==(const SnapshotId&, const SnapshotId&) = default;
};

// A newcomer wants the table: from the beginning, or the rest of one it has already.
struct Want {
  struct Rest {
    SnapshotId id;
    std::uint64_t offset = 0;
  };
  std::optional<Rest> rest;
};

// Its place in the order fixes the image; every newcomer without a staging begins one [rule 7.B3].
struct Snapshot {
  std::uint64_t number = 0;
};

struct Chunk {
  SnapshotId id;
  std::uint64_t digest = 0;  // Of the whole state.
  bool last = false;         // With it the image is complete; it alone may be empty.
  std::uint64_t offset = 0;
  base::Buffer bytes;
};

// The sender's staged table is complete; it holds it from here on in the order.
struct Ready {
  SnapshotId id;
  std::uint64_t digest = 0;
};

// The digest of the sender's table after this many steps of the epoch.
struct DigestVote {
  std::uint64_t step = 0;
  std::uint64_t digest = 0;
};

// Fencing tokens up to here shall be told once a majority of votes has written RAISED.
struct Raise {
  std::uint64_t token_ceiling = 0;
};
struct Raised {
  std::uint64_t token_ceiling = 0;
};

struct RingMessage {
  using Body = std::variant<Exchange, Persisted, Activate, Ordered, Want, Snapshot, Chunk, Ready,
                            DigestVote, Raise, Raised>;

  RingId ring;
  Body body;
};

base::Buffer encode(const RingMessage& message);

// The same of an Ordered whose command is encoded already.
base::Buffer encode_ordered(const RingId& ring, std::uint64_t number, base::Bytes command);

// The message that is exactly these bytes, or nothing if they are none.
std::optional<RingMessage> decode_ring_message(base::Bytes bytes);

}  // namespace lockd
