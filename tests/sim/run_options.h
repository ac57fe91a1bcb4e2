// What one simulated run is like: everything is drawn from its seed, so that a seed names a run.
// Each run has its own mixture of faults, some none of a kind, because faults that always come
// together hide each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/time.h"
#include "tests/sim/virtual_clock.h"

namespace sim {

enum class Workload : std::uint8_t {
  ring,      // Ring members alone, multicasting.
  cluster,   // Whole daemons, with clients that take locks; in some runs others are at barriers.
  barriers,  // Whole daemons, with clients at barriers alone.
};

// What clients do beside taking locks in PR and EX and giving them back; each in some runs only.
struct Traffic {
  bool modes = false;         // All six, and conversions between them.
  bool values = false;        // Value blocks, read and written by conversions and releases.
  bool cached = false;        // Locks are kept until somebody waits for them.
  bool transactions = false;  // Several locks in any order, by an owner who waits for each.
  bool several = false;       // Several at one moment.
  bool orphans = false;       // Locks that outlive their process, are adopted and dropped.
  bool lockspaces = false;    // One that is joined and left.
  bool patience = false;      // Waits end by time.
  bool jumps = false;         // Flags with which some overtake others.
  bool force = false;         // What waits is released by force.

  bool plain() const {
    return !modes && !values && !cached && !transactions && !several && !orphans && !lockspaces;
  }
};

struct RunOptions {
  std::uint64_t seed = 0;
  Workload workload = Workload::ring;
  std::size_t nodes = 3;
  Duration faulty_time{};  // How long faults go on, before everything heals.

  // Of a thousand datagrams.
  std::uint32_t loss = 0;
  std::uint32_t duplication = 0;
  std::uint32_t straggling = 0;  // Delayed far beyond the others.
  std::uint32_t attack = 0;      // Each datagram sent lets the attacker replay or forge one.

  Duration delay_min{};
  Duration delay_max{};
  Duration straggle_max{};

  // Mean time between faults of a kind; zero for none.
  Duration partition_every{};
  Duration crash_every{};
  Duration pause_every{};
  Duration client_fault_every{};
  Duration message_every{};

  bool one_way_cuts = false;
  bool strike_at_delivery = false;  // A fault right after a safe delivery or an install is likely.
  std::uint32_t drift_ppm = 0;      // Each node's clocks run up to this much fast or slow.
  bool small_windows = false;
  bool adjacency = false;             // Partitions are any set of directed links.
  Duration flap_every{};              // How long one link stays up, and down, between other faults.
  bool core = false;                  // At the end some nodes do not heal: the others come to rest.
  bool numbers_near_32_bits = false;  // Packets and rings are counted from just below 2^32.
  bool multicast = false;             // What is for several nodes reaches all, the sender too.

  Clocks clocks = Clocks::drift;

  // Nothing goes wrong but what a ring has to bear: a little loss, copies, stragglers, an attacker.
  bool faultless = false;

  // Of runs with daemons.
  Duration lease{};
  Duration lease_margin{};
  bool witness = false;  // The last node is one.
  bool slow_disks = false;
  bool sluggish_disks = false;  // Every write is slow.
  bool blackouts = false;       // A crash now and then takes all nodes at once.
  bool farewells = false;       // A node that goes down often leaves in good order.
  bool disk_loss = false;       // The first node that crashes comes back without a record.
  std::size_t clients = 0;      // In all, spread over the machines.
  Traffic traffic;
  std::size_t barrier_clients = 0;  // Beside them.
  bool large_messages = false;

  // Our own reasoning is checked too; switched off where a planted bug is to be found by a judge.
  bool check_invariants = true;

  static RunOptions from_seed(std::uint64_t seed);

  // Another one than the seed has drawn.
  void set_workload(Workload other);

  bool with_daemons() const { return workload != Workload::ring; }
  std::string to_string() const;
};

}  // namespace sim
