// What an EVS instance and its daemon say to each other (liblock/protocol/messages.h).
#pragma once

#include <span>
#include <vector>

#include "base/bytes.h"
#include "liblock/protocol/terms.h"

namespace liblock::protocol {

// The same, both ways, for messages to groups alone.
constexpr std::size_t kEvsFrameBytesMax = 1024 * 1024 + 16 * 1024;

constexpr std::size_t kEvsPayloadBytesMax = 1024 * 1024;
constexpr std::size_t kEvsGroupsMax = 256;  // Of one message, and joined by one instance.

// What an instance may have sent to its daemon that the daemon has not handed to the ring yet, as
// evs_cost() counts it. Room for two of the longest messages, so that one is under way while the
// next comes.
constexpr std::uint64_t kEvsWindow = 2 * kEvsFrameBytesMax;

// ---- Of an instance to its daemon ----

// Numbers of EVS_TYPE_* of the historical API, and of evs::Service.
enum class Guarantee : std::uint8_t { unordered = 0, fifo = 1, agreed = 2, safe = 3 };

// What is delivered after the answer passes the new filter. Both are answered with EvsDone.
struct EvsJoin {
  std::uint32_t query = 0;
  std::vector<GroupKey> groups;  // kEvsGroupsMax in all, or the connection is closed.

  friend bool operator==(const EvsJoin&, const EvsJoin&) = default;
};
struct EvsLeave {
  std::uint32_t query = 0;
  std::vector<GroupKey> groups;

  friend bool operator==(const EvsLeave&, const EvsLeave&) = default;
};

// To whoever joined at least one of these groups, of which there is at least one. Not answered, but
// by an EvsCredit for many. Sent by an instance that has used up its window it ends the connection.
template <typename Groups, typename Payload>
struct BasicEvsMulticast {
  Guarantee guarantee = Guarantee::agreed;
  Groups groups;
  Payload payload;

  friend bool operator==(const BasicEvsMulticast&, const BasicEvsMulticast&) = default;
};

using EvsMulticast = BasicEvsMulticast<std::vector<GroupKey>, base::Buffer>;

// The same, with groups and payload borrowed.
using EvsMulticastView = BasicEvsMulticast<std::span<const GroupKey>, base::Bytes>;

// What a message uses of the window: its bytes, and what it costs to keep it.
constexpr std::uint64_t evs_cost(std::size_t groups, std::size_t payload) {
  return 128 + groups * sizeof(GroupKey) + payload;
}
static_assert(evs_cost(kEvsGroupsMax, kEvsPayloadBytesMax) <= kEvsWindow / 2);

// ---- To an instance ----

// Answer to its Hello. The configuration that stands follows at once.
struct EvsWelcome {
  std::uint16_t version = kVersion;
  Processor self;
  std::uint64_t window = kEvsWindow;

  friend bool operator==(const EvsWelcome&, const EvsWelcome&) = default;
};

// What was delivered before it passed the filter of before.
struct EvsDone {
  std::uint32_t query = 0;

  friend bool operator==(const EvsDone&, const EvsDone&) = default;
};

// So much, as evs_cost() counts it, was handed to the ring since the instance began.
struct EvsCredit {
  std::uint64_t taken = 0;

  friend bool operator==(const EvsCredit&, const EvsCredit&) = default;
};

// A message that passed the filter, in the configuration of the last EvsConfiguration.
template <typename Groups, typename Payload>
struct BasicEvsDelivery {
  Processor sender;
  RingId ring;  // In which it was sent.
  std::uint64_t sequence = 0;
  std::uint32_t index = 0;
  Guarantee guarantee = Guarantee::agreed;
  Groups groups;
  Payload payload;

  friend bool operator==(const BasicEvsDelivery&, const BasicEvsDelivery&) = default;
};

using EvsDelivery = BasicEvsDelivery<std::vector<GroupKey>, base::Buffer>;

// The same, with groups and payload borrowed.
using EvsDeliveryView = BasicEvsDelivery<std::span<const GroupKey>, base::Bytes>;

enum class EvsKind : std::uint8_t { regular = 0, transitional = 1 };

struct EvsConfiguration {
  EvsKind kind = EvsKind::regular;
  RingId ring;
  std::vector<Processor> members;
  std::vector<Processor> left;    // By a transitional one only.
  std::vector<Processor> joined;  // By a regular one only.

  friend bool operator==(const EvsConfiguration&, const EvsConfiguration&) = default;
};

}  // namespace liblock::protocol
