#include "lockd/replica_impl.h"

#include <algorithm>
#include <variant>

#include "base/check.h"
#include "base/mutant.h"

namespace lockd {

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
    } else if (const auto* opened = std::get_if<BarrierOpened>(&effect)) {
      start_barrier_clock(now, opened->key);
    } else if (const auto* over = std::get_if<BarrierEnded>(&effect)) {
      barrier_clocks_.stop(over->key);
    }
    const Processor at = std::visit([](const auto& e) { return e.at; }, effect);
    if (at != self_) {
      continue;
    }
    to_tell = true;
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
    from = last_token                                ? *last_token
           : MUTANT("stranger_waits_from_its_start") ? Instant{}
                                                     : *stamps_.install(regular_.id);
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
  if (std::holds_alternative<Purge>(m.command.body)) {
    active_->purge_sent = false;
  }
  if (follows()) {
    ++statistics_.applied;
    statistics_.applied_in_transition += in_transition_ ? 1 : 0;
    Effects effects;
    table_->state.set_watched(watcher_ != nullptr);
    table_->state.apply(origin, m.command, effects);
    note_applied(*delivering_, table_->state, effects);
    if (watcher_ != nullptr) watcher_->applied(m.command, table_->state, effects);
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

void Replica::Impl::note_applied(const evs::Delivery& delivery, const State& state,
                                 const Effects& effects) const {
  if (observer_ != nullptr) {
    observer_->applied(active_->epoch, delivery, configuration_, state, effects);
  }
}

// What is being delivered, in the log of the snapshot that loads. It may be what completes it.
bool Replica::Impl::log_in_staging() {
  const bool was_complete = staging_->complete();
  if (!staging_->log(*delivering_, replayed())) {
    return false;
  }
  tell_ready(was_complete);
  return true;
}

Staging::Replayed Replica::Impl::replayed() const {
  return [this](const evs::Delivery& delivery, const State& state, const Effects& effects) {
    if (delivery.ring == regular_.id) {
      note_applied(delivery, state, effects);
    }
  };
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
      server_.emplace(id, table_->state.digest(), config_.chunk_bytes);
      if (!MUTANT("image_is_of_a_later_table")) server_->freeze(table_->state);
      ++statistics_.snapshots_served;
    }
  } else if (!staging_ || staging_->reading()) {
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
  const bool was_complete = staging_->complete();
  staging_->add(m);
  if (staging_->broken()) {
    stop("state digest differs: the snapshot does not load to what its server has");
    return;
  }
  tell_ready(was_complete);
}

// A bounded part of what the order brought while the image came. Not in a transition, which is
// short.
void Replica::Impl::replay_some() {
  if (!in_transition_ && staging_ && staging_->replaying()) {
    staging_->replay_some(config_.replay_step, replayed());
    tell_ready(false);
  }
}

// The staging is complete now; what comes from here on it replays at once [rule 7.B9]. In a ring
// that is not active yet that is told when it is.
void Replica::Impl::tell_ready(bool was_complete) {
  if (!was_complete && staging_->complete() && active_ && active_->confirmed && !in_transition_) {
    send(Ready{staging_->id(), staging_->image_digest()});
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
  barrier_clocks_.restart(now, table_->state.barriers().open_steps());
  // A cold table counts from the first ring in which this node received the flag [rule 7.A1].
  const std::optional<RingId> cold = table_->state.cold();
  if (cold && (!cold_wait_ || cold_wait_->ring != *cold)) {
    cold_wait_ = ColdWait{*cold, *stamps_.install(regular_.id), table_->state.longest_lease()};
  }
  if (watcher_ != nullptr) watcher_->replaced(table_->state);
  ++statistics_.snapshots_loaded;
  if (serving()) {
    ++table_version_;
  }
}

}  // namespace lockd
