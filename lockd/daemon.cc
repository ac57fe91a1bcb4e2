#include "lockd/daemon.h"

#include <algorithm>
#include <utility>

#include "base/mutant.h"
#include "lockd/payload_kind.h"

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
      instances_(config.instances),
      watchers_(config.watchers, queries_),
      sessions_(config.sessions, self, replica_, queries_, instances_, watchers_,
                std::move(draw_secret)) {}

void Daemon::handle_event(Instant now, evs::Event&& event) {
  replica_.set_watcher(watchers_.size() > 0 ? &watchers_ : nullptr);
  if (auto* delivery = std::get_if<evs::Delivery>(&event)) {
    return handle_delivery(now, std::move(*delivery));
  }
  const auto& change = std::get<evs::ConfigurationChange>(event);
  events_.push_back(ConfigurationChanged{change});
  sessions_.tell_instances(instances_.on_configuration(change));
  watchers_.on_configuration(now, change);
  sessions_.tell_watchers();
  replica_.handle_event(now, std::move(event));
}

void Daemon::handle_delivery(Instant now, evs::Delivery&& delivery) {
  const std::byte kind = delivery.payload.empty() ? std::byte{0} : delivery.payload.back();
  if (kind == static_cast<std::byte>(PayloadKind::replica)) {
    delivery.payload.pop_back();
    replica_.handle_event(now, std::move(delivery));
    sessions_.tell_watchers();
  } else if (kind == static_cast<std::byte>(PayloadKind::group)) {
    delivery.payload.pop_back();
    const auto news = instances_.on_delivery(delivery, delivery.payload);
    if (news) sessions_.tell_instances(*news);
  } else if (kind == static_cast<std::byte>(PayloadKind::flow)) {
    delivery.payload.pop_back();
    instances_.on_word(now, delivery.sender, delivery.payload);
  } else {
    ++foreign_payloads_;
  }
}

std::optional<Outgoing> Daemon::poll_multicast(std::size_t room) {
  Outgoing next;
  PayloadKind kind = PayloadKind::replica;
  if (room == 0) return std::nullopt;
  if (auto message = replica_.poll_multicast(room - 1)) {
    next.payload = std::move(*message);
    if (MUTANT("grant_on_agreed")) next.service = evs::Service::agreed;
  } else if (auto word = room >= 2 ? instances_.poll_word() : std::nullopt) {
    kind = PayloadKind::flow;
    next.service = evs::Service::unordered;
    next.payload = std::move(*word);
  } else if (auto to_groups = instances_.poll_multicast(room)) {
    kind = PayloadKind::group;
    next.service = to_groups->service;
    next.payload = std::move(to_groups->message);
  } else {
    return std::nullopt;
  }
  next.payload.push_back(static_cast<std::byte>(kind));
  return next;
}

std::optional<ClientOutput> Daemon::poll_output() {
  sessions_.tell_credits();
  return sessions_.poll_output();
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
  instances_.watch_readers(now, [this](ConnectionId id) { return sessions_.unread(id); });
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
  instances_.handle_timeout(now);
}

std::optional<base::Duration> Daemon::next_timeout() const {
  std::optional<base::Duration> earliest = replica_.next_timeout();
  const auto at = [&](base::Duration due) { earliest = earliest ? std::min(*earliest, due) : due; };
  if (const auto sweep = sessions_.next_timeout()) at(*sweep);
  if (const auto word = instances_.next_timeout()) at(*word);
  if (stopping_) at(stopping_->boot + config_.last_holder_wait);
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
  const State* table = replica_.last_table();
  const bool cold = table != nullptr && table->cold();
  if (replica_.phase() != phase_) {
    events_.push_back(PhaseChanged{phase_, replica_.status(now)});
  }
  if (watchers_.size() > 0 && (replica_.phase() != phase_ || cold != cold_)) {
    watchers_.on_quorum(now, queries_.answer(now, liblock::protocol::StatusQuery{}));
    sessions_.tell_watchers();
  }
  phase_ = replica_.phase();
  cold_ = cold;
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
  instances_.check_invariants();
}

}  // namespace lockd
