// What the daemon answers, as values of our own. Names and commands are any bytes.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"

namespace tools::lockctl {

struct ListedLock {
  std::string lockspace;
  std::string name;
  std::string mode;  // Of the strongest holder; token, node and command are the first one's.
  std::uint32_t granted = 0;
  std::uint32_t waiting = 0;
  std::uint64_t token = 0;
  std::uint32_t node = 0;
  bool orphaned = false;
  std::string command;
};

struct Listing {
  std::vector<ListedLock> locks;  // Sorted.
  bool stale = false;             // Without a quorum: what was known last.
};

struct ShownLock {
  bool granted = false;
  std::string mode;
  std::uint64_t token = 0;
  std::uint64_t session = 0;
  std::uint32_t node = 0;
  std::uint32_t pid = 0;
  std::uint32_t uid = 0;
  bool orphaned = false;
  std::string command;
};

struct Showing {
  std::string lockspace;
  std::string name;
  std::vector<ShownLock> locks;  // Holders, then the queue.
  bool stale = false;
};

struct Status {
  std::string cluster;
  std::string daemon;
  std::string state;
  std::uint32_t node = 0;
  bool primary = false;
  bool voter = false;
  std::uint64_t epoch = 0;
  std::uint64_t ring_sequence = 0;
  std::uint32_t ring_representative = 0;
  std::uint64_t ring_nonce = 0;
  std::uint32_t votes = 0;
  std::uint32_t quorum = 0;
  std::uint32_t votes_configured = 0;
  std::uint32_t holders = 0;
  base::Duration lease{0};
  std::uint64_t sessions = 0;
  std::uint64_t resources = 0;
  std::uint64_t locks = 0;
  std::uint64_t waiting = 0;
  std::uint64_t orphaned = 0;
  std::vector<std::pair<std::string, std::uint64_t>> counters;
};

struct EvsRing {
  std::uint64_t sequence = 0;
  std::uint32_t representative = 0;
  std::uint64_t nonce = 0;
};

// One configured node, as the ring member of the daemon sees it.
struct RingPeer {
  std::uint32_t node = 0;
  bool self = false;
  std::uint64_t incarnation = 0;  // 0: not a member.
  std::uint64_t acknowledged = 0;
  bool heard = false;
  base::Duration heard_ago{0};
  bool barred = false;
  std::uint16_t key = 0;  // 0: not heard.
};

struct RingStatus {
  std::string state;
  EvsRing id;
  base::Duration rotation{0};
  base::Duration rotation_average{0};
  base::Duration rotation_longest{0};
  std::uint64_t highest = 0;
  std::uint64_t received = 0;
  std::uint64_t stable = 0;
  std::uint64_t delivered = 0;
  std::uint64_t stored = 0;
  std::uint64_t waiting_messages = 0;
  std::uint64_t waiting_bytes = 0;
  std::uint64_t waiting_bytes_max = 0;
  std::uint64_t waiting_datagrams = 0;
  std::uint32_t personal_window = 0;
  std::uint32_t rotation_window = 0;
  std::uint32_t accelerated_window = 0;
  std::uint32_t outstanding_max = 0;
  std::vector<RingPeer> peers;
};

// How much of it people want to read; JSON has it all.
struct FullStatus {
  Status status;
  RingStatus ring;
  bool only_ring = false;
  bool counters = false;
};

struct RingEvent {
  std::uint64_t number = 0;
  base::Duration ago{0};
  base::Duration lasted{0};
  std::uint32_t times = 1;
  std::string event;
  EvsRing ring;
  std::uint32_t node = 0;  // 0: nobody.
  std::string text;
};

struct RingLog {
  std::vector<RingEvent> events;  // Oldest first.
};

struct Member {
  std::uint32_t node = 0;
  std::uint64_t incarnation = 0;
  std::uint32_t votes = 0;
  bool witness = false;
  bool self = false;
  std::string state;
  std::string address;
};

// What a key file has, without the secrets.
struct KeyListing {
  std::string file;
  std::vector<std::uint16_t> ids;
  std::uint16_t in_use = 0;
};

// Which key each node seals with, as one daemon hears it.
struct KeyUse {
  struct Node {
    std::uint32_t node = 0;
    bool self = false;
    std::uint16_t key = 0;  // 0: not heard.
  };
  std::vector<Node> nodes;
};

struct EvsProcessor {
  std::uint32_t node = 0;
  std::uint64_t incarnation = 0;
};

struct EvsMessage {
  EvsProcessor sender;
  EvsRing ring;
  std::uint64_t sequence = 0;
  std::uint32_t index = 0;
  std::string guarantee;
  std::vector<std::string> groups;  // Without the zeros at the end.
  std::string bytes;
};

struct EvsConfiguration {
  bool transitional = false;
  EvsRing ring;
  std::vector<EvsProcessor> members;
  std::vector<EvsProcessor> left;
  std::vector<EvsProcessor> joined;
};

struct WhyMember {
  EvsProcessor processor;
  bool came = false;  // Else it left.
  std::string why;
};

// Why the configuration changed once.
struct Why {
  EvsRing ring;
  base::Duration ago{0};
  base::Duration took{0};  // 0: not known.
  std::string trigger;
  std::vector<std::uint32_t> nodes;
  std::vector<WhyMember> changes;
};

struct Reasons {
  std::vector<Why> changes;  // The last one first. None: nothing has changed yet.
  bool all = false;          // More than the last one was asked for.
};

struct EvsMembers {
  EvsProcessor self;
  EvsConfiguration configuration;
};

}  // namespace tools::lockctl
