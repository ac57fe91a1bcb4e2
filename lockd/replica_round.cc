#include "lockd/replica_impl.h"

#include <algorithm>
#include <iterator>

#include "base/mutant.h"
#include "lockd/mix.h"

namespace lockd {

Exchange Replica::Impl::exchange() const {
  Exchange m;
  m.fingerprint = config_.fingerprint();
  m.lease = config_.lease;
  if (const std::optional<Record>& record = keeper_.durable()) {
    m.record = RecordClaim{record->role, record->last_active, record->attempts,
                           record->token_ceiling, record->lease_max};
  }
  if (table_) {
    m.table = TableClaim{table_->lineage.label(),       table_->position,
                         table_->state.digest(),        table_->state.next_token(),
                         table_->state.longest_lease(), table_->lineage.departures()};
    if (MUTANT("label_is_highest_activate") && !delivered_.empty()) {
      m.table->label.epoch = delivered_.back().attempt.epoch;
    }
  }
  m.delivered = delivered_;
  m.forgotten = forgotten_;
  return m;
}

void Replica::Impl::on(Instant now, const Processor& origin, Exchange&& m) {
  if (!round_ || !round_->add(origin, std::move(m)) || in_transition_) {
    return;
  }
  compare_claims();
  if (stop_reason_) {
    return;
  }
  for (const auto& [processor, told] : round_->exchanges()) {
    const bool votes = told.record && told.record->role == RecordRole::voter;
    statistics_.amnesiacs_refused += votes ? 0 : 1;
  }
  if (round_->choice() != nullptr) {
    statistics_.attempts_refuted += round_->choice()->refuted;
    chosen_at_ = now;
    begin_persisting();
  }
}

// Tables of one label are one table; those of different chains may differ [rule 6.13].
void Replica::Impl::compare_claims() {
  std::map<Label, Digests> claims;
  for (const auto& [processor, told] : round_->exchanges()) {
    if (told.table) {
      claims[told.table->label][processor] = mix(told.table->digest, told.table->position);
    }
  }
  for (const auto& [label, digests] : claims) {
    statistics_.digest_comparisons += digests.size() > 1 ? 1 : 0;
    const std::vector<Processor> odd = odd_ones(digests);
    if (std::binary_search(odd.begin(), odd.end(), self_)) {
      stop("state digest differs: the table of epoch " + to_string(label.epoch) +
           " is not that of others with the same history");
      return;
    }
  }
}

void Replica::Impl::begin_persisting() {
  const Choice& choice = *round_->choice();
  if (!std::binary_search(choice.voters.begin(), choice.voters.end(), self_)) {
    return;
  }
  if (keeper_.voter()) {
    Record record = keeper_.latest();
    record.last_active = choice.last_active;
    record.attempts = choice.unrefuted;
    record.attempts.push_back({choice.attempt, regular_.members});
    std::sort(record.attempts.begin(), record.attempts.end(),
              [](const Attempt& a, const Attempt& b) { return a.epoch < b.epoch; });
    record.token_ceiling =
        std::max(record.token_ceiling, choice.token_base + config_.token_range - 1);
    record.lease_max = std::max(record.lease_max, choice.lease_max);
    keeper_.want(std::move(record));
  }
  if (MUTANT("persisted_before_written") || !keeper_.voter()) {
    persisted_sent_ = true;
    send(Persisted{choice.token_base});
  }
}

void Replica::Impl::handle_record_written(Instant now, std::uint64_t id, bool ok) {
  if (stop_reason_) {
    return;
  }
  now_ = now;
  if (keeper_.written(id, ok)) {
    after_written();
  }
}

// Says what the durable record proves, to those who wait for it; only while its ring stands
// [rule 7.C].
void Replica::Impl::after_written() {
  if (in_transition_ || !round_ || !keeper_.durable()) {
    return;
  }
  const Record& record = *keeper_.durable();
  const Choice* choice = round_->choice();
  if (choice != nullptr && !active_ && !persisted_sent_ &&
      std::any_of(record.attempts.begin(), record.attempts.end(),
                  [&](const Attempt& attempt) { return attempt.epoch == choice->attempt; })) {
    persisted_sent_ = true;
    send(Persisted{choice->token_base});
  }
  if (active_ && active_->raise_to > active_->token_ceiling && !active_->raised_sent &&
      record.token_ceiling >= active_->raise_to) {
    active_->raised_sent = true;
    send(Raised{active_->raise_to});
  }
}

void Replica::Impl::on(Instant, const Processor& origin, Persisted&& m) {
  if (round_) {
    round_->add(origin, m);
    propose();
  }
}

// The lowest member speaks for all: everybody else would say the same.
void Replica::Impl::propose() {
  if (in_transition_ || active_ || activate_sent_ || regular_.members.front() != self_) {
    return;
  }
  if (std::optional<Activate> activate = round_->proposal(patience_)) {
    activate_sent_ = true;
    send(std::move(*activate));
  }
}

void Replica::Impl::on(Instant now, const Processor&, Activate&& m) {
  if (round_ && !active_ && round_->valid(m)) {
    begin_epoch(now, m);
  }
}

void Replica::Impl::begin_epoch(Instant now, const Activate& activate) {
  const Choice& choice = *round_->choice();
  active_ = Active();
  active_->epoch = choice.attempt;
  active_->voters = activate.voters;
  active_->holders.insert(choice.holders.begin(), choice.holders.end());
  active_->server = choice.holders.front();
  active_->token_ceiling = activate.token_base + config_.token_range - 1;
  remember_delivered({choice.attempt, regular_.members});
  statistics_.activations_in_transition += in_transition_ ? 1 : 0;
  if (observer_ != nullptr) {
    observer_->activated(active_->epoch, regular_.members, choice.holders, activate,
                         configuration_);
  }

  Lineage lineage(active_->epoch, regular_);
  if (in_transition_) {
    lineage.pass(configuration_);
  }
  if (!activate.donor) {
    table_.emplace(Table{State(config_.state_limits), std::move(lineage), 0});
    table_->state.start_cold(regular_.id, activate.token_base, activate.lease_max);
    staging_.reset();
    cold_wait_ = ColdWait{regular_.id, *stamps_.install(regular_.id), activate.cold_lease};
    ++statistics_.cold_starts;
    discard_effects();
    barrier_clocks_.restart(now, {});
    if (watcher_ != nullptr) watcher_->replaced(table_->state);
    return;
  }
  const bool holder = std::binary_search(choice.holders.begin(), choice.holders.end(), self_);
  if (holder || (MUTANT("ready_skipped") && table_)) {
    table_->lineage = std::move(lineage);
    table_->position = 0;
    staging_.reset();
    Effects effects;
    apply_activate(regular_.id, activate, table_->state, effects);
    note_applied(*delivering_, table_->state, effects);
    if (watcher_ != nullptr) watcher_->departed(table_->state, effects);
    take_effects(now, std::move(effects), 0);
    if (active_->holders.size() == regular_.members.size()) {
      server_.reset();  // Who wanted the rest is gone.
    }
    return;
  }
  // A staging goes on if it is one of the chosen chain: then a holder was with it all the way
  // [rule 7.B5].
  const bool keep = staging_ && (staging_->lineage().label() == *activate.donor ||
                                 MUTANT("staging_kept_across_chains"));
  if (keep && log_in_staging()) {
    staging_->lineage() = std::move(lineage);
    ++statistics_.stagings_kept;
  } else if (staging_) {
    staging_.reset();
    ++statistics_.snapshots_restarted;
  }
  server_.reset();
}

// The epoch is active in the regular configuration in which this node is Operational.
void Replica::Impl::confirm_epoch() {
  active_->confirmed = true;
  ++statistics_.activations;
  delivered_.back().regular = true;
  delivered_.erase(delivered_.begin(), std::prev(delivered_.end()));
  if (keeper_.voter()) {
    const bool counts = std::binary_search(active_->voters.begin(), active_->voters.end(), self_);
    statistics_.observers += counts ? 0 : 1;

    // The attempts before it can not have been the last any more, so the list is emptied
    // [rule 8.C1].
    Record record = keeper_.latest();
    record.last_active = active_->epoch;
    record.attempts.clear();
    record.token_ceiling = std::max(record.token_ceiling, active_->token_ceiling);
    record.lease_max = std::max(record.lease_max, round_->choice()->lease_max);
    keeper_.want(std::move(record));
  }
  if (follows()) {
    ++table_version_;
  } else if (staging_ && staging_->complete()) {
    send(Ready{staging_->id(), staging_->image_digest()});
  } else if (staging_ && staging_->reading()) {
    send(Want{Want::Rest{staging_->id(), staging_->offset()}});
  } else if (!staging_) {
    send(Want{});
  }  // Else it replays, and wants nothing more.
}

void Replica::Impl::remember_delivered(Attempt attempt) {
  delivered_.push_back({std::move(attempt), false});
  if (delivered_.size() > kDeliveredMax) {
    forgotten_ = std::max(forgotten_, delivered_.front().attempt.epoch.number);
    delivered_.erase(delivered_.begin());
  }
}

}  // namespace lockd
