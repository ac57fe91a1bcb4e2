// What a ring member tells the layer above: one ordered stream of deliveries and configuration
// changes.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"

namespace evs {

using base::Buffer;
using base::Instant;
using base::Processor;
using base::RingId;

// unordered and fifo are delivered as agreed, which is stronger.
enum class Service : std::uint8_t { unordered = 0, fifo = 1, agreed = 2, safe = 3 };

// A message, in the configuration announced by the last ConfigurationChange.
struct Delivery {
  Processor sender;

  // The regular configuration in which it was sent, whichever kind it is delivered in.
  RingId ring;

  // Place in the total order of that ring: the packet's number and the message's place in the
  // packet.
  std::uint64_t sequence = 0;
  std::uint32_t index = 0;

  Service service = Service::agreed;
  Buffer payload;
};

enum class ConfigurationKind : std::uint8_t { regular, transitional };

struct Configuration {
  ConfigurationKind kind = ConfigurationKind::regular;
  RingId id;
  std::vector<Processor> members;  // Sorted.

  friend bool operator==(const Configuration&, const Configuration&) = default;
};

// A transitional configuration has the members that go together from one regular configuration to
// the next: `departed` are the others of the old one. The regular one that follows has `joined` on
// top. A restarted or re-admitted node can be in both lists (docs/protocol.md, departures).
struct ConfigurationChange {
  Configuration configuration;
  std::vector<Processor> departed;  // Set in a transitional configuration only.
  std::vector<Processor> joined;    // Set in a regular configuration only.

  // In a transitional configuration: when this member last accepted a token of the ring it leaves,
  // or installed it if no token came. In a regular one: when it was installed.
  Instant last_token;
};

using Event = std::variant<ConfigurationChange, Delivery>;

// What the token proves about the ring that this member is Operational in. Stamps are readings of
// this member's own clocks, taken as rules 6.1 and 6.2 of docs/safety.md ask.
struct TokenEvidence {
  RingId ring;

  // When this member last accepted a token of `ring`, read after it was received; at first the
  // install.
  Instant last_receipt;

  // A time at which this member had not yet released a token that every other member has received
  // since: the stamp of the release before the newest accepted token. None until the token came
  // back once.
  Instant confirmed_release;
  bool confirmed = false;
};

}  // namespace evs
