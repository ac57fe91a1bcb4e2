#include "tests/sim/world.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

namespace sim {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// After everything healed: how long the workload goes on, how often we look whether the run came to
// rest, and when it should have.
constexpr Duration kTrafficAfterHeal = milliseconds(300);
constexpr Duration kRestStep = milliseconds(250);
constexpr Duration kRestBound = seconds(30);

constexpr evs::TraceEvent kMembershipEvents[] = {
    evs::TraceEvent::enter_gather,         evs::TraceEvent::enter_commit,
    evs::TraceEvent::enter_recovery,       evs::TraceEvent::recovered,
    evs::TraceEvent::install_transitional, evs::TraceEvent::token_lost};

}  // namespace

World::World(const RunOptions& options, bool trace)
    : options_(options), trace_(trace), random_(options.seed), network_(options_, random_.fork()) {
  MachineObserver& observer = *this;
  for (std::size_t i = 0; i < options_.nodes; ++i) {
    machines_.push_back(
        std::make_unique<Machine>(i, options_, random_.fork(), seal_checker_, observer));
  }
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
  schedule(Happening::message, options_.message_every);
  schedule(Happening::partition, options_.partition_every);
  schedule(Happening::crash, options_.crash_every);
  schedule(Happening::pause, options_.pause_every);
  queue_.push({options_.faulty_time, 0, Happening::heal, 0, 0, {}});

  Duration look_at = options_.faulty_time + kTrafficAfterHeal + kRestStep;
  int restful = 0;
  bool rested = false;
  while (!queue_.empty() && violations_.empty()) {
    if (queue_.next_at() > look_at) {
      traffic_ = false;
      restful = at_rest() ? restful + 1 : 0;
      if (restful == 3) {
        rested = true;
        break;
      }
      if (look_at > options_.faulty_time + kRestBound) break;
      look_at += kRestStep;
      continue;
    }
    Occurrence next = queue_.pop();
    now_ = next.at;
    ++events_;
    step(std::move(next));
  }
  if (violations_.empty() && !rested) {
    violations_.push_back({"rest", "healed and without traffic, the run did not come to rest"});
  }
  for (Violation& violation : evs_checker_.finish(rested)) {
    violations_.push_back(std::move(violation));
  }
  if (seal_checker_.violation()) violations_.push_back({"seal", *seal_checker_.violation()});

  for (const auto& machine : machines_) {
    if (!machine->running()) continue;
    const evs::Statistics& s = machine->node().statistics();
    coverage_.add("ring.installs", s.installs);
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
    const auto& opener = machine->opener();
    coverage_.add("seal.replays_refused", opener.refused(evs::net::Refusal::replayed));
    coverage_.add("seal.forgeries_refused", opener.refused(evs::net::Refusal::forged));
  }
  return {std::move(violations_), now_, events_, std::move(coverage_)};
}

void World::step(Occurrence occurrence) {
  Machine& machine = *machines_[occurrence.node];
  switch (occurrence.what) {
    case Happening::datagram:
      machine.receive(now_, occurrence.bytes);
      after_input(occurrence.node);
      break;
    case Happening::timer:
      if (occurrence.number != machine.timer_number) break;
      machine.handle_timeout(now_);
      after_input(occurrence.node);
      break;
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
      }
      schedule(Happening::partition, options_.partition_every);
      break;
    case Happening::crash: {
      if (healed_) break;
      const auto up = running();
      if (!up.empty()) crash(up[random_.below(up.size())]);
      schedule(Happening::crash, options_.crash_every);
      break;
    }
    case Happening::restart:
      if (!machine.running()) restart(occurrence.node);
      break;
    case Happening::pause: {
      if (healed_) break;
      const auto up = running();
      if (!up.empty()) {
        pause(up[random_.below(up.size())], random_.between(milliseconds(1), milliseconds(1500)));
      }
      schedule(Happening::pause, options_.pause_every);
      break;
    }
    case Happening::resume:
      if (occurrence.number == machine.timer_number) resume(occurrence.node);
      break;
    case Happening::heal:
      heal();
      break;
    case Happening::record_written:
    case Happening::client:
      break;
  }
}

void World::after_input(std::size_t node) {
  Machine& machine = *machines_[node];
  if (struck_ && !healed_) {
    const std::size_t victim = *struck_;
    struck_.reset();
    if (machines_[victim]->running()) crash(victim);
    if (victim == node) return;
  }
  if (tempting_ && options_.strike_at_delivery && !healed_ && random_.chance(1, 40)) {
    strike(node);
    if (!machine.running()) return;
  }
  tempting_ = false;
  const auto deadline = machine.next_timeout();
  ++machine.timer_number;
  if (deadline) {
    queue_.push({std::max(*deadline, now_ + Duration(1)),
                 0,
                 Happening::timer,
                 node,
                 machine.timer_number,
                 {}});
  }
}

// A fault at a moment when knowledge is uneven between the members.
void World::strike(std::size_t node) {
  coverage_.add("fault.strike");
  switch (random_.below(3)) {
    case 0:
      if (options_.crash_every > Duration(0)) crash(node);
      break;
    case 1:
      if (options_.pause_every > Duration(0)) {
        pause(node, random_.between(milliseconds(1), milliseconds(1500)));
      }
      break;
    default:
      if (options_.partition_every > Duration(0)) {
        network_.partition();
        say(node, "network cut by a strike");
      }
  }
}

void World::multicast() {
  const auto up = running();
  if (up.empty()) return;
  const std::size_t node = up[random_.below(up.size())];
  Machine& machine = *machines_[node];
  if (machine.paused()) return;
  constexpr evs::Service kServices[] = {evs::Service::safe, evs::Service::safe,
                                        evs::Service::agreed, evs::Service::fifo,
                                        evs::Service::unordered};
  const std::uint64_t burst =
      random_.chance(1, 10) ? random_.between(std::uint64_t{2}, std::uint64_t{30}) : 1;
  for (std::uint64_t i = 0; i < burst && machine.running(); ++i) {
    const evs::Service service = kServices[random_.below(std::size(kServices))];
    std::uint64_t size = random_.between(std::uint64_t{0}, std::uint64_t{120});
    if (random_.chance(1, 20)) size = random_.between(std::uint64_t{500}, std::uint64_t{6000});
    if (options_.large_messages && random_.chance(1, 50)) size = random_.below(1024 * 1024);
    base::Buffer payload(size);
    for (std::size_t at = 0; at < payload.size() && at < 16; ++at) {
      payload[at] = static_cast<std::byte>(random_.below(256));
    }
    if (machine.node().send_room() < payload.size() + 16) return;
    // Reported first: the member may number it at once.
    evs_checker_.taken(machine.processor(), service, payload);
    if (!machine.multicast(now_, service, payload)) {
      violations_.push_back(
          {"send", "a message was not taken although the queue should have room"});
      return;
    }
    after_input(node);
  }
}

void World::crash(std::size_t node) {
  say(node, "crash");
  coverage_.add("fault.crash");
  evs_checker_.failed(machines_[node]->processor());
  machines_[node]->crash();
  ++machines_[node]->timer_number;
  const Duration down = random_.chance(1, 3)
                            ? random_.between(milliseconds(0), milliseconds(50))
                            : random_.between(milliseconds(50), milliseconds(2000));
  queue_.push({now_ + down, 0, Happening::restart, node, 0, {}});
}

void World::restart(std::size_t node) {
  say(node, "start");
  machines_[node]->start(now_);
  after_input(node);
}

void World::pause(std::size_t node, Duration how_long) {
  if (machines_[node]->paused()) return;
  say(node, "pause");
  coverage_.add("fault.pause");
  machines_[node]->pause();
  const std::uint64_t number = ++machines_[node]->timer_number;
  queue_.push({now_ + how_long, 0, Happening::resume, node, number, {}});
}

void World::resume(std::size_t node) {
  say(node, "resume");
  machines_[node]->resume(now_);
  after_input(node);
}

void World::heal() {
  healed_ = true;
  network_.become_perfect();
  say(0, "everything heals");
  for (std::size_t i = 0; i < machines_.size(); ++i) {
    if (machines_[i]->running() && machines_[i]->paused()) resume(i);
    if (!machines_[i]->running()) restart(i);
  }
  // The workload comes back for a moment, so that the healed ring has something to do.
  schedule(Happening::message, options_.message_every);
}

bool World::at_rest() const {
  const evs::Node& first = machines_.front()->node();
  for (const auto& machine : machines_) {
    if (!machine->running() || machine->node().state() != evs::NodeState::operational) return false;
    if (machine->node().regular().id != first.regular().id) return false;
    if (machine->node().send_room() != first.send_room()) return false;
  }
  return first.regular().members.size() == machines_.size();
}

void World::schedule(Happening what, Duration mean, std::size_t node) {
  if (mean <= Duration(0)) return;
  queue_.push({now_ + random_.between(Duration(0), 2 * mean), 0, what, node, 0, {}});
}

std::vector<std::size_t> World::running() const {
  std::vector<std::size_t> up;
  for (std::size_t i = 0; i < machines_.size(); ++i) {
    if (machines_[i]->running()) up.push_back(i);
  }
  return up;
}

void World::on_numbered(std::size_t node, const evs::TraceRecord& record) {
  evs_checker_.sent(machines_[node]->processor(), record.ring, record.sequence, record.index);
}

void World::on_trace(std::size_t node, const evs::TraceRecord& record) {
  if (record.event == evs::TraceEvent::install_regular ||
      record.event == evs::TraceEvent::recovered) {
    tempting_ = true;
  }
  if (crash_at_ && record.event == *crash_at_ && now_ > milliseconds(200) && !healed_ &&
      machines_[node]->running() && random_.chance(1, 4)) {
    struck_ = node;
    coverage_.add("fault.crash_at." + std::string(evs::to_string(*crash_at_)));
    crash_at_.reset();
  }
  if (trace_) {
    say(node, std::string(evs::to_string(record.event)) + " ring=" + base::to_string(record.ring) +
                  " seq=" + std::to_string(record.sequence) + (record.detail.empty() ? "" : " ") +
                  std::string(record.detail));
  }
}

void World::on_event(std::size_t node, const evs::Event& event) {
  const base::Processor at = machines_[node]->processor();
  if (const auto* change = std::get_if<evs::ConfigurationChange>(&event)) {
    if (trace_) {
      std::string text = change->configuration.kind == evs::ConfigurationKind::regular
                             ? "REGULAR"
                             : "TRANSITIONAL";
      text += " " + base::to_string(change->configuration.id) + " {";
      for (const auto& member : change->configuration.members)
        text += " " + base::to_string(member);
      say(node, text + " }");
    }
    evs_checker_.configuration(at, *change);
  } else {
    const auto& delivery = std::get<evs::Delivery>(event);
    tempting_ |= delivery.service == evs::Service::safe;
    if (trace_) {
      say(node, "deliver " + base::to_string(delivery.ring) +
                    " seq=" + std::to_string(delivery.sequence) + "/" +
                    std::to_string(delivery.index) + " from " + base::to_string(delivery.sender) +
                    (delivery.service == evs::Service::safe ? " safe" : " agreed"));
    }
    evs_checker_.delivered(at, delivery);
  }
}

void World::on_transmit(std::size_t node, const evs::Transmit& transmit,
                        const base::Buffer& sealed) {
  for (std::size_t to = 0; to < machines_.size(); ++to) {
    if ((transmit.to >> to & 1) != 0) network_.send(now_, node, to, sealed, queue_);
  }
}

void World::say(std::size_t node, const std::string& what) {
  if (!trace_) return;
  std::printf("%12.6f  node %zu  %s\n", static_cast<double>(now_.count()) / 1e9, node + 1,
              what.c_str());
}

}  // namespace sim
