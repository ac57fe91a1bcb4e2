#include "lockd/replica.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <utility>
#include <variant>

#include "base/check.h"
#include "base/mutant.h"
#include "lockd/activation.h"
#include "lockd/digest_watch.h"
#include "lockd/held_effects.h"
#include "lockd/lease.h"
#include "lockd/lineage.h"
#include "lockd/mix.h"
#include "lockd/own_commands.h"
#include "lockd/ring_message.h"
#include "lockd/snapshot_transfer.h"

namespace lockd {

using base::Duration;
using base::Processor;

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

class Replica::Impl {
 public:
  Impl(const ReplicaConfig& config, Processor self, std::optional<Record> record)
      : config_(config),
        self_(self),
        keeper_(std::move(record)),
        lease_(config_),
        own_(config_.commands_max, config_.command_bytes_max) {}

  void handle_event(Instant now, evs::Event&& event);
  void handle_evidence(Instant now, const evs::TokenEvidence* evidence);
  void handle_record_written(Instant now, std::uint64_t id, bool ok);
  void handle_timeout(Instant now);
  base::Result<void, SubmitError> submit(Command command);
  std::optional<base::Buffer> poll_multicast(std::size_t room);
  std::optional<RecordWrite> poll_record_write();
  std::optional<Effect> poll_effect();
  std::optional<Duration> next_timeout() const;

  void set_observer(ReplicaObserver* observer) { observer_ = observer; }
  const Lease& lease() const { return lease_; }
  const State* table() const { return serving() ? &table_->state : nullptr; }
  Duration lease_left(Instant now, SessionId session, Generation generation) const;
  std::uint64_t table_version() const { return table_version_; }
  ReplicaStatus status(Instant now) const;
  const ReplicaStatistics& statistics() const { return statistics_; }
  const std::optional<std::string>& stop_reason() const { return stop_reason_; }
  void check_invariants() const;

 private:
  struct Table {
    State state;
    Lineage lineage;
    std::uint64_t position = 0;  // Steps of its epoch that it stands for.
  };

  // An epoch whose ACTIVATE was delivered in the ring that stands, or in its transitional
  // configuration.
  struct Active {
    Epoch epoch;
    std::vector<Processor> voters;
    std::set<Processor> holders;
    Processor server;  // Of snapshots: the lowest of the first holders.

    // Seen Operational in this ring after the delivery: it was no delivery of an install step
    // [rule 7.A7].
    bool confirmed = false;

    std::uint64_t steps = 0;  // Commands, SNAPSHOTs and READYs ordered in it.
    std::uint64_t digest_step = 0;

    std::uint64_t token_ceiling = 0;  // Covered by the records of a majority.
    std::uint64_t raise_to = 0;
    std::set<Processor> raised;
    bool raise_sent = false;
    bool raised_sent = false;

    bool snapshot_wanted = false;
    bool snapshot_sent = false;
    bool purge_sent = false;
    bool cold_end_sent = false;
  };

  struct ColdWait {
    RingId ring;
    Instant since;
    Duration lease{0};
  };

  // Configurations.
  void on_transitional(evs::ConfigurationChange&& change);
  void on_regular(evs::ConfigurationChange&& change);
  void on_delivery(Instant now, const evs::Delivery& delivery);

  // Messages.
  void on(Instant now, const Processor& origin, Exchange&& m);
  void on(Instant now, const Processor& origin, Persisted&& m);
  void on(Instant now, const Processor& origin, Activate&& m);
  void on(Instant now, const Processor& origin, Ordered&& m);
  void on(Instant now, const Processor& origin, Want&& m);
  void on(Instant now, const Processor& origin, Snapshot&& m);
  void on(Instant now, const Processor& origin, Chunk&& m);
  void on(Instant now, const Processor& origin, Ready&& m);
  void on(Instant now, const Processor& origin, DigestVote&& m);
  void on(Instant now, const Processor& origin, Raise&& m);
  void on(Instant now, const Processor& origin, Raised&& m);

  // The round.
  Exchange exchange() const;
  void compare_claims();
  void begin_persisting();
  void after_written();
  void propose();
  void begin_epoch(Instant now, const Activate& activate);
  void confirm_epoch();
  void remember_delivered(Attempt attempt);
  void note_applied(const evs::Delivery& delivery, const State& state,
                    const Effects& effects) const;
  bool log_in_staging();
  Staging::Replayed replayed() const;

  // The table.
  bool follows() const;
  bool serving() const {
    return active_ && active_->confirmed && !in_transition_ && follows() && !stop_reason_;
  }
  void discard_effects();
  void take_effects(Instant now, Effects&& effects, std::uint64_t command);
  void freeze(Instant now, const Mark& mark);
  void adopt_staging(Instant now);
  void step(bool digest_due);

  // Periodic work of a holder.
  void keep_house(Instant now);
  void expire_orphans(Instant now);
  void end_cold(Instant now);
  void raise_ceiling();
  void start_snapshot();
  Duration orphan_wait() const;
  Duration stagger() const;

  void tell(Instant now);
  void send(RingMessage::Body body);
  void send_command(Command::Body body);
  void stop(std::string reason);

  const ReplicaConfig config_;
  const Processor self_;

  ReplicaObserver* observer_ = nullptr;
  const evs::Delivery* delivering_ = nullptr;  // During its handler.
  std::optional<std::string> stop_reason_;
  ReplicaStatistics statistics_;

  Instant now_;
  evs::Configuration configuration_;  // The last one announced.
  evs::Configuration regular_;
  bool in_transition_ = true;
  bool operational_ = false;
  std::optional<RingId> first_ring_;
  RingStamps stamps_;

  RecordKeeper keeper_;
  std::vector<Delivered> delivered_;
  std::uint64_t forgotten_ = 0;

  std::optional<Round> round_;
  std::optional<Instant> chosen_at_;
  bool patience_ = true;
  bool persisted_sent_ = false;
  bool activate_sent_ = false;

  std::optional<Active> active_;
  std::optional<Table> table_;
  std::uint64_t table_version_ = 0;
  DigestWatch digest_watch_;

  std::optional<Staging> staging_;
  std::optional<SnapshotServer> server_;
  std::uint64_t snapshots_ = 0;
  std::map<std::uint64_t, std::uint64_t> snapshot_digests_;  // Of this ring's SNAPSHOTs, by number.

  Lease lease_;
  OrphanWaits waits_;
  std::optional<ColdWait> cold_wait_;

  std::deque<base::Buffer> control_;
  OwnCommands own_;
  HeldEffects held_;
  std::deque<Effect> told_;
};

// ---- Configurations

void Replica::Impl::handle_event(Instant now, evs::Event&& event) {
  if (stop_reason_) {
    return;
  }
  now_ = now;
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
  stamps_.token(regular_.id, change.last_token);
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
    table_->state.apply_departures(table_->lineage.departures(), effects);
    take_effects(now_, std::move(effects), 0);
  }
}

void Replica::Impl::on_regular(evs::ConfigurationChange&& change) {
  configuration_ = std::move(change.configuration);
  regular_ = configuration_;
  in_transition_ = false;
  operational_ = false;
  stamps_.installed(regular_.id, change.last_token);
  if (!first_ring_) {
    first_ring_ = regular_.id;
  }
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

// ---- The round

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
  active_.emplace();
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
    return;
  }
  const bool holder = std::binary_search(choice.holders.begin(), choice.holders.end(), self_);
  if (holder || (MUTANT("ready_skipped") && table_)) {
    table_->lineage = std::move(lineage);
    table_->position = 0;
    staging_.reset();
    Effects effects;
    apply_activate(activate, table_->state, effects);
    note_applied(*delivering_, table_->state, effects);
    take_effects(now, std::move(effects), 0);
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
  } else if (staging_) {
    send(Want{Want::Rest{staging_->id(), staging_->offset()}});
  } else {
    send(Want{});
  }
}

void Replica::Impl::note_applied(const evs::Delivery& delivery, const State& state,
                                 const Effects& effects) const {
  if (observer_ != nullptr) {
    observer_->applied(active_->epoch, delivery, configuration_, state, effects);
  }
}

// What is being delivered, in the log of the snapshot that loads.
bool Replica::Impl::log_in_staging() {
  return staging_->log(*delivering_, replayed());
}

Staging::Replayed Replica::Impl::replayed() const {
  return [this](const evs::Delivery& delivery, const State& state, const Effects& effects) {
    if (delivery.ring == regular_.id) {
      note_applied(delivery, state, effects);
    }
  };
}

void Replica::Impl::remember_delivered(Attempt attempt) {
  delivered_.push_back({std::move(attempt), false});
  if (delivered_.size() > kDeliveredMax) {
    forgotten_ = std::max(forgotten_, delivered_.front().attempt.epoch.number);
    delivered_.erase(delivered_.begin());
  }
}

// ---- The table

bool Replica::Impl::follows() const {
  return active_ && table_ && table_->lineage.label().epoch == active_->epoch;
}

// The table they came of is no longer this node's: what was not told is asked again [rule 6.12].
void Replica::Impl::discard_effects() {
  server_.reset();
  if (!MUTANT("held_replies_after_load")) {
    statistics_.held_discarded += held_.discard();
  }
  own_.send_all_again();
  waits_.clear();
}

void Replica::Impl::take_effects(Instant now, Effects&& effects, std::uint64_t command) {
  bool to_tell = false;
  for (Effect& effect : effects) {
    if (const auto* orphan = std::get_if<BecameOrphan>(&effect)) {
      ++statistics_.orphans_marked;
      freeze(now, orphan->mark);
    } else if (const auto* ended = std::get_if<SessionEnded>(&effect)) {
      statistics_.orphans_expired += ended->reason == SessionEnded::Reason::expired ? 1 : 0;
      waits_.remove(ended->session);
    } else if (const auto* resumed = std::get_if<Resumed>(&effect)) {
      if (resumed->outcome == Resumed::Outcome::resumed && waits_.remove(resumed->session)) {
        ++statistics_.orphans_resumed;
      }
    }
    const Processor at = std::visit([](const auto& e) { return e.at; }, effect);
    if (at != self_) {
      continue;
    }
    to_tell = true;
    if (MUTANT("told_in_transitional") && in_transition_) {
      told_.push_back(effect);
    }
    held_.add(std::move(effect), command, table_->state.next_token());
  }
  if (in_transition_) {
    held_.delay();
  }
  if (command != 0) {
    own_.applied(command);
    if (!to_tell) {
      own_.settle(command);
    }
  }
}

// c_p of a mark: this node's last token of the mark's ring if it was in it; else its install of the
// ring in which it first saw the mark [rules 6.4, 7.A2]. A mark of the ring that stands counts from
// now, which is no earlier than the last token.
void Replica::Impl::freeze(Instant now, const Mark& mark) {
  Instant from = now;
  if (mark.ring != regular_.id) {
    const std::optional<Instant> last_token = stamps_.last_token(mark.ring);
    from = last_token ? *last_token : *stamps_.install(regular_.id);
  } else if (MUTANT("leave_frees_at_once")) {
    from = now + -orphan_wait();
  }
  waits_.add(mark, from);
}

void Replica::Impl::on(Instant now, const Processor& origin, Ordered&& m) {
  if (!active_) {
    ++statistics_.before_activate_ignored;  // [rule 6.22]
    return;
  }
  if (m.command.ring != regular_.id) {
    ++statistics_.malformed;
    return;
  }
  if (std::holds_alternative<Purge>(m.command.body)) {
    active_->purge_sent = false;
  }
  if (follows()) {
    ++statistics_.applied;
    statistics_.applied_in_transition += in_transition_ ? 1 : 0;
    Effects effects;
    table_->state.apply(origin, m.command, effects);
    note_applied(*delivering_, table_->state, effects);
    take_effects(now, std::move(effects), origin == self_ ? m.number : 0);
  } else if (staging_) {
    if (!log_in_staging()) {
      // Following costs more than loading again: from a later place in the order [rule 7.B3].
      staging_.reset();
      ++statistics_.snapshots_restarted;
      if (active_->confirmed) {
        send(Want{});
      }
    }
  }
  step(false);
}

// One more place in the order at which all tables of the epoch are equal.
void Replica::Impl::step(bool digest_due) {
  ++active_->steps;
  if (follows()) {
    table_->position = active_->steps;
  }
  if (!digest_due && active_->steps - active_->digest_step < config_.digest_interval) {
    return;
  }
  active_->digest_step = active_->steps;
  if (in_transition_) {
    return;
  }
  digest_watch_.expect(active_->steps, active_->holders);
  if (follows()) {
    send(DigestVote{active_->steps, table_->state.digest()});
  }
}

void Replica::Impl::on(Instant, const Processor& origin, DigestVote&& m) {
  const std::optional<Digests> digests = digest_watch_.vote(origin, m.step, m.digest);
  if (!digests) {
    return;
  }
  statistics_.digest_comparisons += digests->size() > 1 ? 1 : 0;
  const std::vector<Processor> odd = odd_ones(*digests);
  if (std::binary_search(odd.begin(), odd.end(), self_)) {
    stop("state digest differs: at step " + std::to_string(m.step) + " of epoch " +
         to_string(active_->epoch));
  }
}

// ---- Snapshots

void Replica::Impl::on(Instant, const Processor&, Want&& m) {
  if (!active_ || active_->server != self_ || !follows()) {
    return;
  }
  if (m.rest && server_ && server_->id() == m.rest->id) {
    server_->resume(m.rest->offset);
  } else {
    active_->snapshot_wanted = true;
  }
}

// One snapshot serves every newcomer that wants one when it is ordered.
void Replica::Impl::start_snapshot() {
  if (active_->snapshot_wanted && !active_->snapshot_sent && (!server_ || server_->idle())) {
    active_->snapshot_sent = true;
    send(Snapshot{++snapshots_});
  }
}

void Replica::Impl::on(Instant, const Processor& origin, Snapshot&& m) {
  if (!active_ || origin != active_->server) {
    return;
  }
  const SnapshotId id{regular_.id, m.number};
  if (follows()) {
    snapshot_digests_[m.number] = table_->state.digest();
    if (origin == self_) {
      active_->snapshot_wanted = false;
      active_->snapshot_sent = false;
      server_.emplace(id, table_->state);
      ++statistics_.snapshots_served;
    }
  } else if (!staging_ || !staging_->complete()) {
    statistics_.snapshots_restarted += staging_ ? 1 : 0;
    Lineage lineage(active_->epoch, regular_);
    if (in_transition_) {
      lineage.pass(configuration_);
    }
    staging_.emplace(id, std::move(lineage), config_.state_limits, config_.staging_log_bytes_max);
  }
  step(true);
}

void Replica::Impl::on(Instant, const Processor& origin, Chunk&& m) {
  if (!active_ || origin != active_->server) {
    return;
  }
  if (origin == self_ && server_ && server_->id() == m.id) {
    server_->delivered();
  }
  if (!staging_ || follows()) {
    return;
  }
  if (staging_->add(m, replayed()) && active_->confirmed && !in_transition_) {
    send(Ready{staging_->id(), staging_->image_digest()});
  }
  if (staging_->broken()) {
    stop("state digest differs: the snapshot does not load to what its server has");
  }
}

void Replica::Impl::on(Instant now, const Processor& origin, Ready&& m) {
  if (!active_ || active_->holders.count(origin) != 0) {
    return;
  }
  const auto known = snapshot_digests_.find(m.id.number);
  if (follows() && m.id.ring == regular_.id && known != snapshot_digests_.end() &&
      known->second != m.digest) {
    stop("state digest differs: a snapshot was served that is not this table");
    return;
  }
  active_->holders.insert(origin);
  if (origin == self_) {
    adopt_staging(now);
  }
  if (active_->holders.size() == regular_.members.size()) {
    server_.reset();
  }
  step(true);
}

void Replica::Impl::adopt_staging(Instant now) {
  CHECK(staging_ && staging_->complete());
  table_.emplace(Table{staging_->take(), staging_->lineage(), active_->steps});
  staging_.reset();
  discard_effects();
  for (const Mark& mark : table_->state.orphans()) {
    freeze(now, mark);
  }
  // A cold table counts from the first ring in which this node received the flag [rule 7.A1].
  const std::optional<RingId> cold = table_->state.cold();
  if (cold && (!cold_wait_ || cold_wait_->ring != *cold)) {
    cold_wait_ = ColdWait{*cold, *stamps_.install(regular_.id), table_->state.longest_lease()};
  }
  ++statistics_.snapshots_loaded;
  if (serving()) {
    ++table_version_;
  }
}

// ---- Tokens

void Replica::Impl::on(Instant, const Processor&, Raise&& m) {
  if (!active_ || m.token_ceiling <= std::max(active_->raise_to, active_->token_ceiling)) {
    return;
  }
  active_->raise_to = m.token_ceiling;
  active_->raised.clear();
  active_->raised_sent = false;
  if (keeper_.voter() && !in_transition_) {
    Record record = keeper_.latest();
    record.token_ceiling = std::max(record.token_ceiling, m.token_ceiling);
    keeper_.want(std::move(record));
  }
}

void Replica::Impl::on(Instant, const Processor& origin, Raised&& m) {
  if (!active_ || m.token_ceiling != active_->raise_to ||
      m.token_ceiling <= active_->token_ceiling) {
    return;
  }
  const std::vector<Processor>& voters = round_->choice()->voters;
  if (!std::binary_search(voters.begin(), voters.end(), origin)) {
    return;
  }
  active_->raised.insert(origin);
  std::uint32_t votes = 0;
  for (const Processor& voter : active_->raised) {
    votes += config_.votes_of(voter.node);
  }
  if (votes >= config_.majority()) {
    active_->token_ceiling = m.token_ceiling;
    active_->raise_sent = false;
    ++statistics_.ceilings_raised;
  }
}

void Replica::Impl::raise_ceiling() {
  if (!active_->raise_sent &&
      table_->state.next_token() > active_->token_ceiling - config_.token_range / 2) {
    active_->raise_sent = true;
    send(Raise{std::max(active_->token_ceiling, table_->state.next_token()) + config_.token_range});
  }
}

// ---- Periodic work

void Replica::Impl::keep_house(Instant now) {
  if (!serving()) {
    return;
  }
  expire_orphans(now);
  end_cold(now);
  if (active_->server == self_) {
    start_snapshot();
  }
  if (*active_->holders.begin() == self_) {
    raise_ceiling();
    if (!active_->purge_sent && table_->state.purge_pending()) {
      active_->purge_sent = true;
      send_command(Purge{});
    }
  }
}

Duration Replica::Impl::orphan_wait() const {
  const Duration wait = config_.wait_for(std::max(config_.lease, table_->state.longest_lease()));
  return MUTANT("wait_ten_percent_short") ? wait * 9 / 10 : wait + stagger();
}

// Every holder is a witness; they speak one after another, so that usually one does.
Duration Replica::Impl::stagger() const {
  const auto rank = std::distance(active_->holders.begin(), active_->holders.find(self_));
  return config_.expire_stagger * rank;
}

void Replica::Impl::expire_orphans(Instant now) {
  const std::size_t taken = waits_.taken();
  if (taken >= config_.housekeeping_under_way) {
    return;
  }
  for (const Mark& mark :
       waits_.take_due(now, orphan_wait(), config_.housekeeping_under_way - taken)) {
    if (table_->state.waits(mark)) {
      send_command(Expire{mark});
    } else {
      waits_.remove(mark.session);
    }
  }
}

void Replica::Impl::end_cold(Instant now) {
  const std::optional<RingId> cold = table_->state.cold();
  if (!cold || !cold_wait_ || cold_wait_->ring != *cold || active_->cold_end_sent) {
    return;
  }
  const Instant since = MUTANT("cold_end_from_own_start")
                            ? stamps_.install(*first_ring_).value_or(now)
                            : cold_wait_->since;
  if (base::elapsed_at_least(since, now) >= config_.wait_for(cold_wait_->lease) + stagger()) {
    active_->cold_end_sent = true;
    send_command(ColdEnd{*cold});
  }
}

void Replica::Impl::handle_timeout(Instant now) {
  if (stop_reason_) {
    return;
  }
  now_ = now;
  if (chosen_at_ && !active_ &&
      base::elapsed_at_least(*chosen_at_, now) >= config_.persist_timeout) {
    patience_ = false;
    propose();
  }
  keep_house(now);
}

std::optional<Duration> Replica::Impl::next_timeout() const {
  if (stop_reason_ || in_transition_) {
    return std::nullopt;
  }
  std::optional<Duration> next;
  const auto at = [&](Instant from, Duration wait) {
    const Duration left = wait - base::elapsed_at_least(from, now_);
    const Duration when = now_.boot + std::max(Duration::zero(), left);
    next = next ? std::min(*next, when) : when;
  };
  if (chosen_at_ && !active_ && patience_ && regular_.members.front() == self_) {
    at(*chosen_at_, config_.persist_timeout);
  }
  if (serving()) {
    if (waits_.taken() < config_.housekeeping_under_way) {
      if (const std::optional<Duration> due = waits_.next_due(now_, orphan_wait())) {
        next = next ? std::min(*next, *due) : *due;
      }
    }
    const std::optional<RingId> cold = table_->state.cold();
    if (cold && cold_wait_ && cold_wait_->ring == *cold && !active_->cold_end_sent) {
      at(cold_wait_->since, config_.wait_for(cold_wait_->lease) + stagger());
    }
  }
  return next;
}

// ---- Lease and telling

void Replica::Impl::handle_evidence(Instant now, const evs::TokenEvidence* evidence) {
  if (stop_reason_) {
    return;
  }
  now_ = now;
  operational_ = evidence != nullptr && evidence->ring == regular_.id && !in_transition_;
  if (operational_) {
    stamps_.token(regular_.id, evidence->last_receipt);
    if (active_ && !active_->confirmed) {
      confirm_epoch();
      keep_house(now);
    }
    // Only a table that shows a session attached lets its lease go on, and only in the ring in
    // which that table is the active one [rules 6.4, 6.6, 7.B4].
    if (evidence->confirmed && (serving() || (MUTANT("renewal_before_activate") && table_)) &&
        lease_.renew(evidence->confirmed_release)) {
      ++statistics_.renewals;
    }
    if (MUTANT("c_p_not_frozen") && serving()) {
      waits_.clear();
      for (const Mark& mark : table_->state.orphans()) {
        waits_.add(mark, evidence->last_receipt);
      }
    }
  }
  tell(now);
}

// Rules 6.3 and 7.A6: the command was delivered in an active epoch, this node is Operational in its
// ring, not in an install step, holds its table, and its lease is live now.
void Replica::Impl::tell(Instant now) {
  const bool live = lease_.left(now) > Duration::zero() || MUTANT("grant_on_lapsed_lease");
  if (operational_ && serving() && live) {
    while (std::optional<HeldEffects::Told> told = held_.take(active_->token_ceiling)) {
      statistics_.held_told += told->late ? 1 : 0;
      if (told->command != 0) {
        own_.settle(told->command);
      }
      told_.push_back(std::move(told->effect));
    }
  }
  held_.delay();
}

std::optional<Effect> Replica::Impl::poll_effect() {
  if (told_.empty()) {
    return std::nullopt;
  }
  Effect effect = std::move(told_.front());
  told_.pop_front();
  return effect;
}

Duration Replica::Impl::lease_left(Instant now, SessionId session, Generation generation) const {
  const Session* found = table_ ? table_->state.find(session) : nullptr;
  const bool attached = found != nullptr && found->attached() && found->at == self_ &&
                        found->generation == generation;
  return attached ? lease_.left(now) : Duration::zero();
}

// ---- Sending

base::Result<void, SubmitError> Replica::Impl::submit(Command command) {
  if (stop_reason_) {
    return base::error(SubmitError::stopped);
  }
  if (!own_.has_room() || held_.size() >= config_.held_effects_max) {
    return base::error(SubmitError::try_again);
  }
  own_.add(std::move(command));
  return {};
}

void Replica::Impl::send(RingMessage::Body body) {
  if (!in_transition_) {
    control_.push_back(encode(RingMessage{regular_.id, std::move(body)}));
  }
}

void Replica::Impl::send_command(Command::Body body) {
  send(Ordered{0, Command{regular_.id, std::move(body)}});
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
    return message;
  }
  constexpr std::size_t kChunkOverhead = 128;
  if (server_ && active_->server == self_ && room >= config_.chunk_bytes + kChunkOverhead) {
    if (std::optional<Chunk> chunk = server_->next(config_.chunk_bytes, config_.chunks_under_way)) {
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
  told_.clear();
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
  if (stop_reason_) {
    status.phase = ReplicaPhase::stopped;
  } else if (in_transition_ || !round_ || round_->no_choice()) {
    status.phase = ReplicaPhase::inactive;
  } else if (active_ && active_->confirmed) {
    status.phase = follows() ? ReplicaPhase::active : ReplicaPhase::loading;
    status.epoch = active_->epoch;
    status.holders = active_->holders.size();
    status.observer = keeper_.voter() &&
                      !std::binary_search(active_->voters.begin(), active_->voters.end(), self_);
  } else {
    status.phase =
        round_->choice() != nullptr ? ReplicaPhase::activating : ReplicaPhase::exchanging;
  }
  return status;
}

void Replica::Impl::check_invariants() const {
  CHECK(!active_ || round_);
  CHECK(!active_ || round_->choice() != nullptr);
  CHECK(!active_ || !active_->confirmed || delivered_.back().attempt.epoch == active_->epoch);
  CHECK(!staging_ || !follows());
  CHECK(!serving() || active_->holders.count(self_) == 1);
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
void Replica::handle_evidence(Instant now, const evs::TokenEvidence* evidence) {
  impl_->handle_evidence(now, evidence);
}
void Replica::handle_record_written(Instant now, std::uint64_t id, bool ok) {
  impl_->handle_record_written(now, id, ok);
}
void Replica::handle_timeout(Instant now) {
  impl_->handle_timeout(now);
}
base::Result<void, SubmitError> Replica::submit(Instant, Command command) {
  return impl_->submit(std::move(command));
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
std::uint64_t Replica::table_version() const {
  return impl_->table_version();
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
void Replica::set_observer(ReplicaObserver* observer) {
  impl_->set_observer(observer);
}

void Replica::check_invariants() const {
  impl_->check_invariants();
}

}  // namespace lockd
