// Cluster locks from C++20, header-only over liblock/lock.h, which says what each call means, what
// can go wrong and what a lock is worth when the network is broken.
//
//   ringlock::client client;
//   ringlock::held job = client.acquire("jobs");  // Given back at the end of the scope.
//   write_fenced(job.token(), record);
//
//   job.convert(ringlock::mode::pr);  // Shared from now on.
//
//   ringlock::mutex mutex(client, "jobs");  // Or as the standard library has it.
//   std::scoped_lock lock(mutex);
//
// Calls that fail throw std::system_error with a code of ringlock::category(), which compares with
// ringlock::errc; a deadlock, ringlock::deadlock. A client may be used by several threads at once,
// and must outlive what was taken with it. What locks hear of (notifications, losses as stop
// tokens) comes while somebody calls dispatch().
#ifndef LIBLOCK_LOCK_HPP
#define LIBLOCK_LOCK_HPP

#include <liblock/request.h>
#include <liblock/error.hpp>
#include <liblock/held.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace ringlock {

struct options {
  std::string socket_path;                      // Empty: LOCKD_SOCKET, or the default.
  std::string command;                          // Empty: this process' command line.
  std::chrono::milliseconds answer_timeout{0};  // Zero: the default.
};

// Where the lock is: a name in a lockspace.
struct resource {
  resource(std::string_view resource_name) : name(resource_name) {}
  resource(const char* resource_name) : name(resource_name) {}
  resource(const std::string& resource_name) : name(resource_name) {}
  resource(std::string_view in_lockspace, std::string_view resource_name)
      : lockspace(in_lockspace), name(resource_name) {}

  std::string lockspace = "default";
  std::string name;
};

class client {
 public:
  explicit client(const options& wanted = {}) {
    lock_options plain{};
    plain.size = sizeof plain;
    if (!wanted.socket_path.empty()) plain.socket_path = wanted.socket_path.c_str();
    if (!wanted.command.empty()) plain.command = wanted.command.c_str();
    plain.answer_timeout_ms = static_cast<int>(wanted.answer_timeout.count());
    listeners_ = std::make_shared<detail::listeners>();
    check(lock_connect(&plain, &client_), "lock_connect");
    lock_on_lost(client_, detail::listeners::on_lost, listeners_.get());
  }
  client(client&& other) noexcept
      : client_(std::exchange(other.client_, nullptr)), listeners_(std::move(other.listeners_)) {}
  client& operator=(client&& other) noexcept {
    std::swap(client_, other.client_);
    std::swap(listeners_, other.listeners_);
    return *this;
  }
  ~client() { lock_close(client_); }

  // Waits without end.
  held acquire(const resource& what, mode how = mode::ex, const terms& on = {}) {
    for (;;) {
      lock_outcome outcome{};
      const int error = take(what, how, on, -1, outcome);
      if (error == 0) return held(client_, listeners_, outcome, on.notify);
      // Granted while we slept through the lease, and given back: the next one is ours.
      if (error != LOCK_ERROR_LOST) check_taken(error, outcome);
    }
  }

  // None if somebody else has it.
  std::optional<held> try_acquire(const resource& what, mode how = mode::ex, const terms& on = {}) {
    return acquire_for(what, std::chrono::milliseconds(0), how, on);
  }

  // None if it was not granted in time.
  std::optional<held> acquire_for(const resource& what, std::chrono::milliseconds timeout,
                                  mode how = mode::ex, const terms& on = {}) {
    lock_outcome outcome{};
    const int error = take(what, how, on, detail::milliseconds(timeout), outcome);
    if (not_taken(error)) return std::nullopt;
    check_taken(error, outcome);
    return held(client_, listeners_, outcome, on.notify);
  }

  // All at one moment, or none: several owners that do so do not wait for each other in a ring.
  // Waits without end; what it returns gives each back by itself.
  std::vector<held> acquire_all(const std::vector<resource>& what, mode how = mode::ex,
                                const terms& on = {}) {
    std::vector<held> taken;
    int error = LOCK_ERROR_LOST;
    while (error == LOCK_ERROR_LOST) error = take_all(what, how, on, -1, taken);
    return taken;
  }

  // None if not all of them were granted in time.
  std::optional<std::vector<held>> acquire_all_for(const std::vector<resource>& what,
                                                   std::chrono::milliseconds timeout,
                                                   mode how = mode::ex, const terms& on = {}) {
    std::vector<held> taken;
    const int error = take_all(what, how, on, detail::milliseconds(timeout), taken);
    return error == 0 ? std::optional(std::move(taken)) : std::nullopt;
  }

  // For programs with an event loop: see lock_dispatch().
  int fd() const { return lock_fd(client_); }
  int timeout_ms() const { return lock_timeout_ms(client_); }
  void dispatch() { check(lock_dispatch(client_), "lock_dispatch"); }

  // Its lock_on_lost() is taken: by what stops held::lost_token().
  lock_client* native_handle() const { return client_; }

 private:
  static bool not_taken(int error) {
    return error == LOCK_ERROR_BUSY || error == LOCK_ERROR_TIMEOUT || error == LOCK_ERROR_LOST;
  }

  lock_request request_for(const resource& what, mode how, const terms& on) const {
    lock_request request{};
    request.size = sizeof request;
    request.lockspace = what.lockspace.c_str();
    request.name = what.name.data();
    request.name_len = what.name.size();
    request.mode = static_cast<lock_mode>(how);
    request.flags = on.flags;
    request.owner = on.owner;
    request.patience_ms = static_cast<unsigned>(detail::milliseconds(on.patience));
    if (on.notify) {
      request.notify = detail::listeners::on_blocked;
      request.notify_arg = listeners_.get();
    }
    return request;
  }

  int take(const resource& what, mode how, const terms& on, int timeout_ms, lock_outcome& outcome) {
    const lock_request request = request_for(what, how, on);
    outcome.size = sizeof outcome;
    const int error = lock_acquire_with(client_, &request, timeout_ms, &outcome);
    if (error != 0) listeners_->remove(outcome.grant.id);
    return error;
  }

  // Throws what is neither a time-out nor LOST.
  int take_all(const std::vector<resource>& what, mode how, const terms& on, int timeout_ms,
               std::vector<held>& taken) {
    std::vector<lock_request> requests;
    for (const resource& one : what) requests.push_back(request_for(one, how, on));
    std::vector<lock_outcome> outcomes(std::max<std::size_t>(what.size(), 1));
    outcomes.front().size = sizeof outcomes.front();
    const int error =
        lock_acquire_all(client_, requests.data(), requests.size(), timeout_ms, outcomes.data());
    for (const lock_outcome& outcome : outcomes) {
      if (error == 0) {
        taken.emplace_back(client_, listeners_, outcome, on.notify);
      } else {
        listeners_->remove(outcome.grant.id);
      }
    }
    if (!not_taken(error) || (timeout_ms < 0 && error != LOCK_ERROR_LOST)) {
      check_taken(error, outcomes.front());
    }
    return error;
  }

  void check_taken(int error, const lock_outcome& outcome) const {
    check(client_, error, outcome.grant.id, "lock_acquire");
  }

  lock_client* client_ = nullptr;
  std::shared_ptr<detail::listeners> listeners_;
};

// Meets SharedTimedMutex: for std::unique_lock, std::shared_lock, std::scoped_lock. As in the
// standard library the thread that locks unlocks, and no thread locks again what it has locked.
// What lock() cannot do it throws; unlock() never throws, and says nothing if the lock was lost
// before: ask valid_for() while it matters.
class shared_mutex {
 public:
  shared_mutex(client& owner, resource what) : client_(owner), resource_(std::move(what)) {}
  shared_mutex(const shared_mutex&) = delete;
  shared_mutex& operator=(const shared_mutex&) = delete;

  void lock() { keep(client_.acquire(resource_, mode::ex)); }
  bool try_lock() { return keep(client_.try_acquire(resource_, mode::ex)); }
  template <typename Rep, typename Period>
  bool try_lock_for(const std::chrono::duration<Rep, Period>& time) {
    return keep(client_.acquire_for(resource_, up(time), mode::ex));
  }
  template <typename Clock, typename Length>
  bool try_lock_until(const std::chrono::time_point<Clock, Length>& time) {
    return try_lock_for(time - Clock::now());
  }
  void unlock() noexcept { drop(); }

  void lock_shared() { keep(client_.acquire(resource_, mode::pr)); }
  bool try_lock_shared() { return keep(client_.try_acquire(resource_, mode::pr)); }
  template <typename Rep, typename Period>
  bool try_lock_shared_for(const std::chrono::duration<Rep, Period>& time) {
    return keep(client_.acquire_for(resource_, up(time), mode::pr));
  }
  template <typename Clock, typename Length>
  bool try_lock_shared_until(const std::chrono::time_point<Clock, Length>& time) {
    return try_lock_shared_for(time - Clock::now());
  }
  void unlock_shared() noexcept { drop(); }

  // Of the calling thread's lock; zero if it has none.
  std::uint64_t token() const {
    const std::lock_guard guard(mutex_);
    const auto mine = held_.find(std::this_thread::get_id());
    return mine == held_.end() ? 0 : mine->second.token();
  }
  std::chrono::nanoseconds valid_for() const {
    const std::lock_guard guard(mutex_);
    const auto mine = held_.find(std::this_thread::get_id());
    return mine == held_.end() ? std::chrono::nanoseconds(0) : mine->second.valid_for();
  }

 private:
  template <typename Rep, typename Period>
  static std::chrono::milliseconds up(const std::chrono::duration<Rep, Period>& time) {
    return std::chrono::ceil<std::chrono::milliseconds>(time);
  }

  // By thread, so that one whose lock was lost does not unlock that of the next.
  void keep(held mine) {
    const std::lock_guard guard(mutex_);
    held_.insert_or_assign(std::this_thread::get_id(), std::move(mine));
  }
  bool keep(std::optional<held> mine) {
    if (mine) keep(std::move(*mine));
    return mine.has_value();
  }
  void drop() noexcept {
    held mine;
    const std::lock_guard guard(mutex_);
    const auto found = held_.find(std::this_thread::get_id());
    if (found == held_.end()) return;
    mine = std::move(found->second);
    held_.erase(found);
  }

  client& client_;
  const resource resource_;
  mutable std::mutex mutex_;  // Guards held_.
  std::map<std::thread::id, held> held_;
};

// Meets TimedMutex. Exclusive, and otherwise as shared_mutex.
class mutex {
 public:
  mutex(client& owner, resource what) : shared_(owner, std::move(what)) {}

  void lock() { shared_.lock(); }
  bool try_lock() { return shared_.try_lock(); }
  template <typename Rep, typename Period>
  bool try_lock_for(const std::chrono::duration<Rep, Period>& time) {
    return shared_.try_lock_for(time);
  }
  template <typename Clock, typename Length>
  bool try_lock_until(const std::chrono::time_point<Clock, Length>& time) {
    return shared_.try_lock_until(time);
  }
  void unlock() noexcept { shared_.unlock(); }

  std::uint64_t token() const { return shared_.token(); }
  std::chrono::nanoseconds valid_for() const { return shared_.valid_for(); }

 private:
  shared_mutex shared_;
};

}  // namespace ringlock

#endif
