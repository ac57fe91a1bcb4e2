#include "lockd/daemon.h"

#include <algorithm>
#include <utility>

namespace lockd {

DaemonConfig DaemonConfig::from(const ReplicaConfig& replica) {
  DaemonConfig config;
  config.replica = replica;
  config.sessions.sessions_per_user_max = replica.state_limits.sessions.sessions_per_user_max;
  config.sessions.lease = replica.lease - replica.lease_margin;
  config.sessions.remaining_min = config.sessions.lease / 32;
  config.queries.lease = config.sessions.lease;
  for (const ReplicaNode& node : replica.nodes) {
    config.queries.nodes.push_back({node.id, node.votes, node.witness, ""});
    if (node.id == replica.self) config.sessions.witness = node.witness;
  }
  return config;
}

Daemon::Daemon(const DaemonConfig& config, base::Processor self, std::optional<Record> record,
               std::function<Secret()> draw_secret)
    : config_(config),
      replica_(config.replica, self, std::move(record)),
      queries_(config.queries, self, replica_),
      sessions_(config.sessions, self, replica_, queries_, std::move(draw_secret)) {}

void Daemon::handle_event(Instant now, evs::Event&& event) {
  if (const auto* change = std::get_if<evs::ConfigurationChange>(&event)) {
    events_.push_back(ConfigurationChanged{*change});
  }
  replica_.handle_event(now, std::move(event));
}

void Daemon::handle_evidence(Instant now, const evs::TokenEvidence* evidence) {
  replica_.handle_evidence(now, evidence);
  // First what was lost, then what may be promised [rule 6.7].
  sessions_.review(now);
  while (sessions_.may_tell(now)) {
    const std::optional<Effect> effect = replica_.poll_effect();
    if (!effect) break;
    sessions_.tell(now, *effect);
  }
  sessions_.advance(now);
  note_phase(now);
}

void Daemon::handle_record_written(Instant now, std::uint64_t id, bool ok) {
  replica_.handle_record_written(now, id, ok);
}

void Daemon::handle_connect(Instant now, ConnectionId connection, const Peer& peer) {
  sessions_.connect(now, connection, peer);
}

void Daemon::handle_bytes(Instant now, ConnectionId connection, base::Bytes bytes) {
  sessions_.receive(now, connection, bytes);
}

void Daemon::handle_hang_up(Instant now, ConnectionId connection, HangUp how) {
  sessions_.hang_up(now, connection, how);
}

void Daemon::handle_timeout(Instant now) {
  replica_.handle_timeout(now);
  sessions_.handle_timeout(now);
}

std::optional<base::Duration> Daemon::next_timeout() const {
  std::optional<base::Duration> earliest = replica_.next_timeout();
  const std::optional<base::Duration> sweep = sessions_.next_timeout();
  if (sweep && (!earliest || *sweep < *earliest)) earliest = sweep;
  if (stopping_) {
    const base::Duration latest = stopping_->boot + config_.last_holder_wait;
    if (!earliest || latest < *earliest) earliest = latest;
  }
  return earliest;
}

void Daemon::stop(Instant now) {
  if (stopping_) return;
  stopping_ = now;
  events_.push_back(DaemonStopping{sessions_.sessions()});
  sessions_.shut_down(now);
}

bool Daemon::may_leave(Instant now) const {
  if (!stopping_ || failure()) return stopping_.has_value();
  const ReplicaStatus status = replica_.status(now);
  const bool last_holder = status.phase == ReplicaPhase::active && status.holders == 1 &&
                           status.configuration.members.size() > 1;
  return !last_holder || now.boot - stopping_->boot >= config_.last_holder_wait;
}

void Daemon::note_phase(Instant now) {
  const ReplicaStatus status = replica_.status(now);
  if (status.phase != phase_) {
    events_.push_back(PhaseChanged{phase_, status});
    phase_ = status.phase;
  }
  if (failure() && !std::exchange(failure_noted_, true))
    events_.push_back(DaemonFailed{*failure()});
}

std::optional<DaemonEvent> Daemon::poll_event() {
  if (events_.empty()) return sessions_.poll_event();
  DaemonEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void Daemon::check_invariants() const {
  replica_.check_invariants();
  sessions_.check_invariants();
}

}  // namespace lockd
