#include "lockd/replica_impl.h"

#include <algorithm>
#include <iterator>

#include "base/mutant.h"

namespace lockd {

constexpr std::uint64_t kAnyToken = std::uint64_t{1} << 63;

// ---- Lease and telling

void Replica::Impl::handle_evidence(Instant now, const evs::TokenEvidence* evidence) {
  if (stop_reason_) {
    return;
  }
  now_ = now;
  operational_ = evidence != nullptr && evidence->ring == regular_.id && !in_transition_;
  if (operational_) {
    if (serving() || !MUTANT("c_p_of_active_rings_only")) {
      stamps_.token(regular_.id, evidence->last_receipt);
    }
    if (active_ && !active_->confirmed) {
      confirm_epoch();
      keep_house(now);
    }
    // Only a table that shows a session attached lets its lease go on, and only in the ring in
    // which that table is the active one [rules 6.4, 6.6, 7.B4].
    if (evidence->confirmed && clocks_agree_ &&
        (serving() || (MUTANT("renewal_before_activate") && table_)) &&
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
  may_tell_ = operational_ && serving() &&
              (lease_.left(now) > Duration::zero() || MUTANT("grant_on_lapsed_lease"));
  if (!may_tell_) {
    held_.delay();
  }
}

// Rules 6.3 and 7.A6: the command was delivered in an active epoch, and at the last evidence, with
// no event since, this node was Operational in its ring, not in an install step, held its table,
// and its lease was live.
std::optional<Effect> Replica::Impl::poll_effect() {
  const bool leaks = MUTANT("told_in_transitional");
  if (!may_tell_ && !leaks) {
    return std::nullopt;
  }
  std::optional<HeldEffects::Told> told = held_.take(leaks ? kAnyToken : active_->token_ceiling);
  if (!told) {
    held_.delay();
    return std::nullopt;
  }
  statistics_.held_told += told->late ? 1 : 0;
  if (told->command != 0) {
    own_.settle(told->command);
  }
  return std::move(told->effect);
}

Duration Replica::Impl::lease_left(Instant now, SessionId session, Generation generation) const {
  const Session* found = table_ ? table_->state.find(session) : nullptr;
  const bool attached = found != nullptr && found->attached() && found->at == self_ &&
                        found->generation == generation;
  return attached ? lease_.left(now) : Duration::zero();
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
  time_out_barriers(now);
  end_cold(now);
  if (active_->server == self_) {
    start_snapshot();
  }
  if (*active_->holders.begin() == self_) {
    raise_ceiling();
    if (!active_->purge_sent && table_->state.purge_pending() && !MUTANT("purge_forgotten")) {
      active_->purge_sent = true;
      send_command(Purge{});
    }
  }
}

Duration Replica::Impl::orphan_wait() const {
  const Duration wait = config_.wait_for(std::max(config_.lease, table_->state.longest_lease()));
  if (MUTANT("wait_two_percent_short")) return wait * 98 / 100;
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

void Replica::Impl::time_out_barriers(Instant now) {
  const auto due = barrier_clocks_.take_due(now, stagger(), config_.barrier_time_out_again,
                                            config_.housekeeping_under_way);
  for (const barrier::OutcomeKey key : due) {
    if (MUTANT("barrier_time_out_forgotten")) continue;
    if (table_->state.barriers().find_open_step(key)) {
      send_command(BarrierTimeOut{key});
    } else {
      barrier_clocks_.stop(key);  // Its participants have withdrawn, or ended.
    }
  }
}

// Clocks of steps that ended with nobody to be told go when there are too many.
void Replica::Impl::start_barrier_clock(Instant now, barrier::OutcomeKey key) {
  const barrier::Table& barriers = table_->state.barriers();
  const std::optional<barrier::OpenStep> step = barriers.find_open_step(key);
  if (!step) return;
  if (barrier_clocks_.size() >= config_.state_limits.barriers.barriers * 4) {
    barrier_clocks_.drop([&](barrier::OutcomeKey of) { return !barriers.find_open_step(of); });
  }
  barrier_clocks_.start(now, *step);
}

void Replica::Impl::end_cold(Instant now) {
  const std::optional<RingId> cold = table_->state.cold();
  if (!cold || !cold_wait_ || cold_wait_->ring != *cold || active_->cold_end_sent) {
    return;
  }
  const Instant since = MUTANT("cold_end_from_own_start") ? Instant{} : cold_wait_->since;
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
  replay_some();
  keep_house(now);
}

std::optional<Duration> Replica::Impl::next_timeout() const {
  if (stop_reason_ || in_transition_) {
    return std::nullopt;
  }
  if (staging_ && staging_->replaying()) {
    return now_.boot;  // There is work to do.
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
    if (const std::optional<Duration> due = barrier_clocks_.next_due(stagger())) {
      const Duration when = std::max(now_.boot, *due);
      next = next ? std::min(*next, when) : when;
    }
    const std::optional<RingId> cold = table_->state.cold();
    if (cold && cold_wait_ && cold_wait_->ring == *cold && !active_->cold_end_sent) {
      at(cold_wait_->since, config_.wait_for(cold_wait_->lease) + stagger());
    }
  }
  return next;
}

}  // namespace lockd
