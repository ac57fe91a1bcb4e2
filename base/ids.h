// Names of things that more than one layer speaks of. Each is a type of its own, so that a node can
// not be passed where a session is meant.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

namespace base {

// A configured machine: 1 to 4294967295, unique in its cluster.
enum class NodeId : std::uint32_t {};

// One life of a node, from start to end: random, drawn at start. A restarted node has another one.
enum class Incarnation : std::uint64_t {};

// A node in one of its lives. Members of configurations are processors.
struct Processor {
  NodeId node{};
  Incarnation incarnation{};

  friend auto operator<=>(const Processor&, const Processor&) = default;
};

// A configuration's name, unique for ever: the sequence grows at each processor while it lives, the
// nonce is random, so nothing has to be kept on disk. Regular and transitional configurations have
// different ids.
struct RingId {
  std::uint64_t sequence = 0;
  NodeId representative{};
  std::uint64_t nonce = 0;

  friend auto operator<=>(const RingId&, const RingId&) = default;
};

// A client's identity, which outlives its connection. Drawn from the same growing counter as
// fencing tokens, so an id is never used twice.
enum class SessionId : std::uint64_t {};

// Number of a request within its session: 1, 2, 3, ...
enum class RequestId : std::uint64_t {};

// Fencing token of a grant: unique and growing, across ring changes and total restarts. 0 is none.
enum class Token : std::uint64_t {};

// Names a group of processes on any nodes: 32 bytes, compared as they are.
struct GroupKey {
  std::array<std::byte, 32> bytes{};

  friend auto operator<=>(const GroupKey&, const GroupKey&) = default;
};

template <typename Id>
constexpr auto value(Id id) {
  return static_cast<std::underlying_type_t<Id>>(id);
}

// Of a request for several locks each part has a number: the request's own and those after it.
constexpr RequestId part_of(RequestId request, std::size_t part) {
  return RequestId{value(request) + part};
}

// Text for people and logs, e.g. "3", "3:9f2c", "14.1:7be0".
std::string to_string(NodeId node);
std::string to_string(const Processor& processor);
std::string to_string(const RingId& ring);

}  // namespace base
