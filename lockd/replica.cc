#include "lockd/replica.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/check.h"
#include "base/mutant.h"
#include "lockd/replica_impl.h"

namespace lockd {

std::string_view to_string(ReplicaPhase phase) {
  switch (phase) {
    case ReplicaPhase::inactive:
      return "inactive";
    case ReplicaPhase::exchanging:
      return "exchanging";
    case ReplicaPhase::activating:
      return "activating";
    case ReplicaPhase::loading:
      return "loading";
    case ReplicaPhase::active:
      return "active";
    case ReplicaPhase::stopped:
      return "stopped";
  }
  return "?";
}

// ---- Configurations

void Replica::Impl::handle_event(Instant now, evs::Event&& event) {
  if (stop_reason_) {
    return;
  }
  now_ = now;
  may_tell_ = false;
  if (auto* change = std::get_if<evs::ConfigurationChange>(&event)) {
    if (change->configuration.kind == evs::ConfigurationKind::transitional) {
      on_transitional(std::move(*change));
    } else {
      on_regular(std::move(*change));
    }
  } else {
    on_delivery(now, std::get<evs::Delivery>(event));
  }
}

void Replica::Impl::on_transitional(evs::ConfigurationChange&& change) {
  // What is delivered from here on is applied as if it had come before; nothing new is begun in
  // this ring.
  if (serving() || !MUTANT("c_p_of_active_rings_only")) {
    stamps_.token(regular_.id, change.last_token);
  }
  configuration_ = std::move(change.configuration);
  in_transition_ = true;
  operational_ = false;
  control_.clear();
  digest_watch_.clear();
  held_.delay();
  if (table_) {
    table_->lineage.pass(configuration_);
  }
  if (staging_) {
    staging_->lineage().pass(configuration_);
  }
  if (MUTANT("marks_at_transitional") && active_ && follows()) {
    Effects effects;
    table_->state.apply_departures(regular_.id, table_->lineage.departures(), effects);
    take_effects(now_, std::move(effects), 0);
  }
}

void Replica::Impl::on_regular(evs::ConfigurationChange&& change) {
  configuration_ = std::move(change.configuration);
  regular_ = configuration_;
  in_transition_ = false;
  operational_ = false;
  stamps_.installed(regular_.id, change.last_token);
  if (table_) {
    table_->lineage.pass(regular_);
  }
  if (staging_) {
    staging_->lineage().pass(regular_);
  }

  // A round's state dies with its ring, and so does an epoch's [rule 6.11].
  active_.reset();
  round_.emplace(config_, regular_);
  chosen_at_.reset();
  patience_ = true;
  persisted_sent_ = false;
  activate_sent_ = false;
  keeper_.forget_wanted();
  control_.clear();
  snapshot_digests_.clear();
  if (server_) {
    server_->interrupt();
  }
  own_.send_unapplied_again();
  waits_.retry();
  send(exchange());
}

void Replica::Impl::on_delivery(Instant now, const evs::Delivery& delivery) {
  std::optional<RingMessage> message = decode_ring_message(delivery.payload);
  if (!message) {
    ++statistics_.malformed;
    return;
  }
  if (delivery.ring != regular_.id || message->ring != regular_.id) {
    ++statistics_.foreign_ring_ignored;
    return;
  }
  delivering_ = &delivery;
  std::visit([&](auto& body) { on(now, delivery.sender, std::move(body)); }, message->body);
  delivering_ = nullptr;
  if (!stop_reason_) {
    keep_house(now);
  }
}

// ---- Sending

base::Result<void, SubmitError> Replica::Impl::submit(const Command::Body& body) {
  if (stop_reason_) {
    return base::error(SubmitError::stopped);
  }
  if (!own_.has_room() || held_.size() >= config_.held_effects_max) {
    return base::error(SubmitError::try_again);
  }
  own_.add(body, second(now_));
  return {};
}

void Replica::Impl::send(RingMessage::Body body) {
  if (!in_transition_) {
    control_.push_back(encode(RingMessage{regular_.id, std::move(body)}));
  }
}

std::uint32_t Replica::Impl::second(Instant now) const {
  return config_.booted_at +
         static_cast<std::uint32_t>(
             std::chrono::duration_cast<std::chrono::seconds>(now.boot).count());
}

void Replica::Impl::send_command(Command::Body body) {
  send(Ordered{0, Command{regular_.id, std::move(body), second(now_)}});
}

std::optional<base::Buffer> Replica::Impl::poll_multicast(std::size_t room) {
  if (stop_reason_ || in_transition_) {
    return std::nullopt;
  }
  if (!control_.empty()) {
    if (control_.front().size() > room) {
      return std::nullopt;
    }
    base::Buffer message = std::move(control_.front());
    control_.pop_front();
    return message;
  }
  if (!active_ || !active_->confirmed) {
    return std::nullopt;
  }
  if (std::optional<base::Buffer> message = own_.next(regular_.id, !follows(), room)) {
    statistics_.resent = own_.sent_again();
    return message;
  }
  constexpr std::size_t kChunkOverhead = 128;
  if (server_ && active_->server == self_ && room >= config_.chunk_bytes + kChunkOverhead) {
    if (MUTANT("image_is_of_a_later_table")) server_->freeze(table_->state);
    if (std::optional<Chunk> chunk = server_->next(config_.chunks_under_way)) {
      return encode(RingMessage{regular_.id, std::move(*chunk)});
    }
  }
  return std::nullopt;
}

std::optional<RecordWrite> Replica::Impl::poll_record_write() {
  return stop_reason_ ? std::nullopt : keeper_.poll();
}

void Replica::Impl::stop(std::string reason) {
  stop_reason_ = std::move(reason);
  may_tell_ = false;
  control_.clear();
}

// ---- Looking in

ReplicaStatus Replica::Impl::status(Instant now) const {
  ReplicaStatus status;
  status.configuration = configuration_;
  status.votes_needed = config_.majority();
  status.amnesiac = !keeper_.voter();
  status.lease_live = lease_.left(now) > Duration::zero();
  if (round_) {
    for (const auto& [processor, told] : round_->exchanges()) {
      if (told.record && told.record->role == RecordRole::voter) {
        status.votes_present += config_.votes_of(processor.node);
      }
    }
    status.record_full = round_->no_choice() == NoChoice::record_full;
    status.different_configuration = round_->no_choice() == NoChoice::different_configuration;
  }
  if (table_) {
    status.epoch = table_->lineage.label().epoch;
    status.cold = table_->state.cold().has_value();
    status.orphans = table_->state.counts().orphans;
  }
  status.phase = phase();
  if (status.phase == ReplicaPhase::active || status.phase == ReplicaPhase::loading) {
    status.epoch = active_->epoch;
    status.holders = active_->holders.size();
    status.observer = keeper_.voter() &&
                      !std::binary_search(active_->voters.begin(), active_->voters.end(), self_);
  }
  return status;
}

ReplicaPhase Replica::Impl::phase() const {
  if (stop_reason_) return ReplicaPhase::stopped;
  if (in_transition_ || !round_ || round_->no_choice()) return ReplicaPhase::inactive;
  if (active_ && active_->confirmed) {
    return follows() ? ReplicaPhase::active : ReplicaPhase::loading;
  }
  return round_->choice() != nullptr ? ReplicaPhase::activating : ReplicaPhase::exchanging;
}

void Replica::Impl::check_invariants() const {
  CHECK(!active_ || round_);
  CHECK(!active_ || round_->choice() != nullptr);
  CHECK(!active_ || !active_->confirmed || delivered_.back().attempt.epoch == active_->epoch);
  CHECK(!staging_ || !follows());
  // Named before the CHECK, which keeps its condition as a text.
  const bool may_serve_early = MUTANT("ready_skipped");
  CHECK(!serving() || active_->holders.count(self_) == 1 || may_serve_early);
  CHECK(!server_ || table_);
  CHECK(delivered_.size() <= kDeliveredMax);
  CHECK(!table_ || table_->lineage.label().epoch.number > 0);
}

// ---- The shell

Replica::Replica(const ReplicaConfig& config, Processor self, std::optional<Record> record)
    : impl_(std::make_unique<Impl>(config, self, std::move(record))) {}
Replica::~Replica() = default;

void Replica::handle_event(Instant now, evs::Event&& event) {
  impl_->handle_event(now, std::move(event));
}
void Replica::set_clocks_agree(bool agree) {
  impl_->set_clocks_agree(agree);
}

void Replica::handle_evidence(Instant now, const evs::TokenEvidence* evidence) {
  impl_->handle_evidence(now, evidence);
}
void Replica::handle_record_written(Instant now, std::uint64_t id, bool ok) {
  impl_->handle_record_written(now, id, ok);
}
void Replica::handle_timeout(Instant now) {
  impl_->handle_timeout(now);
}
base::Result<void, SubmitError> Replica::submit(Instant, const Command::Body& body) {
  return impl_->submit(body);
}
std::optional<base::Buffer> Replica::poll_multicast(std::size_t room) {
  return impl_->poll_multicast(room);
}
std::optional<RecordWrite> Replica::poll_record_write() {
  return impl_->poll_record_write();
}
std::optional<Effect> Replica::poll_effect() {
  return impl_->poll_effect();
}
std::optional<Duration> Replica::next_timeout() const {
  return impl_->next_timeout();
}
std::optional<Instant> Replica::lease_deadline() const {
  return impl_->lease().deadline();
}
Duration Replica::lease_left(Instant now) const {
  return impl_->lease().left(now);
}
Duration Replica::lease_left(Instant now, SessionId session, Generation generation) const {
  return impl_->lease_left(now, session, generation);
}
const State* Replica::table() const {
  return impl_->table();
}
const State* Replica::last_table() const {
  return impl_->last_table();
}
std::uint64_t Replica::table_version() const {
  return impl_->table_version();
}
ReplicaPhase Replica::phase() const {
  return impl_->phase();
}
ReplicaStatus Replica::status(Instant now) const {
  return impl_->status(now);
}
const ReplicaStatistics& Replica::statistics() const {
  return impl_->statistics();
}
const std::optional<std::string>& Replica::stop_reason() const {
  return impl_->stop_reason();
}
void Replica::set_watcher(TableWatcher* watcher) {
  impl_->set_watcher(watcher);
}
void Replica::set_observer(ReplicaObserver* observer) {
  impl_->set_observer(observer);
}

void Replica::check_invariants() const {
  impl_->check_invariants();
}

}  // namespace lockd
