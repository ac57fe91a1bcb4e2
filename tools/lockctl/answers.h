// What the daemon answers, as values of our own. Names and commands are any bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/lock_flags.h"
#include "base/lock_mode.h"
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
  std::string mode;  // Held, or waited for by one that holds nothing.
  std::uint64_t token = 0;
  std::uint64_t session = 0;
  std::uint32_t node = 0;
  std::uint32_t pid = 0;
  std::uint32_t uid = 0;
  bool orphaned = false;
  std::string command;
  bool waiting = false;  // With `granted`: it converts.
  std::string wants;     // Waited for.
  base::LockFlags flags = 0;
  std::uint32_t position = 0;  // In its queue, from 1: of conversions, or of requests.
  std::uint32_t since = 0;     // Seconds of 1970; 0: not known.
  std::uint64_t request = 0;   // Names it within its session.
  std::uint64_t owner = 0;     // 0: nobody.
  bool orphan = false;         // Its process has ended, and it stays to be adopted.
};

struct Showing {
  std::string lockspace;
  std::string name;
  std::vector<ShownLock> locks;  // Holders, then the queue.
  bool stale = false;
  std::optional<base::ValueBlock> value{};
  bool value_invalid = false;  // Whoever could write it last did not finish.
  std::uint32_t now = 0;       // Seconds of 1970, when it was asked.
};

// A lock that is part of a deadlock.
struct DeadlockedLock {
  std::uint64_t session = 0;
  std::uint64_t request = 0;
  std::uint32_t node = 0;
  std::uint32_t pid = 0;
  std::string command;
};

struct DeadlockStep {
  DeadlockedLock waits;
  std::string wants;
  DeadlockedLock blocker;
  std::string has;  // Held, or waited for in front.
  std::string lockspace;
  std::string name;
};

struct Deadlock {
  std::uint64_t session = 0;  // Whose request it was that came to nothing.
  std::uint64_t request = 0;
  std::vector<DeadlockStep> steps;  // Each waits for the lock of the next, the last for the first.
  std::size_t steps_in_all = 0;     // Of a longer ring only the first ones are told.
};

struct Deadlocks {
  std::vector<Deadlock> deadlocks;  // The last one first.
};

// All resources where somebody waits.
struct Waits {
  std::vector<Showing> resources;
  std::size_t left_out = 0;  // More than a drawing can show.
};

struct ListedLockspace {
  struct Member {
    std::uint32_t node = 0;
    std::uint32_t slot = 0;
  };
  std::string name;
  std::uint64_t generation = 0;
  bool recovered = true;
  std::vector<Member> members;
  std::vector<Member> failed;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  unsigned permissions = 0;
};

struct Lockspaces {
  std::vector<ListedLockspace> lockspaces;  // By name.
  bool stale = false;
};

// How a step of a barrier ended, the same for all who took part.
struct BarrierOutcome {
  struct Member {
    std::uint64_t session = 0;
    std::uint32_t node = 0;
    std::string value;  // Any bytes.
  };
  struct Lost {
    std::uint64_t session = 0;  // 0: a whole node.
    std::uint32_t node = 0;
  };
  std::string lockspace;
  std::string name;
  std::string ending;  // released, died, timed_out, cancelled or deleted.
  std::uint64_t generation = 0;
  std::uint64_t self = 0;
  std::uint64_t ring_sequence = 0;
  std::uint32_t ring_representative = 0;
  std::uint64_t ring_nonce = 0;
  std::uint64_t membership = 0;  // 0: nobody has joined the lockspace.
  std::vector<Member> members;   // By node, then by session.
  std::vector<Lost> lost;        // The first of them,
  std::uint64_t losses = 0;      // so many.

  bool released() const { return ending == "released"; }
};

struct ListedBarrier {
  struct Round {
    std::uint64_t generation = 0;  // 0: nobody is there.
    std::uint32_t arrived = 0;
    std::uint32_t missing = 0;
  };
  std::string lockspace;
  std::string name;
  std::uint32_t parties = 0;  // 0: all members of the lockspace.
  bool nodes = false;         // That is what is counted, else sessions.
  std::string on_death;
  bool two_steps = false;
  bool kept = false;
  base::Duration patience{0};  // 0: without end.
  Round entering;
  Round inside;
};

struct BarrierListing {
  std::vector<ListedBarrier> barriers;  // By lockspace and name.
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
