// The part of liblock/client.h that hears what the machine tells, and passes it on to whoever
// waits.
#include <utility>

#include "liblock/client.h"
#include "liblock/error.h"

namespace liblock {
namespace {

constexpr std::size_t kNewsMax = 4096;

lock_outcome outcome_of(int error, const Granted& lock) {
  lock_outcome outcome{};
  outcome.size = sizeof outcome;
  outcome.error = error;
  outcome.grant = {base::value(lock.request), base::value(lock.token)};
  outcome.mode = static_cast<lock_mode>(lock.mode);
  outcome.notes = lock.notes;
  outcome.has_value = lock.value ? 1 : 0;
  if (lock.value) {
    for (std::size_t i = 0; i < lock.value->size(); ++i) {
      outcome.value[i] = std::to_integer<unsigned char>((*lock.value)[i]);
    }
  }
  return outcome;
}

lock_outcome failed_outcome(int error, RequestId lock) {
  return outcome_of(error, Granted{lock});
}

}  // namespace

// A grant that its owner has not been told of is not lost to him: it was never granted. A thread
// that has not returned yet checks.
void Client::on(const GrantLost& lost) {
  const lock_grant grant{base::value(lost.request), base::value(lost.token)};
  notify_.erase(lost.request);
  if (due_.lost_untold(grant.id) || waiter_of(grant.id) != nullptr) return;
  if (listeners_.lost != nullptr) due_.lost(grant);
}

void Client::on_jeopardy_news(bool jeopardy) {
  if (listeners_.jeopardy != nullptr) due_.jeopardy_is(jeopardy);
}

void Client::on(const SessionLost&) {
  if (listeners_.lost != nullptr) due_.lost(std::nullopt);
}

void Client::on(const Granted& granted) {
  complete(granted.request, {outcome_of(0, granted)});
}

void Client::on(const GrantedAll& granted) {
  std::vector<lock_outcome> outcomes;
  for (const Granted& part : granted.parts) outcomes.push_back(outcome_of(0, part));
  complete(granted.parts.front().request, std::move(outcomes));
}

void Client::on(const Failed& failed) {
  if (!failed.advice.empty()) advice_ = failed.advice;
  deadlocks_.add(base::value(failed.request), failed.deadlock);
  const Waiter* waiter = waiter_of(base::value(failed.request));
  const std::size_t parts = waiter == nullptr ? 1 : waiter->outcomes.size();
  std::vector<lock_outcome> outcomes;
  for (std::size_t i = 0; i < parts; ++i) {
    const RequestId part = base::part_of(failed.request, i);
    outcomes.push_back(failed_outcome(error_of(failed.failure), part));
  }
  forget_notify(outcomes);
  complete(failed.request, std::move(outcomes));
}

void Client::on(const Converted& converted) {
  complete(converted.operation, {outcome_of(0, converted.lock)});
}

void Client::on(const ConversionFailed& failed) {
  if (!failed.advice.empty()) advice_ = failed.advice;
  deadlocks_.add(base::value(failed.lock.request), failed.deadlock);
  complete(failed.operation, {outcome_of(error_of(failed.failure), failed.lock)});
}

void Client::on(const Released& released) {
  const int error = released.in_time ? 0 : LOCK_ERROR_LOST;
  complete(released.operation, {failed_outcome(error, released.request)});
}

void Client::on(const Blocked& blocked) {
  if (notify_.count(blocked.request) != 0) due_.blocked(blocked);
}

void Client::on(const Done& done) {
  if (!done.advice.empty()) advice_ = done.advice;
  complete(done.operation, {failed_outcome(done.failure ? error_of(*done.failure) : 0, {})});
}

void Client::on(const BarrierEnded& ended) {
  const bool released = ended.end.outcome.ending == protocol::BarrierEnding::released;
  complete(ended.operation, released ? 0 : LOCK_ERROR_BROKEN, ended.end);
}

void Client::on(const BarrierFailed& failed) {
  if (!failed.advice.empty()) advice_ = failed.advice;
  complete(failed.operation, error_of(failed.failure), std::nullopt);
}

void Client::on(const BarrierBroken& broken) {
  if (listeners_.broken == nullptr) return;
  due_.barriers.push_back({nullptr, nullptr, 0, LOCK_ERROR_BROKEN, broken.end});
}

void Client::on(const LockspaceChanged& changed) {
  if (listeners_.lockspace != nullptr) due_.lockspace_is(changed.state);
}

void Client::on(const LockspaceGone& gone) {
  if (!gone.advice.empty()) advice_ = gone.advice;
  if (listeners_.lockspace != nullptr) due_.lockspace_gone(gone.lockspace, error_of(gone.failure));
}

void Client::on(const QueryAnswered& answered) {
  const auto found = answers_.find(answered.query);
  if (found != answers_.end()) found->second = answered.answer;
}

// While the callback of the watch takes its time other threads hear more: of what is too much, how
// much it was.
void Client::on(const Watched& watched) {
  if (news_.size() < kNewsMax) {
    news_.push_back(watched.news);
    return;
  }
  auto* gap = std::get_if<protocol::WatchGap>(&news_.back());
  if (gap == nullptr) gap = &std::get<protocol::WatchGap>(news_.emplace_back(protocol::WatchGap{}));
  const auto* later = std::get_if<protocol::WatchGap>(&watched.news);
  gap->resync = gap->resync || (later != nullptr && later->resync);
  gap->lost += later != nullptr ? later->lost : 1;
}

void Client::on(const Refused& refused) {
  refused_ = error_of_refusal(refused.refusal);
  advice_ = refused.advice;
}

void Client::on(const Disabled& disabled) {
  refused_ = disabled_ = error_of_refusal(disabled.refusal);
  advice_ = disabled.advice;
}

int Client::error_of(Failure failure) const {
  switch (failure) {
    case Failure::busy:
      return LOCK_ERROR_BUSY;
    case Failure::cancelled:
      return LOCK_ERROR_CANCELLED;
    case Failure::not_quorate:
      return LOCK_ERROR_NOT_QUORATE;
    case Failure::lost:
      return LOCK_ERROR_LOST;
    case Failure::limit:
      return LOCK_ERROR_LIMIT;
    case Failure::invalid:
      return LOCK_ERROR_INVALID;
    case Failure::timed_out:
      return LOCK_ERROR_TIMEOUT;
    case Failure::deadlock:
      return LOCK_ERROR_DEADLOCK;
    case Failure::in_progress:
      return LOCK_ERROR_IN_PROGRESS;
    case Failure::not_found:
      return LOCK_ERROR_NOT_FOUND;
    case Failure::exists:
      return LOCK_ERROR_EXISTS;
    case Failure::different:
      return LOCK_ERROR_DIFFERENT;
    case Failure::not_member:
      return LOCK_ERROR_NOT_JOINED;
    case Failure::not_permitted:
      return LOCK_ERROR_PERMISSION;
    case Failure::disabled:
      break;
  }
  return disabled_;
}

// Who waits for this request, or for several of which it is one.
Client::Waiter* Client::waiter_of(std::uint64_t id) {
  const auto next = waiters_.upper_bound(RequestId{id});
  if (next == waiters_.begin()) return nullptr;
  const auto found = std::prev(next);
  const bool within = id - base::value(found->first) < found->second.outcomes.size();
  return within ? &found->second : nullptr;
}

void Client::complete(RequestId operation, std::vector<lock_outcome> outcomes) {
  const auto found = waiters_.find(operation);
  if (found == waiters_.end()) return;
  Waiter& waiter = found->second;
  if (waiter.thread) {
    waiter.done = true;
    waiter.outcomes = std::move(outcomes);
    return;
  }
  if (!std::holds_alternative<std::monostate>(waiter.callback.function)) {
    due_.completed({waiter.callback, waiter.conversion, std::move(outcomes)});
  }
  waiters_.erase(found);
}

}  // namespace liblock
