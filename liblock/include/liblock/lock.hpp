// Cluster locks from C++20, header-only over liblock/lock.h, which says what each call means, what
// can go wrong and what a lock is worth when the network is broken.
//
//   ringlock::client client;
//   ringlock::held job = client.acquire("jobs");  // Given back at the end of the scope.
//   write_fenced(job.token(), record);
//
//   ringlock::mutex mutex(client, "jobs");  // Or as the standard library has it.
//   std::scoped_lock lock(mutex);
//
// Calls that fail throw std::system_error with a code of ringlock::category(), which compares with
// ringlock::errc. A client may be used by several threads at once, and must outlive what was taken
// with it.
#ifndef LIBLOCK_LOCK_HPP
#define LIBLOCK_LOCK_HPP

#include <liblock/lock.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

namespace ringlock {

enum class errc {
  busy = LOCK_ERROR_BUSY,
  timeout = LOCK_ERROR_TIMEOUT,
  cancelled = LOCK_ERROR_CANCELLED,
  not_quorate = LOCK_ERROR_NOT_QUORATE,
  no_daemon = LOCK_ERROR_NO_DAEMON,
  daemon_gone = LOCK_ERROR_DAEMON_GONE,
  lost = LOCK_ERROR_LOST,
  not_held = LOCK_ERROR_NOT_HELD,
  invalid = LOCK_ERROR_INVALID,
  limit = LOCK_ERROR_LIMIT,
  permission = LOCK_ERROR_PERMISSION,
  version = LOCK_ERROR_VERSION,
  protocol = LOCK_ERROR_PROTOCOL,
  forked = LOCK_ERROR_FORKED,
  system = LOCK_ERROR_SYSTEM,
  try_again = LOCK_ERROR_TRY_AGAIN,
  too_slow = LOCK_ERROR_TOO_SLOW,
  not_joined = LOCK_ERROR_NOT_JOINED,
  stale = LOCK_ERROR_STALE,
  in_use = LOCK_ERROR_IN_USE,
  damaged = LOCK_ERROR_DAMAGED,
  file = LOCK_ERROR_FILE,
};

inline const std::error_category& category() noexcept {
  class Category : public std::error_category {
   public:
    const char* name() const noexcept override { return "ringlock"; }
    std::string message(int code) const override { return lock_strerror(code); }
  };
  static const Category instance;
  return instance;
}

inline std::error_code make_error_code(errc error) noexcept {
  return {static_cast<int>(error), category()};
}

}  // namespace ringlock

template <>
struct std::is_error_code_enum<ringlock::errc> : std::true_type {};

namespace ringlock {

enum class mode {
  nl = LOCK_MODE_NL,
  cr = LOCK_MODE_CR,
  cw = LOCK_MODE_CW,
  pr = LOCK_MODE_PR,  // Shared by readers.
  pw = LOCK_MODE_PW,
  ex = LOCK_MODE_EX,  // Alone.
};

inline std::error_code code_of(int error) noexcept {
  return {error, category()};
}

inline void check(int error, const char* what) {
  if (error < 0) throw std::system_error(code_of(error), what);
}

// A lock that is given back when this goes out of scope.
class held {
 public:
  held() = default;
  held(lock_client* client, const lock_grant& grant) : client_(client), grant_(grant) {}
  held(held&& other) noexcept
      : client_(std::exchange(other.client_, nullptr)), grant_(other.grant_) {}
  held& operator=(held&& other) noexcept {
    if (this != &other) {
      drop();
      client_ = std::exchange(other.client_, nullptr);
      grant_ = other.grant_;
    }
    return *this;
  }
  ~held() { drop(); }

  // The fencing token, for whatever the lock protects.
  std::uint64_t token() const { return grant_.token; }

  // How long it is certainly still held; zero if it was lost, released or moved from.
  std::chrono::nanoseconds valid_for() const {
    if (client_ == nullptr) return std::chrono::nanoseconds(0);
    return std::chrono::nanoseconds(lock_valid_for_ns(client_, &grant_));
  }
  bool is_held() const { return valid_for() > std::chrono::nanoseconds(0); }

  // Held, but nobody prolongs it: a time to bring work to an end (lock_health() in lock.h).
  bool in_jeopardy() const {
    return client_ != nullptr && lock_health(client_, &grant_) == LOCK_HEALTH_JEOPARDY;
  }

  // Gives it back and waits for the daemon's word; errc::lost if it had been lost before.
  std::error_code release() noexcept {
    if (client_ == nullptr) return errc::not_held;
    return code_of(lock_release(std::exchange(client_, nullptr), &grant_));
  }

 private:
  void drop() noexcept {
    if (client_ != nullptr)
      lock_release_async(std::exchange(client_, nullptr), &grant_, nullptr, nullptr);
  }

  lock_client* client_ = nullptr;
  lock_grant grant_{};
};

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
    check(lock_connect(&plain, &client_), "lock_connect");
  }
  client(client&& other) noexcept : client_(std::exchange(other.client_, nullptr)) {}
  client& operator=(client&& other) noexcept {
    std::swap(client_, other.client_);
    return *this;
  }
  ~client() { lock_close(client_); }

  // Waits without end.
  held acquire(const resource& what, mode how = mode::ex) {
    for (;;) {
      lock_grant grant{};
      const int error = take(what, how, -1, grant);
      if (error == 0) return held(client_, grant);
      // Granted while we slept through the lease, and given back: the next one is ours.
      if (error != LOCK_ERROR_LOST) check(error, "lock_acquire");
    }
  }

  // None if somebody else has it.
  std::optional<held> try_acquire(const resource& what, mode how = mode::ex) {
    return acquire_for(what, std::chrono::milliseconds(0), how);
  }

  // None if it was not granted in time.
  std::optional<held> acquire_for(const resource& what, std::chrono::milliseconds timeout,
                                  mode how = mode::ex) {
    const auto most = std::clamp<std::chrono::milliseconds::rep>(timeout.count(), 0, INT_MAX);
    lock_grant grant{};
    const int error = take(what, how, static_cast<int>(most), grant);
    if (error == LOCK_ERROR_BUSY || error == LOCK_ERROR_TIMEOUT || error == LOCK_ERROR_LOST) {
      return std::nullopt;
    }
    check(error, "lock_acquire");
    return held(client_, grant);
  }

  // For programs with an event loop: see lock_dispatch().
  int fd() const { return lock_fd(client_); }
  int timeout_ms() const { return lock_timeout_ms(client_); }
  void dispatch() { check(lock_dispatch(client_), "lock_dispatch"); }

  lock_client* native_handle() const { return client_; }

 private:
  int take(const resource& what, mode how, int timeout_ms, lock_grant& grant) {
    return lock_acquire(client_, what.lockspace.c_str(), what.name.data(), what.name.size(),
                        static_cast<lock_mode>(how), timeout_ms, &grant);
  }

  lock_client* client_ = nullptr;
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
