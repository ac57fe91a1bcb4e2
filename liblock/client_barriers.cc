// The part of liblock/client.h that takes part in barriers, in threads that wait and for callbacks.
#include <algorithm>
#include <utility>

#include "liblock/client.h"
#include "liblock/clocks.h"

namespace liblock {
namespace {

using protocol::BarrierGeneration;

std::optional<Duration> after(std::optional<Duration> timeout) {
  if (!timeout) return std::nullopt;
  return read_clocks().boot + *timeout;
}

}  // namespace

// ---- Arrivals ----

// What nobody has fetched counts, too.
bool Client::full_of_outcomes(const BarrierArrival& arrival) const {
  std::size_t untold = due_.barrier_ends();
  for (const auto& [id, waiter] : barrier_waiters_) untold += waiter.done ? 1 : 0;
  const std::size_t more = arrival.config.two_steps ? 2 : 1;
  return machine_.outcomes() + untold + more > kOutcomesMax;
}

int Client::arrive(const BarrierArrival& arrival, std::optional<BarrierCallback> callback,
                   std::uint64_t* id) {
  Lock lock(mutex_);
  if (full_of_outcomes(arrival)) return LOCK_ERROR_LIMIT;
  const auto asked = machine_.arrive(read_clocks(), arrival);
  if (!asked) return error_of(asked.error());
  barrier_waiters_[*asked].callback = callback;
  if (id != nullptr) *id = base::value(*asked);
  finish_turn();
  return 0;
}

int Client::wait_at_barrier(const BarrierArrival& arrival, Timeout timeout,
                            std::optional<BarrierEnd>& end) {
  Lock lock(mutex_);
  if (full_of_outcomes(arrival)) return LOCK_ERROR_LIMIT;
  const auto asked = machine_.arrive(read_clocks(), arrival);
  if (!asked) return error_of(asked.error());
  return wait_or_withdraw(lock, *asked, timeout, end);
}

int Client::await_barrier(std::uint64_t arrival, Timeout timeout, std::optional<BarrierEnd>& end) {
  Lock lock(mutex_);
  const auto found = barrier_waiters_.find(RequestId{arrival});
  if (found == barrier_waiters_.end() || found->second.awaited || found->second.callback) {
    return LOCK_ERROR_NOT_HELD;
  }
  if (timeout != Duration::zero()) return wait_or_withdraw(lock, found->first, timeout, end);
  BarrierWaiter& waiter = found->second;
  waiter.awaited = true;
  const bool done = wait(lock, read_clocks().boot, [&] { return waiter.done; });
  waiter.awaited = false;
  if (!done) return LOCK_ERROR_BUSY;
  return take_outcome(std::move(barrier_waiters_.extract(found).mapped()), end);
}

// The time is over for us alone: whether we count for the others, the order decides.
int Client::wait_or_withdraw(Lock& lock, RequestId arrival, Timeout timeout,
                             std::optional<BarrierEnd>& end) {
  BarrierWaiter& waiter = barrier_waiters_[arrival];
  waiter.awaited = true;
  const bool in_time = wait(lock, after(timeout), [&] { return waiter.done; });
  if (!in_time) {
    (void)machine_.withdraw(read_clocks(), arrival);
    wait(lock, after(options_.answer_timeout), [&] { return waiter.done; });
  }
  if (!waiter.done) machine_.forget_operation(read_clocks(), arrival);
  const int error = waiter.done ? 0 : unavailable();
  finish_turn();
  const auto taken = barrier_waiters_.extract(arrival);
  if (error != 0) return error;
  const int ended = take_outcome(std::move(taken.mapped()), end);
  return !in_time && ended == LOCK_ERROR_CANCELLED ? LOCK_ERROR_TIMEOUT : ended;
}

int Client::take_outcome(BarrierWaiter waiter, std::optional<BarrierEnd>& end) {
  end = std::move(waiter.end);
  return waiter.error;
}

int Client::withdraw(std::uint64_t arrival) {
  Lock lock(mutex_);
  if (barrier_waiters_.count(RequestId{arrival}) == 0) return LOCK_ERROR_NOT_HELD;
  const auto withdrawn = machine_.withdraw(read_clocks(), RequestId{arrival});
  if (!withdrawn) return error_of(withdrawn.error());
  finish_turn();
  return 0;
}

// ---- The second step ----

int Client::leave_barrier(std::uint64_t generation, std::string_view value, Timeout timeout,
                          std::optional<BarrierEnd>& end) {
  Lock lock(mutex_);
  const auto asked = machine_.leave_barrier(read_clocks(), BarrierGeneration{generation}, value);
  if (!asked) return error_of(asked.error());
  BarrierWaiter& waiter = barrier_waiters_[*asked];
  waiter.awaited = true;
  const bool in_time = wait(lock, after(timeout), [&] { return waiter.done; });
  if (in_time) {
    due_.forget_broken(BarrierGeneration{generation});
    return take_outcome(std::move(barrier_waiters_.extract(*asked).mapped()), end);
  }
  machine_.forget_operation(read_clocks(), *asked);
  barrier_waiters_.erase(*asked);
  finish_turn();
  return machine_.open() && machine_.primary() ? LOCK_ERROR_TIMEOUT : unavailable();
}

int Client::leave_barrier_async(std::uint64_t generation, std::string_view value,
                                BarrierCallback callback) {
  Lock lock(mutex_);
  const auto asked = machine_.leave_barrier(read_clocks(), BarrierGeneration{generation}, value);
  if (!asked) return error_of(asked.error());
  due_.forget_broken(BarrierGeneration{generation});
  BarrierWaiter& waiter = barrier_waiters_[*asked];
  waiter.leaves = true;
  waiter.callback = callback;
  finish_turn();
  return 0;
}

// ---- For who keeps barriers ----

int Client::create_barrier(std::string_view lockspace, std::string_view barrier,
                           const protocol::BarrierConfig& config) {
  Lock lock(mutex_);
  return finish(lock, machine_.create_barrier(read_clocks(), lockspace, barrier, config),
                std::nullopt);
}

int Client::change_barrier(std::string_view lockspace, std::string_view barrier,
                           protocol::BarrierAttribute attribute, std::uint32_t value) {
  Lock lock(mutex_);
  return finish(lock, machine_.change_barrier(read_clocks(), lockspace, barrier, attribute, value),
                std::nullopt);
}

int Client::cancel_barrier(std::string_view lockspace, std::string_view barrier) {
  Lock lock(mutex_);
  return finish(lock, machine_.cancel_barrier(read_clocks(), lockspace, barrier), std::nullopt);
}

int Client::delete_barrier(std::string_view lockspace, std::string_view barrier, bool force) {
  Lock lock(mutex_);
  return finish(lock, machine_.delete_barrier(read_clocks(), lockspace, barrier, force),
                std::nullopt);
}

// ---- What is told ----

void Client::on_barrier_broken(lock_barrier_broken_fn* callback, void* arg) {
  Lock lock(mutex_);
  listeners_.broken = callback;
  listeners_.broken_arg = arg;
}

// The arrival that a callback is told is what its call gave; a leave has given none.
void Client::complete(RequestId operation, int error, std::optional<BarrierEnd> end) {
  const auto found = barrier_waiters_.find(operation);
  if (found == barrier_waiters_.end()) return;
  BarrierWaiter& waiter = found->second;
  if (!waiter.callback) {
    waiter.done = true;
    waiter.error = error;
    waiter.end = std::move(end);
    return;
  }
  due_.barriers.push_back({waiter.callback->function, waiter.callback->arg,
                           waiter.leaves ? 0 : base::value(operation), error, std::move(end)});
  barrier_waiters_.erase(found);
}

}  // namespace liblock
