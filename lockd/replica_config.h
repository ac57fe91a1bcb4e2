// What the replica must be told before it starts. Nodes and votes must be the same on every node of
// a cluster; the limits and intervals are this node's own.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "lockd/record.h"
#include "lockd/state.h"

namespace lockd {

using base::Duration;

struct ReplicaNode {
  base::NodeId id{};
  std::uint32_t votes = 1;

  // Votes, keeps a record and the table, and serves no clients.
  bool witness = false;
};

struct ReplicaConfig {
  ClusterId cluster{};
  base::NodeId self{};

  // Every configured node, self included, sorted by id and without repetition.
  std::vector<ReplicaNode> nodes;

  // Part of the replicated behaviour: must be the same on every node.
  StateLimits state_limits;

  // L: a client may rely on its locks this long after a token's release that every member has heard
  // since.
  Duration lease = std::chrono::seconds(2);

  // C: the longest time from a client's last look at its deadline to the last effect of what it
  // guards.
  Duration lease_margin = std::chrono::milliseconds(200);

  // rho, in millionths: no clock that leases rest upon runs faster or slower than true time by
  // more.
  std::uint32_t clock_drift_ppm = 1000;

  // A voter that has not written its record this long after the choice is an observer in the epoch.
  Duration persist_timeout = std::chrono::milliseconds(500);

  // A digest of the table is compared after this many deliveries.
  std::uint64_t digest_interval = 1024;

  // Seconds from 1970 to the zero of the boot clock, by the wall clock as it was at start: for
  // people who ask since when a lock is held.
  std::uint32_t booted_at = 0;

  // Fencing tokens reserved by an activation; more are reserved when half of them are used.
  std::uint64_t token_range = std::uint64_t{1} << 32;

  // Commands of local sessions that may be under way; submit() answers try_again above it.
  std::size_t commands_max = 4096;
  std::size_t command_bytes_max = 4 * 1024 * 1024;

  // A snapshot travels in chunks of this size, this many under way at a time.
  std::size_t chunk_bytes = 16 * 1024;
  std::size_t chunks_under_way = 4;

  // What a newcomer logs of the order while it loads; above it the transfer starts anew.
  std::size_t staging_log_bytes_max = 16 * 1024 * 1024;

  // And when it has loaded, it replays of that about as much at a time as makes so many changes.
  std::size_t replay_step = 1024;

  // EXPIRE and PURGE steps, and time-outs of barriers, of this node that may be under way.
  std::size_t housekeeping_under_way = 16;

  // The time-out of a step of a barrier is ordered once more after this, if it has not come to be.
  Duration barrier_time_out_again = std::chrono::seconds(1);

  // Effects for local sessions held until they may be told. Above it submit() answers try_again.
  std::size_t held_effects_max = 16384;

  // Witnesses of an orphan order its EXPIRE one after another, this far apart, so that usually one
  // does.
  Duration expire_stagger = std::chrono::milliseconds(20);

  // The first thing wrong with these values, naming the field; or nothing.
  base::Result<void, std::string> validate() const;

  std::uint32_t votes_of(base::NodeId node) const;  // 0 for a stranger.
  std::uint32_t majority() const;                   // Votes that are more than half of all.

  // A number that is equal on nodes whose clusters, nodes, votes and state limits are.
  std::uint64_t fingerprint() const;

  // W for leases of this length: lease (1 + rho) / (1 - rho), rounded up [docs/safety.md, the
  // inequality].
  Duration wait_for(Duration lease_promised) const;
};

}  // namespace lockd
