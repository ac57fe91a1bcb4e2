// The part of liblock/client.h that takes, converts and gives back locks, in threads that wait and
// for callbacks.
#include <algorithm>
#include <utility>

#include "liblock/client.h"
#include "liblock/clocks.h"

namespace liblock {
namespace {

// What a cancellation may take before we give the caller his time back and let the machine finish
// it.
constexpr Duration kCancelPatience = std::chrono::seconds(1);

// Has its answer without anybody giving anything back.
bool answered_at_once(LockFlags flags) {
  return (flags & (base::lock_flag::no_queue | base::lock_flag::adopt_orphan)) != 0;
}

std::optional<Duration> after(std::optional<Duration> timeout) {
  if (!timeout) return std::nullopt;
  return read_clocks().boot + *timeout;
}

}  // namespace

// ---- Acquires ----

int Client::acquire(const LockRequest& request, Timeout timeout, Notify notify,
                    lock_outcome& outcome) {
  Lock lock(mutex_);
  const auto asked = machine_.acquire(read_clocks(), request);
  if (!asked) return outcome.error = error_of(asked.error());
  if (notify.callback != nullptr) notify_[*asked] = notify;
  std::vector<lock_outcome> outcomes;
  await(*asked, 1);
  wait_for_acquire(lock, *asked, timeout, answered_at_once(request.flags), outcomes);
  outcome = outcomes.front();
  return outcome.error;
}

int Client::acquire_all(const AllRequest& request, Timeout timeout,
                        const std::vector<Notify>& notify, std::vector<lock_outcome>& outcomes) {
  Lock lock(mutex_);
  const auto asked = machine_.acquire_all(read_clocks(), request);
  if (!asked) return error_of(asked.error());
  for (std::size_t i = 0; i < notify.size(); ++i) {
    if (notify[i].callback != nullptr) notify_[base::part_of(*asked, i)] = notify[i];
  }
  await(*asked, request.parts.size());
  return wait_for_acquire(lock, *asked, timeout, answered_at_once(request.flags), outcomes);
}

int Client::acquire_async(const LockRequest& request, Notify notify, Callback callback,
                          std::uint64_t* id) {
  Lock lock(mutex_);
  const auto asked = machine_.acquire(read_clocks(), request);
  if (!asked) return error_of(asked.error());
  if (notify.callback != nullptr) notify_[*asked] = notify;
  await(*asked, 1);
  if (id != nullptr) *id = base::value(*asked);
  return finish(lock, asked, callback);
}

int Client::acquire_all_async(const AllRequest& request, const std::vector<Notify>& notify,
                              Callback callback, std::uint64_t* first) {
  Lock lock(mutex_);
  const auto asked = machine_.acquire_all(read_clocks(), request);
  if (!asked) return error_of(asked.error());
  for (std::size_t i = 0; i < notify.size(); ++i) {
    if (notify[i].callback != nullptr) notify_[base::part_of(*asked, i)] = notify[i];
  }
  await(*asked, request.parts.size());
  if (first != nullptr) *first = base::value(*asked);
  return finish(lock, asked, callback);
}

// Outcomes that are not known yet.
void Client::await(RequestId operation, std::size_t parts) {
  Waiter& waiter = waiters_[operation];
  waiter.thread = true;
  for (std::size_t i = 0; i < parts; ++i) {
    lock_outcome outcome{};
    outcome.size = sizeof outcome;
    outcome.grant.id = base::value(operation) + i;
    waiter.outcomes.push_back(outcome);
  }
}

int Client::wait_for_acquire(Lock& lock, RequestId first, Timeout timeout, bool at_once,
                             std::vector<lock_outcome>& outcomes) {
  if (at_once && !timeout) timeout = options_.answer_timeout;
  const Waiter& waiter = waiters_.at(first);
  const bool in_time = wait(lock, after(timeout), [&] { return waiter.done; });
  int error = at_once ? LOCK_ERROR_DAEMON_GONE : LOCK_ERROR_TIMEOUT;
  if (!in_time) {
    if (machine_.primary()) {
      withdraw(lock, first, first);
    } else {
      error = unavailable();
    }
  }
  const auto failed_as = [&](int why) {
    for (lock_outcome& outcome : outcomes) {
      outcome.error = why;
      outcome.grant.token = 0;
    }
  };
  outcomes = waiter.outcomes;
  if (!waiter.done) {
    machine_.forget(read_clocks(), first);
    failed_as(error);
  } else if (in_time || outcomes.front().error != LOCK_ERROR_CANCELLED) {
    error = recheck(outcomes);
  } else {
    failed_as(error);
  }
  if (error != 0) forget_notify(outcomes);
  finish_turn();
  waiters_.erase(first);
  return error;
}

// The outcome is what was ordered first, the grant or the cancellation.
void Client::withdraw(Lock& lock, RequestId operation, RequestId acquire) {
  (void)machine_.cancel(read_clocks(), acquire);
  const Waiter& waiter = waiters_.at(operation);
  wait(lock, read_clocks().boot + kCancelPatience,
       [&] { return waiter.done || !machine_.primary(); });
}

// Between the grant and the return of the call the lease may have ended, and then it was no grant.
int Client::recheck(std::vector<lock_outcome>& outcomes) {
  const Instant now = read_clocks();
  for (const lock_outcome& outcome : outcomes) {
    if (outcome.error != 0) return outcome.error;
  }
  const bool held = std::all_of(outcomes.begin(), outcomes.end(), [&](const lock_outcome& one) {
    return machine_.valid_for(now, RequestId{one.grant.id}) > Duration::zero();
  });
  if (held) return 0;
  for (lock_outcome& outcome : outcomes) {
    machine_.forget(now, RequestId{outcome.grant.id});
    outcome.error = LOCK_ERROR_LOST;
    outcome.grant.token = 0;
  }
  return LOCK_ERROR_LOST;
}

void Client::forget_notify(const std::vector<lock_outcome>& outcomes) {
  for (const lock_outcome& outcome : outcomes) notify_.erase(RequestId{outcome.grant.id});
}

int Client::cancel(std::uint64_t id) {
  Lock lock(mutex_);
  const auto cancelled = machine_.cancel(read_clocks(), RequestId{id});
  if (!cancelled) return error_of(cancelled.error());
  finish_turn();
  return 0;
}

// ---- Conversions ----

int Client::convert(const lock_grant& grant, const LockConversion& conversion, Timeout timeout,
                    Notify notify, lock_outcome& outcome) {
  Lock lock(mutex_);
  const RequestId acquire{grant.id};
  const auto asked = machine_.convert(read_clocks(), acquire, conversion);
  if (!asked) {
    outcome = as_held(acquire, error_of(asked.error()));
    return outcome.error;
  }
  notify_.erase(acquire);
  if (notify.callback != nullptr) notify_[acquire] = notify;
  const bool at_once = answered_at_once(conversion.flags);
  if (at_once && !timeout) timeout = options_.answer_timeout;
  await(*asked, 1);
  const Waiter& waiter = waiters_.at(*asked);
  const bool in_time = wait(lock, after(timeout), [&] { return waiter.done; });
  if (!in_time && machine_.primary()) withdraw(lock, *asked, acquire);
  if (!waiter.done) {
    outcome = as_held(acquire, unavailable());
    machine_.forget_operation(read_clocks(), *asked);
  } else {
    outcome = waiter.outcomes.front();
    if (!in_time && outcome.error == LOCK_ERROR_CANCELLED) outcome.error = LOCK_ERROR_TIMEOUT;
    const bool held = machine_.valid_for(read_clocks(), acquire) > Duration::zero();
    if (!held && outcome.error == 0) outcome.error = LOCK_ERROR_LOST;
    if (!held) outcome.grant.token = 0;
  }
  finish_turn();
  waiters_.erase(*asked);
  return outcome.error;
}

int Client::convert_async(const lock_grant& grant, const LockConversion& conversion, Notify notify,
                          Callback callback) {
  Lock lock(mutex_);
  const RequestId acquire{grant.id};
  const auto asked = machine_.convert(read_clocks(), acquire, conversion);
  if (!asked) return error_of(asked.error());
  notify_.erase(acquire);
  if (notify.callback != nullptr) notify_[acquire] = notify;
  await(*asked, 1);
  waiters_.at(*asked).conversion = true;
  return finish(lock, asked, callback);
}

lock_outcome Client::as_held(RequestId acquire, int error) const {
  lock_outcome outcome{};
  outcome.size = sizeof outcome;
  outcome.error = error;
  outcome.grant.id = base::value(acquire);
  if (const Grant* grant = machine_.grant(acquire)) {
    outcome.grant.token = base::value(grant->token());
    outcome.mode = static_cast<lock_mode>(grant->mode());
  }
  return outcome;
}

// ---- Releases ----

int Client::release(const lock_grant& grant, LockFlags flags,
                    const std::optional<ValueBlock>& value) {
  Lock lock(mutex_);
  const auto asked = machine_.release(read_clocks(), RequestId{grant.id}, flags, value);
  if (asked) notify_.erase(RequestId{grant.id});
  return finish(lock, asked, std::nullopt);
}

int Client::release_async(const lock_grant& grant, LockFlags flags,
                          const std::optional<ValueBlock>& value, Callback callback) {
  Lock lock(mutex_);
  const auto asked = machine_.release(read_clocks(), RequestId{grant.id}, flags, value);
  if (asked) notify_.erase(RequestId{grant.id});
  return finish(lock, asked, callback);
}

// With a callback, it is told of the outcome; without one, this thread waits for it.
int Client::finish(Lock& lock, const base::Result<RequestId, CallError>& asked,
                   const std::optional<Callback>& callback) {
  if (!asked) return error_of(asked.error());
  if (waiters_.count(*asked) == 0) await(*asked, 1);
  if (!callback) return wait_for_answer(lock, *asked);
  waiters_.at(*asked).thread = false;
  waiters_.at(*asked).callback = *callback;
  finish_turn();
  return 0;
}

int Client::wait_for_answer(Lock& lock, RequestId operation) {
  const Waiter& waiter = waiters_.at(operation);
  const bool answered = wait(lock, after(options_.answer_timeout), [&] { return waiter.done; });
  const int error = answered ? waiter.outcomes.front().error : unavailable();
  if (!answered) machine_.forget_operation(read_clocks(), operation);
  waiters_.erase(operation);
  return error;
}

}  // namespace liblock
