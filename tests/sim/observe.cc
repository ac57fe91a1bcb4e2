// What the simulated world hears of its machines, and passes on to the judges.
#include <bit>
#include <chrono>

#include "evs/ring.h"
#include "lockd/ring_message.h"
#include "tests/sim/read_barriers.h"
#include "tests/sim/world.h"

namespace sim {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// FNV-1a: good enough to tell commands apart.
std::uint64_t digest_of(base::Bytes bytes) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (std::byte b : bytes) hash = (hash ^ std::to_integer<std::uint64_t>(b)) * 0x100000001b3u;
  return hash;
}

bool leaves_by_force(base::Bytes payload) {
  const auto message = lockd::decode_ring_message(payload);
  const auto* ordered = message ? std::get_if<lockd::Ordered>(&message->body) : nullptr;
  const auto* leave =
      ordered ? std::get_if<lockd::LeaveLockspace>(&ordered->command.body) : nullptr;
  return leave && leave->force;
}

LockspaceSeen seen_of(const std::string& name, const lockd::Lockspace& lockspace) {
  LockspaceSeen seen{name, lockspace.generation, lockspace.gone.empty(), {}, {}};
  for (const auto& member : lockspace.members) {
    seen.members.emplace_back(member.processor.node, member.slot);
  }
  for (const auto& member : lockspace.gone) {
    seen.failed.emplace_back(member.processor.node, member.slot);
  }
  return seen;
}

}  // namespace

void World::on_trace(std::size_t node, const evs::TraceRecord& record) {
  if (record.event == evs::TraceEvent::message_numbered) {
    evs_checker_.sent(machines_[node]->processor(), record.ring, record.sequence, record.index);
  }
  if (record.event == evs::TraceEvent::install_regular ||
      record.event == evs::TraceEvent::recovered) {
    temptation_ = 60;
  }
  if (crash_at_ && record.event == *crash_at_ && now_ > milliseconds(200) && !healed_ &&
      machines_[node]->running() && random_.chance(1, 4)) {
    struck_ = node;
    coverage_.add("fault.crash_at." + std::string(evs::to_string(*crash_at_)));
    crash_at_.reset();
  }
  if (!trace_) return;
  std::string line(evs::to_string(record.event));
  line += " ring=" + base::to_string(record.ring) + " seq=" + std::to_string(record.sequence);
  if (record.reason != evs::Reason::none) line += " " + std::string(evs::to_string(record.reason));
  if (record.processor.node != base::NodeId{}) line += " " + base::to_string(record.processor);
  say(node, line);
}

void World::on_event(std::size_t node, const evs::Event& event) {
  const base::Processor at = machines_[node]->processor();
  if (const auto* change = std::get_if<evs::ConfigurationChange>(&event)) {
    if (trace_) {
      const bool regular = change->configuration.kind == evs::ConfigurationKind::regular;
      std::string line = regular ? "REGULAR " : "TRANSITIONAL ";
      line += base::to_string(change->configuration.id) + " {";
      for (const auto& member : change->configuration.members) {
        line += " " + base::to_string(member);
      }
      say(node, line + " }");
    }
    evs_checker_.configuration(at, *change);
    if (with_daemons()) lock_checker_.installed(now_, at, change->configuration);
    return;
  }
  const auto& delivery = std::get<evs::Delivery>(event);
  const bool safe = delivery.service == evs::Service::safe;
  if (safe && temptation_ == 0) temptation_ = 60;
  if (trace_) {
    say(node, "deliver " + base::to_string(delivery.ring) + " seq=" +
                  std::to_string(delivery.sequence) + "/" + std::to_string(delivery.index) +
                  " from " + base::to_string(delivery.sender) + (safe ? " safe" : " agreed"));
  }
  evs_checker_.delivered(at, delivery);
  if (delivery.sequence >> 32 != 0) coverage_.add("numbers.packet_over_32_bits");
}

void World::on_transmit(std::size_t node, evs::NodeMask to, const base::Buffer& sealed) {
  if (options_.multicast && std::popcount(to) > 1) {
    coverage_.add("network.to_group");
    to = evs::all_of(machines_.size());
  }
  for (std::size_t other = 0; other < machines_.size(); ++other) {
    if ((to >> other & 1) != 0) network_.send(now_, node, other, sealed, queue_);
  }
}

void World::on_multicast(std::size_t node, evs::Service service, base::Bytes payload) {
  evs_checker_.taken(machines_[node]->processor(), service, payload);
}

void World::on_record_write(std::size_t node, std::uint64_t id) {
  Duration takes = random_.between(microseconds(100), milliseconds(5));
  if (options_.slow_disks && (options_.sluggish_disks || random_.chance(1, 3))) {
    takes = random_.between(milliseconds(5), milliseconds(1500));
  }
  queue_.push(now_ + takes, Happening::record_written, node, id);
}

void World::on_output(std::size_t node, lockd::ConnectionId connection, base::Bytes bytes,
                      bool close) {
  const auto number = static_cast<std::uint64_t>(connection);
  const std::size_t client = *connections_[number];
  wire_tap_.written(now_, machines_[node]->processor(), number,
                    machines_[clients_[client]->machine()]->clock(), bytes);
  queue_.push(pipe_time(client), Happening::daemon_bytes, client, number,
              base::Buffer(bytes.begin(), bytes.end()));
  if (close) queue_.push(pipe_time(client), Happening::daemon_gone, client, number);
}

void World::activated(const lockd::Epoch& epoch, const std::vector<base::Processor>& members,
                      const std::vector<base::Processor>& holders, const lockd::Activate& activate,
                      const evs::Configuration& configuration) {
  Activation told;
  temptation_ = 12;
  told.epoch = epoch.number;
  told.ring = epoch.ring;
  told.members = members;
  for (const base::Processor& voter : activate.voters) told.voters.push_back(voter.node);
  told.cold = !activate.donor;
  told.donor = holders.front();
  told.donor_epoch = activate.donor ? activate.donor->epoch.number : 0;
  lock_checker_.activated(now_, machines_[acting_]->processor(), configuration.kind, told);
  say(acting_, "ACTIVATE epoch " + std::to_string(epoch.number) +
                   (told.cold ? " cold"
                              : " with the table of epoch " + std::to_string(told.donor_epoch) +
                                    " at " + base::to_string(told.donor)));
}

void World::applied(const lockd::Epoch& epoch, const evs::Delivery& delivery,
                    const evs::Configuration& configuration, const lockd::State& state,
                    const lockd::Effects& effects) {
  Applied told;
  told.at = now_;
  told.by = machines_[acting_]->processor();
  told.sender = delivery.sender;
  told.place = {epoch.number, delivery.ring, delivery.sequence, delivery.index};
  told.kind = configuration.kind;
  told.configuration = configuration.id;
  told.command = digest_of(delivery.payload);
  told.state = state.digest();
  if (trace_) {
    say(acting_, "applied " + std::to_string(delivery.sequence) + "/" +
                     std::to_string(delivery.index) + " state " + std::to_string(told.state));
  }
  for (const dlm::Effect& change : state.changes()) {
    // Session 0 is nobody: what keeps a cold table from granting.
    if (base::value(change.lock.session) == 0) continue;
    // A lock can be granted and freed by one command: then only its request tells what it was on.
    std::string& resource = lock_resources_[change.lock];
    if (const auto lock = state.find_lock(change.lock.session, change.lock.acquired_by)) {
      resource = base::text_of(lock->on.resource);
    }
    told.effects.push_back({change, resource});
    if (trace_) {
      say(acting_, "applied " + std::to_string(delivery.sequence) + " lock " +
                       std::to_string(base::value(change.lock.session)) + "/" +
                       std::to_string(base::value(change.lock.acquired_by)) + " " +
                       told.effects.back().resource + " " +
                       std::string(dlm::to_string(change.kind)) + " " +
                       std::string(base::to_string(change.mode)) + " by " +
                       std::to_string(base::value(change.request)) + " token " +
                       std::to_string(base::value(change.token)) + " " +
                       std::string(dlm::to_string(change.status)) + " notes " +
                       std::to_string(change.notes));
    }
  }
  for (const lockd::Effect& effect : effects) {
    // The simulated clients never close: whatever ends a session must have waited for its last
    // promise, or ended it by force.
    if (const auto* ended = std::get_if<lockd::SessionEnded>(&effect)) {
      const bool forced = leaves_by_force(delivery.payload);
      if (forced) coverage_.add("locks.sessions_ended_by_force");
      const bool with_node = ended->reason == lockd::SessionEnded::Reason::expired;
      told.ended.push_back({ended->session,
                            forced ? OrderedEnd::How::forced : OrderedEnd::How::expired,
                            with_node || forced});
    } else if (const auto* opened = std::get_if<lockd::Opened>(&effect)) {
      told.attached.emplace_back(opened->session, opened->at);
    } else if (const auto* resumed = std::get_if<lockd::Resumed>(&effect)) {
      if (resumed->outcome == lockd::Resumed::Outcome::resumed) {
        told.attached.emplace_back(resumed->session, resumed->at);
      }
    } else if (const auto* deadlocked = std::get_if<lockd::Deadlocked>(&effect)) {
      told.deadlocks.push_back(deadlocked->deadlock);
      coverage_.add("locks.deadlocks");
    }
  }
  for (const auto& [name, lockspace] : state.lockspaces().all()) {
    told.lockspaces.push_back(seen_of(name, lockspace));
  }
  for (const base::Processor& gone : state.lockspaces().gone()) told.failed.push_back(gone);
  if (options_.barrier_clients > 0) {
    for (const lockd::Effect& effect : effects) {
      const auto* opened = std::get_if<lockd::BarrierOpened>(&effect);
      if (opened) barrier_checker_.opened(now_, {opened->key.generation, opened->key.step});
    }
    told.barriers = read_barriers(delivery, state, effects);
  }
  lock_checker_.applied(told);
}

}  // namespace sim
