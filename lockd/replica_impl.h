// The replica's insides: what it knows and what its inputs do. Its parts are replica.cc
// (configurations, sending), replica_round.cc (from EXCHANGE to ACTIVATE), replica_table.cc (the
// table and its transfer) and replica_duties.cc (lease, telling, waits and other work of a holder).
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lockd/activation.h"
#include "lockd/barrier_clocks.h"
#include "lockd/digest_watch.h"
#include "lockd/held_effects.h"
#include "lockd/lease.h"
#include "lockd/lineage.h"
#include "lockd/own_commands.h"
#include "lockd/replica.h"
#include "lockd/ring_message.h"
#include "lockd/snapshot_transfer.h"

namespace lockd {

using base::Duration;
using base::Processor;

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
  void set_clocks_agree(bool agree) { clocks_agree_ = agree; }
  void handle_record_written(Instant now, std::uint64_t id, bool ok);
  void handle_timeout(Instant now);
  base::Result<void, SubmitError> submit(const Command::Body& body);
  std::optional<base::Buffer> poll_multicast(std::size_t room);
  std::optional<RecordWrite> poll_record_write();
  std::optional<Effect> poll_effect();
  std::optional<Duration> next_timeout() const;

  void set_watcher(TableWatcher* watcher) { watcher_ = watcher; }
  void set_observer(ReplicaObserver* observer) { observer_ = observer; }
  const Lease& lease() const { return lease_; }
  const State* table() const { return serving() ? &table_->state : nullptr; }
  const State* last_table() const { return table_ ? &table_->state : nullptr; }
  Duration lease_left(Instant now, SessionId session, Generation generation) const;
  std::uint64_t table_version() const { return table_version_; }
  ReplicaPhase phase() const;
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
  void replay_some();
  void tell_ready(bool was_complete);
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
  void time_out_barriers(Instant now);
  void start_barrier_clock(Instant now, barrier::OutcomeKey key);
  void raise_ceiling();
  void start_snapshot();
  Duration orphan_wait() const;
  Duration stagger() const;

  void send(RingMessage::Body body);
  // Of 1970, for people.
  std::uint32_t second(Instant now) const;
  void send_command(Command::Body body);
  void stop(std::string reason);

  const ReplicaConfig config_;
  const Processor self_;

  ReplicaObserver* observer_ = nullptr;
  TableWatcher* watcher_ = nullptr;
  const evs::Delivery* delivering_ = nullptr;  // During its handler.
  std::optional<std::string> stop_reason_;
  ReplicaStatistics statistics_;

  Instant now_;
  evs::Configuration configuration_;  // The last one announced.
  evs::Configuration regular_;
  bool in_transition_ = true;
  bool operational_ = false;
  bool clocks_agree_ = true;
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
  BarrierClocks barrier_clocks_;
  OrphanWaits waits_;
  std::optional<ColdWait> cold_wait_;

  std::deque<base::Buffer> control_;
  OwnCommands own_;
  HeldEffects held_;
  bool may_tell_ = false;  // Decided at each evidence, until the next event.
};

}  // namespace lockd
