#include "tests/sim/world.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

namespace sim {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// After everything healed: how long the workload goes on, how often we look whether the run came to
// rest, and when it should have.
constexpr Duration kTrafficAfterHeal = milliseconds(300);
constexpr Duration kRestStep = milliseconds(250);
constexpr Duration kRestBound = seconds(30);

// Looks for which a cluster is whole before those who still wait in it are given up; longer than
// any lease.
constexpr int kSettledLooks = 40;

// Bytes a member; more would not be sent before the run has to rest.
constexpr std::size_t kBacklogOfSmallWindows = 128 * 1024;

constexpr evs::TraceEvent kMembershipEvents[] = {
    evs::TraceEvent::enter_gather,         evs::TraceEvent::enter_commit,
    evs::TraceEvent::enter_recovery,       evs::TraceEvent::recovered,
    evs::TraceEvent::install_transitional, evs::TraceEvent::token_lost};

}  // namespace

World::World(const RunOptions& options, bool trace)
    : options_(options),
      trace_(trace),
      random_(options.seed),
      network_(options_, random_.fork()),
      lock_checker_(options.nodes, options.clocks != Clocks::astray),
      barrier_checker_(VirtualClock::fastest_ppm(options.clocks, options.drift_ppm),
                       options.faultless),
      deferred_(options.nodes),
      wire_tap_(lock_checker_, barrier_checker_),
      core_(options.nodes, true),
      gone_(options.nodes, false) {
  for (std::size_t i = 0; i < options_.nodes; ++i) {
    machines_.push_back(
        std::make_unique<Machine>(i, options_, random_.fork(), seal_checker_, *this));
  }
  lock_checker_.set_listener(&barrier_checker_);
  if (options_.barrier_clients > 0) {
    barrier_plan_ =
        BarrierPlan::draw(random_, options_.barrier_clients, serving(), options_.traffic.force);
  }
  for (std::size_t i = 0; with_daemons() && i < options_.clients + options_.barrier_clients; ++i) {
    clients_.push_back(new_client(i));
  }
  deferred_clients_.resize(clients_.size());
  pipe_times_.resize(clients_.size());
  // A crash at each step of the membership protocol is planned, over the seeds, one after the
  // other.
  if (options_.crash_every > Duration(0)) {
    crash_at_ = kMembershipEvents[options_.seed % std::size(kMembershipEvents)];
  }
}

World::~World() = default;

RunResult World::run() {
  if (trace_) std::printf("%s\n", options_.to_string().c_str());
  for (std::size_t i = 0; i < machines_.size(); ++i) restart(i);
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    after_client(i);
    queue_.push(now_ + random_.between(milliseconds(1), milliseconds(300)), Happening::client_acts,
                i);
  }
  if (!with_daemons()) schedule(Happening::message, options_.message_every);
  schedule(Happening::partition, options_.partition_every);
  schedule(Happening::flap, options_.flap_every);
  schedule(Happening::crash, options_.crash_every);
  schedule(Happening::pause, options_.pause_every);
  if (!clients_.empty()) {
    schedule(Happening::client_pause, options_.pause_every);
    schedule(Happening::client_fault, options_.client_fault_every);
  }
  queue_.push(options_.faulty_time, Happening::heal, 0);

  const Duration traffic = with_daemons() ? 2 * options_.lease : kTrafficAfterHeal;
  Duration look_at = options_.faultless ? kRestStep : options_.faulty_time + kRestStep;
  int restful = 0;
  bool rested = false;
  while (!queue_.empty() && violations_.empty() && !lock_checker_.violated() &&
         !barrier_checker_.violated() && !seal_checker_.violation()) {
    if (queue_.next_at() > look_at) {
      look();
      if (look_at <= options_.faulty_time + traffic) {
        look_at += kRestStep;
        continue;
      }
      if (traffic_) {
        traffic_ = false;
        for (auto& client : clients_) client->wind_down();
        whole_for_ = 0;
      }
      tidy_up();
      restful = at_rest() ? restful + 1 : 0;
      if (restful == 3) {
        rested = true;
        break;
      }
      const bool settled = !options_.core && whole_for_ >= kSettledLooks;
      if (settled || look_at > options_.faulty_time + kRestBound) break;
      look_at += kRestStep;
      continue;
    }
    Occurrence next = queue_.pop();
    now_ = next.at;
    ++events_;
    step(std::move(next));
  }
  if (!rested && !options_.core && whole_for_ >= kSettledLooks) {
    lock_checker_.settled(now_);
    barrier_checker_.settled(now_);
  }
  std::vector<Violation> found = std::move(violations_);
  for (Violation& violation : barrier_checker_.violations()) found.push_back(std::move(violation));
  for (Violation& violation : lock_checker_.finish()) found.push_back(std::move(violation));
  std::vector<std::vector<base::Processor>> components;
  if (rested && options_.core) {
    components.emplace_back();
    for (std::size_t i : resting()) components.back().push_back(machines_[i]->processor());
  }
  for (Violation& violation : evs_checker_.finish(rested, components)) {
    found.push_back(std::move(violation));
  }
  if (seal_checker_.violation()) found.push_back({"seal", *seal_checker_.violation()});
  if (found.empty() && !rested) {
    found.push_back({kRest, "healed and without traffic, the run did not come to rest"});
  }
  collect_coverage();
  return {std::move(found), now_, events_, std::move(coverage_)};
}

void World::collect_coverage() {
  if (options_.nodes > 8) coverage_.add("size.over_8");
  if (options_.nodes > 24) coverage_.add("size.over_24");
  if (options_.clocks == Clocks::at_bound) coverage_.add("clocks.at_bound");
  if (options_.clocks == Clocks::one_far) coverage_.add("clocks.one_far");
  if (options_.clocks == Clocks::astray) coverage_.add("clocks.astray");
  for (const auto& machine : machines_) {
    if (!machine->running()) continue;
    const evs::Statistics& s = machine->node().statistics();
    coverage_.add("ring.installs", s.installs);
    if (machine->node().regular().id.sequence >> 32 != 0)
      coverage_.add("numbers.ring_over_32_bits");
    coverage_.add("ring.safe_delivered_regular", s.safe_delivered_regular);
    coverage_.add("ring.delivered_transitional", s.delivered_transitional);
    coverage_.add("ring.delivered_beyond_gap", s.delivered_beyond_gap);
    coverage_.add("ring.recoveries_failed", s.recoveries_failed);
    coverage_.add("ring.recoveries_with_obligation", s.recoveries_with_obligation);
    coverage_.add("ring.obligations_outside_transitional", s.obligations_outside_transitional);
    coverage_.add("ring.packets_retransmitted", s.packets_retransmitted);
    coverage_.add("ring.token_retransmissions", s.token_retransmissions);
    coverage_.add("ring.tokens_refused", s.tokens_refused);
    coverage_.add("ring.failures_to_receive", s.failures_to_receive);
    coverage_.add("ring.failures_forced", s.failures_forced);
    coverage_.add("ring.strangers_barred", s.strangers_barred);
    coverage_.add("ring.acknowledgements_sent", s.acknowledgements_sent);
    coverage_.add("ring.safe_by_acknowledgement", s.safe_by_acknowledgement);
    const auto& opener = machine->opener();
    coverage_.add("seal.replays_refused", opener.refused(evs::net::Refusal::replayed));
    coverage_.add("seal.forgeries_refused", opener.refused(evs::net::Refusal::forged));
    coverage_.add("seal.unproved_refused", opener.refused(evs::net::Refusal::unproved));
    if (!with_daemons()) continue;
    const lockd::ReplicaStatistics& r = machine->daemon().replica().statistics();
    coverage_.add("replica.activations", r.activations);
    coverage_.add("replica.activations_in_transition", r.activations_in_transition);
    coverage_.add("replica.cold_starts", r.cold_starts);
    coverage_.add("replica.snapshots_loaded", r.snapshots_loaded);
    coverage_.add("replica.snapshots_restarted", r.snapshots_restarted);
    coverage_.add("replica.stagings_kept", r.stagings_kept);
    coverage_.add("replica.held_told", r.held_told);
    coverage_.add("replica.held_discarded", r.held_discarded);
    coverage_.add("replica.applied_in_transition", r.applied_in_transition);
    coverage_.add("replica.before_activate_ignored", r.before_activate_ignored);
    coverage_.add("replica.resent", r.resent);
    coverage_.add("replica.orphans_marked", r.orphans_marked);
    coverage_.add("replica.orphans_expired", r.orphans_expired);
    coverage_.add("replica.orphans_resumed", r.orphans_resumed);
    coverage_.add("replica.attempts_refuted", r.attempts_refuted);
    coverage_.add("replica.observers", r.observers);
    coverage_.add("replica.digest_comparisons", r.digest_comparisons);
    coverage_.add("replica.renewals", r.renewals);
    coverage_.add("replica.ceilings_raised", r.ceilings_raised);
  }
  for (const auto& client : clients_) count(*client);
}

void World::count(const Client& client) {
  coverage_.add("client.grants", client.grants);
  coverage_.add("client.losses", client.losses);
  coverage_.add("client.conversions", client.conversions);
  coverage_.add("client.conversion_deadlocks", client.deadlocks);
  coverage_.add("client.adoptions", client.adoptions);
  coverage_.add("client.blocks", client.blocks);
  coverage_.add("client.lockspace_changes", client.lockspace_changes);
}

void World::step(Occurrence occurrence) {
  if (occurrence.what <= Happening::client_gone) {
    Machine& machine = *machines_[occurrence.node];
    if (!machine.running()) return;
    if (machine.paused) {
      deferred_[occurrence.node].push_back(std::move(occurrence));
      return;
    }
    to_machine(occurrence);
  } else if (occurrence.what <= Happening::client_acts) {
    if (clients_[occurrence.node]->paused) {
      deferred_clients_[occurrence.node].push_back(std::move(occurrence));
      return;
    }
    to_client(occurrence);
  } else {
    to_world(occurrence);
  }
}

void World::to_machine(const Occurrence& occurrence) {
  Machine& machine = *machines_[occurrence.node];
  acting_ = occurrence.node;
  const lockd::ConnectionId connection{occurrence.number};
  switch (occurrence.what) {
    case Happening::datagram:
      machine.receive(now_, occurrence.bytes);
      break;
    case Happening::timer:
      if (occurrence.number != machine.timer_number) return;
      machine.handle_timeout(now_);
      break;
    case Happening::record_written:
      machine.record_written(now_, occurrence.number);
      break;
    case Happening::client_bytes:
      machine.client_bytes(now_, connection, occurrence.bytes);
      break;
    case Happening::client_broken:
      machine.client_gone(now_, connection, lockd::HangUp::broken);
      break;
    case Happening::client_gone:
      machine.client_gone(now_, connection, lockd::HangUp::closed_by_client);
      break;
    default:
      break;
  }
  after_machine(occurrence.node);
}

void World::to_world(const Occurrence& occurrence) {
  switch (occurrence.what) {
    case Happening::message:
      if (!traffic_) break;
      multicast();
      schedule(Happening::message, options_.message_every);
      break;
    case Happening::partition:
      if (healed_) break;
      if (network_.cut() && random_.chance(1, 2)) {
        network_.heal();
        say(0, "network healed");
      } else {
        network_.partition();
        say(0, "network cut");
        coverage_.add("fault.partition");
        if (options_.adjacency) coverage_.add("fault.adjacency");
      }
      schedule(Happening::partition, options_.partition_every);
      break;
    case Happening::flap:
      if (healed_) break;
      network_.flap();
      coverage_.add("fault.flap");
      schedule(Happening::flap, options_.flap_every);
      break;
    case Happening::crash:
      if (healed_) break;
      crash_some();
      schedule(Happening::crash, options_.crash_every);
      break;
    case Happening::restart:
      if (!machines_[occurrence.node]->running() && !gone_[occurrence.node]) {
        restart(occurrence.node);
      }
      break;
    case Happening::pause: {
      if (healed_) break;
      const auto up = running();
      if (!up.empty()) {
        pause(up[random_.below(up.size())], pause_length());
      }
      schedule(Happening::pause, options_.pause_every);
      break;
    }
    case Happening::resume:
      if (machines_[occurrence.node]->paused &&
          occurrence.number == machines_[occurrence.node]->timer_number) {
        resume(occurrence.node);
      }
      break;
    case Happening::client_pause:
      if (healed_) break;
      pause_client();
      schedule(Happening::client_pause, options_.pause_every);
      break;
    case Happening::client_resume:
      resume_client(occurrence.node);
      break;
    case Happening::client_fault:
      if (healed_) break;
      fail_client(random_.below(clients_.size()));
      schedule(Happening::client_fault, options_.client_fault_every);
      break;
    case Happening::heal:
      heal();
      break;
    default:
      break;
  }
}

void World::after_machine(std::size_t node) {
  Machine& machine = *machines_[node];
  if (machine.running()) {
    if (options_.check_invariants) {
      machine.node().check_invariants();
      if (with_daemons()) machine.daemon().check_invariants();
    }
    if (with_daemons() && machine.daemon().failure()) {
      violations_.push_back(
          {"E11", "node " + std::to_string(node + 1) + " stopped: " + *machine.daemon().failure()});
      return;
    }
  }
  if (struck_ && !healed_) {
    const std::size_t victim = *struck_;
    struck_.reset();
    if (machines_[victim]->running()) crash(victim);
  }
  const std::uint64_t temptation = std::exchange(temptation_, 0);
  if (temptation != 0 && options_.strike_at_delivery && !healed_ && machine.running() &&
      random_.chance(1, temptation)) {
    strike(node);
  }
  if (machine.running() && machine.leaving() && !machine.paused) leave(node);
  if (!machine.running() || machine.paused) return;
  const auto deadline = machine.next_timeout();
  ++machine.timer_number;
  if (deadline) {
    queue_.push(std::max(*deadline, now_ + Duration(1)), Happening::timer, node,
                machine.timer_number);
  }
}

void World::multicast() {
  const auto up = running();
  if (up.empty()) return;
  const std::size_t node = up[random_.below(up.size())];
  Machine& machine = *machines_[node];
  if (machine.paused) return;
  constexpr evs::Service kServices[] = {evs::Service::safe, evs::Service::safe,
                                        evs::Service::agreed, evs::Service::fifo,
                                        evs::Service::unordered};
  const std::size_t kept_free =
      options_.small_windows ? evs::Config().send_queue_bytes_max - kBacklogOfSmallWindows : 0;
  const std::uint64_t burst =
      random_.chance(1, 10) ? random_.between(std::uint64_t{2}, std::uint64_t{30}) : 1;
  for (std::uint64_t i = 0; i < burst && machine.running() && !machine.paused; ++i) {
    const evs::Service service = kServices[random_.below(std::size(kServices))];
    std::uint64_t size = random_.between(std::uint64_t{0}, std::uint64_t{120});
    if (random_.chance(1, 20)) size = random_.between(std::uint64_t{500}, std::uint64_t{6000});
    if (options_.large_messages && random_.chance(1, 50)) size = random_.below(1024 * 1024);
    base::Buffer payload(size);
    for (std::size_t at = 0; at < payload.size() && at < 16; ++at) {
      payload[at] = static_cast<std::byte>(random_.below(256));
    }
    if (machine.node().send_room() <= payload.size() + kept_free) return;
    acting_ = node;
    if (!machine.multicast(now_, service, payload)) {
      violations_.push_back({"send", "a message was not taken although the queue had room"});
      return;
    }
    after_machine(node);
  }
}

// One ring of all who are to be together, and with daemons one active epoch whose table all hold.
bool World::whole() const {
  const std::vector<std::size_t> resting = this->resting();
  if (resting.empty()) return false;
  const evs::Node& first = machines_[resting.front()]->node();
  for (std::size_t i : resting) {
    const auto& machine = machines_[i];
    if (!machine->running() || machine->leaving()) return false;
    if (machine->node().state() != evs::NodeState::operational) return false;
    if (machine->node().regular().id != first.regular().id) return false;
    if (!with_daemons()) continue;
    const lockd::ReplicaStatus status = machine->daemon().status(machine->clock().at(now_));
    if (status.phase != lockd::ReplicaPhase::active || status.holders != resting.size()) {
      return false;
    }
  }
  return first.regular().members.size() == resting.size();
}

void World::look() {
  whole_for_ = whole() ? whole_for_ + 1 : 0;
  barrier_checker_.whole(whole_for_ > 0 ? std::optional(now_ - (whole_for_ - 1) * kRestStep)
                                        : std::nullopt);
  if (undisturbed_ || options_.core || whole_for_ == 0) return;
  undisturbed_ = true;
  coverage_.add(healed_ ? "undisturbed.healed" : "undisturbed.from_the_start");
  lock_checker_.undisturbed(now_);
}

bool World::at_rest() const {
  if (!whole()) return false;
  const std::vector<std::size_t> resting = this->resting();
  const evs::Node& first = machines_[resting.front()]->node();
  for (std::size_t i : resting) {
    const auto& machine = machines_[i];
    if (machine->node().send_room() != first.send_room()) return false;
    const evs::NodeStatus order = machine->node().status(machine->clock().at(now_));
    if (order.stable != order.highest || order.delivered != order.highest) return false;
    if (!with_daemons()) continue;
    const lockd::ReplicaStatus status = machine->daemon().status(machine->clock().at(now_));
    if (status.cold || status.orphans > 0) return false;
    const lockd::State& table = *machine->daemon().replica().table();
    if (table.counts().locks > 0 || table.counts().outcomes > 0) return false;
    if (!table.barriers().open_steps().empty()) return false;
  }
  for (const auto& client : clients_) {
    if (core_[client->server] && !client->at_rest()) return false;
  }
  return true;
}

void World::schedule(Happening what, Duration mean) {
  if (mean > Duration(0)) queue_.push(now_ + random_.between(Duration(0), 2 * mean), what, 0);
}

std::vector<std::size_t> World::running() const {
  std::vector<std::size_t> up;
  for (std::size_t i = 0; i < machines_.size(); ++i) {
    if (machines_[i]->running()) up.push_back(i);
  }
  return up;
}

std::vector<std::size_t> World::resting() const {
  const auto first = std::ranges::find(core_, true) - core_.begin();
  const Machine& one = *machines_[static_cast<std::size_t>(first)];
  std::vector<std::size_t> found;
  if (!one.running()) return found;
  for (std::size_t i = 0; i < machines_.size(); ++i) {
    const bool in_ring =
        machines_[i]->running() && machines_[i]->node().regular().id == one.node().regular().id;
    if (core_[i] || in_ring) found.push_back(i);
  }
  return found;
}

void World::say(std::size_t node, const std::string& what) {
  if (!trace_) return;
  std::printf("%12.6f  node %zu  %s\n", static_cast<double>(now_.count()) / 1e9, node + 1,
              what.c_str());
}

}  // namespace sim
