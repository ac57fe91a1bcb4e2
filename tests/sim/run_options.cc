#include "tests/sim/run_options.h"

#include <algorithm>
#include <chrono>

#include "base/random.h"

namespace sim {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::size_t kNodesWithDaemonsMax = 8;

// A datagram of a large ring goes to all its members, and each of them answers: large rings are
// rare, short and without daemons, so that they cost no more than the others together.
void draw_size(RunOptions& o, base::Random& random) {
  if (random.chance(1, 16)) {
    o.nodes = random.between(std::uint64_t{6}, std::uint64_t{8});
  } else if (o.workload == Workload::ring && random.chance(1, 20)) {
    o.nodes = random.between(std::uint64_t{9}, std::uint64_t{32});
    o.faulty_time = std::min<Duration>(o.faulty_time, milliseconds(1500));
    o.message_every = std::max<Duration>(o.message_every, milliseconds(20));
    o.large_messages = false;
  }
}

// Whether the wait is long enough shows where clocks are at the bound and clients use up their
// lease: a margin hides that the one ends before the other.
void draw_clocks(RunOptions& o, base::Random& random) {
  const std::uint64_t kind = random.below(8);
  if (kind < 3) o.clocks = Clocks::at_bound;
  if (kind == 3 || kind == 4) o.clocks = Clocks::one_far;
  if (kind == 5 && random.chance(1, 3)) o.clocks = Clocks::astray;
  if (random.chance(1, 3)) o.lease_margin = o.lease / 10;
}

// A third of the runs have only PR and EX: conflicts on few locks are what shows most mistakes in
// the order and in leases.
void draw_traffic(RunOptions& o, base::Random& random) {
  const bool plain = random.chance(1, 3);
  Traffic& t = o.traffic;
  for (bool* kind : {&t.modes, &t.values, &t.cached, &t.transactions, &t.several, &t.orphans,
                     &t.lockspaces, &t.patience}) {
    *kind = random.chance(1, 3) && !plain;
  }
  t.jumps = random.chance(1, 4) && !plain;
  t.force = random.chance(1, 6) && !plain;
}

std::string to_string(const Traffic& traffic) {
  std::string text;
  text += traffic.modes ? " modes" : "";
  text += traffic.values ? " values" : "";
  text += traffic.cached ? " cached" : "";
  text += traffic.transactions ? " transactions" : "";
  text += traffic.several ? " several" : "";
  text += traffic.orphans ? " orphans" : "";
  text += traffic.lockspaces ? " lockspaces" : "";
  text += traffic.patience ? " patience" : "";
  text += traffic.jumps ? " jumps" : "";
  text += traffic.force ? " force" : "";
  return text;
}

void take_faults_away(RunOptions& o) {
  o.faultless = true;
  o.loss = std::min(o.loss, 20u);
  o.straggle_max = std::min<Duration>(o.straggle_max, milliseconds(100));
  o.partition_every = o.crash_every = o.pause_every = o.client_fault_every = Duration(0);
  o.flap_every = Duration(0);
  o.strike_at_delivery = o.core = o.disk_loss = false;
  if (o.clocks == Clocks::astray) o.clocks = Clocks::drift;
}

}  // namespace

RunOptions RunOptions::from_seed(std::uint64_t seed) {
  base::Random random(seed ^ 0x72696e676c6f636bu);
  RunOptions o;
  o.seed = seed;
  o.nodes = random.chance(1, 12) ? random.between(std::uint64_t{1}, std::uint64_t{8})
                                 : random.between(std::uint64_t{3}, std::uint64_t{5});
  o.faulty_time = random.between(milliseconds(1000), milliseconds(5000));
  if (random.chance(2, 3)) {
    o.loss = static_cast<std::uint32_t>(random.below(random.chance(1, 4) ? 300 : 60));
  }
  if (random.chance(1, 2)) o.duplication = static_cast<std::uint32_t>(random.below(100));
  if (random.chance(1, 2)) o.straggling = static_cast<std::uint32_t>(random.below(40));
  if (random.chance(1, 2)) o.attack = static_cast<std::uint32_t>(random.below(50));
  o.delay_min = random.between(microseconds(30), microseconds(400));
  o.delay_max = o.delay_min + random.between(microseconds(0), microseconds(2000));
  o.straggle_max = random.between(milliseconds(2), milliseconds(400));
  if (random.chance(4, 5))
    o.partition_every = random.between(milliseconds(100), milliseconds(1500));
  if (random.chance(1, 2)) o.crash_every = random.between(milliseconds(300), milliseconds(4000));
  if (random.chance(1, 2)) o.pause_every = random.between(milliseconds(200), milliseconds(3000));
  o.message_every = random.chance(1, 10) ? random.between(microseconds(300), milliseconds(2))
                                         : random.between(milliseconds(4), milliseconds(60));
  o.workload = random.chance(1, 4) ? Workload::ring : Workload::cluster;
  o.lease = random.between(milliseconds(600), milliseconds(1500));
  o.witness = o.nodes >= 3 && random.chance(1, 6);
  o.slow_disks = random.chance(1, 4);
  o.blackouts = random.chance(1, 4);
  o.clients = random.between(std::uint64_t{1}, std::uint64_t{6});
  o.one_way_cuts = random.chance(1, 3);
  o.strike_at_delivery = random.chance(1, 2);
  if (random.chance(3, 4)) o.drift_ppm = static_cast<std::uint32_t>(random.below(10000));
  o.small_windows = random.chance(1, 4);
  o.large_messages = !o.small_windows && random.chance(1, 8);
  if (random.chance(1, 2)) {
    o.client_fault_every = random.between(milliseconds(100), milliseconds(2000));
  }
  // The others have to be a majority.
  o.disk_loss = o.nodes >= 3 && random.chance(1, 6);
  o.multicast = random.chance(1, 4);
  draw_size(o, random);
  o.adjacency = random.chance(1, 5);
  if (random.chance(1, 6)) o.flap_every = random.between(milliseconds(5), milliseconds(400));
  // Who lost its record can not vote, and the core has to be a majority.
  o.core = o.nodes > 1 && !o.disk_loss && random.chance(1, 4);
  o.numbers_near_32_bits = random.chance(1, 8);
  draw_clocks(o, random);
  o.sluggish_disks = o.slow_disks && random.chance(1, 2);
  o.farewells = random.chance(1, 3);
  if (random.chance(1, 16)) take_faults_away(o);
  draw_traffic(o, random);
  const bool barriers = o.with_daemons() && random.chance(1, 3);
  if (barriers) o.barrier_clients = random.between(std::uint64_t{2}, std::uint64_t{6});
  return o;
}

void RunOptions::set_workload(Workload other) {
  if (other == Workload::barriers) {
    if (barrier_clients == 0) barrier_clients = clients + 1;
    clients = 0;
    nodes = std::min(nodes, kNodesWithDaemonsMax);
  }
  workload = other;
}

std::string RunOptions::to_string() const {
  const auto ms = [](Duration d) {
    return std::to_string(std::chrono::duration<double, std::milli>(d).count()).substr(0, 6);
  };
  std::string text = "seed=" + std::to_string(seed);
  text += workload == Workload::ring      ? " workload=ring"
          : workload == Workload::cluster ? " workload=cluster"
                                          : " workload=barriers";
  text += " nodes=" + std::to_string(nodes);
  text += " faulty_ms=" + ms(faulty_time);
  text += " loss=" + std::to_string(loss) + " duplication=" + std::to_string(duplication);
  text += " straggling=" + std::to_string(straggling) + " attack=" + std::to_string(attack);
  text += " delay_ms=" + ms(delay_min) + ".." + ms(delay_max);
  text += " partition_ms=" + ms(partition_every) + " crash_ms=" + ms(crash_every);
  text += " pause_ms=" + ms(pause_every) + " message_ms=" + ms(message_every);
  if (with_daemons()) {
    text += " lease_ms=" + ms(lease) + " clients=" + std::to_string(clients);
    text += " client_fault_ms=" + ms(client_fault_every);
    text += disk_loss ? " disk-loss" : "";
    text += witness ? " witness" : "";
    text += sluggish_disks ? " sluggish-disks" : slow_disks ? " slow-disks" : "";
    text += blackouts ? " blackouts" : "";
    text += lease_margin > Duration(0) ? " margin" : "";
    text += sim::to_string(traffic);
    if (barrier_clients > 0) text += " barrier-clients=" + std::to_string(barrier_clients);
  }
  text += farewells ? " farewells" : "";
  text += faultless ? " faultless" : "";
  text += one_way_cuts ? " one-way" : "";
  text += strike_at_delivery ? " striking" : "";
  text += " drift_ppm=" + std::to_string(drift_ppm);
  text += clocks == Clocks::at_bound  ? " clocks-at-bound"
          : clocks == Clocks::one_far ? " one-clock-far"
          : clocks == Clocks::astray  ? " clocks-astray"
                                      : "";
  text += multicast ? " multicast" : "";
  text += adjacency ? " adjacency" : "";
  if (flap_every > Duration(0)) text += " flap_ms=" + ms(flap_every);
  text += core ? " core" : "";
  text += numbers_near_32_bits ? " numbers-near-32-bits" : "";
  text += small_windows ? " small-windows" : "";
  text += large_messages ? " large-messages" : "";
  return text;
}

}  // namespace sim
