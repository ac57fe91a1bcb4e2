// A cluster lock that somebody holds: given back at the end of its scope, converted, and heard from
// (liblock/lock.hpp).
#ifndef LIBLOCK_HELD_HPP
#define LIBLOCK_HELD_HPP

#include <liblock/request.h>
#include <liblock/error.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

namespace ringlock {

enum class mode {
  nl = LOCK_MODE_NL,
  cr = LOCK_MODE_CR,
  cw = LOCK_MODE_CW,
  pr = LOCK_MODE_PR,  // Shared by readers.
  pw = LOCK_MODE_PW,
  ex = LOCK_MODE_EX,  // Alone.
};

// What each resource keeps for those who lock it.
using value_block = std::array<unsigned char, LOCK_VALUE_SIZE>;

// Told that somebody waits for a mode, and is kept from it; runs in dispatch().
using notify_function = std::function<void(mode)>;

// What can be asked beside the mode: lock_request and lock_conversion say what it means.
struct terms {
  unsigned flags = 0;
  std::uint64_t owner = LOCK_OWNER_DEFAULT;  // Of a request.
  std::chrono::milliseconds patience{0};
  notify_function notify;
  std::optional<value_block> value;  // To write, of a conversion.
};

namespace detail {

inline int milliseconds(std::chrono::milliseconds time) {
  return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(time.count(), 0, INT_MAX));
}

// Whom the locks of one client tell what happens to them. By the lock's id, so that a callback that
// comes late finds nobody, and not somebody who is gone.
class listeners {
 public:
  void add(std::uint64_t id, notify_function notify) {
    std::vector<mode> before;
    notify_function told;
    {
      const std::lock_guard guard(mutex_);
      entry& own = entries_[id];
      own.notify = std::move(notify);
      own.known = true;
      before.swap(own.before);
      told = own.notify;
    }
    if (!told) return;
    for (const mode wanted : before) told(wanted);
  }

  void remove(std::uint64_t id) {
    const std::lock_guard guard(mutex_);
    entries_.erase(id);
  }

  std::stop_token lost_token(std::uint64_t id) {
    const std::lock_guard guard(mutex_);
    return entries_[id].lost.get_token();
  }

  // Whoever waits for the lock may be told in another thread before its taker knows its id.
  static void on_blocked(lock_client*, const lock_grant* grant, enum lock_mode wanted, void* arg) {
    auto& all = *static_cast<listeners*>(arg);
    notify_function notify;
    {
      const std::lock_guard guard(all.mutex_);
      entry& own = all.entries_[grant->id];
      if (!own.known) own.before.push_back(static_cast<mode>(wanted));
      notify = own.notify;
    }
    if (notify) notify(static_cast<mode>(wanted));
  }

  static void on_lost(lock_client*, const lock_grant* grant, void* arg) {
    auto& all = *static_cast<listeners*>(arg);
    if (grant == nullptr) return;
    std::stop_source lost(std::nostopstate);
    {
      const std::lock_guard guard(all.mutex_);
      const auto found = all.entries_.find(grant->id);
      if (found != all.entries_.end()) lost = found->second.lost;
    }
    lost.request_stop();
  }

 private:
  struct entry {
    notify_function notify;
    bool known = false;
    std::vector<mode> before;  // What was told before it was known.
    std::stop_source lost;
  };

  std::mutex mutex_;
  std::map<std::uint64_t, entry> entries_;
};

}  // namespace detail

// A lock that is given back when this goes out of scope.
class held {
 public:
  held() = default;
  held(lock_client* client, const lock_grant& grant) : client_(client), grant_(grant) {}
  held(lock_client* client, std::shared_ptr<detail::listeners> listeners,
       const lock_outcome& outcome, notify_function notify = {})
      : client_(client), grant_(outcome.grant), listeners_(std::move(listeners)) {
    note(outcome);
    listeners_->add(grant_.id, std::move(notify));
  }
  held(held&& other) noexcept { swap(other); }
  held& operator=(held&& other) noexcept {
    if (this != &other) {
      drop();
      swap(other);
    }
    return *this;
  }
  ~held() { drop(); }

  // The fencing token, for whatever the lock protects; another one after each conversion.
  std::uint64_t token() const { return grant_.token; }

  mode how() const { return mode_; }

  // Bits LOCK_NOTE_* of how it was granted or converted last, and the value if that read it.
  unsigned notes() const { return notes_; }
  const std::optional<value_block>& value() const { return value_; }

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

  // Stopped when it is lost, in dispatch(): a courtesy to work that takes long. What must not
  // happen without the lock asks valid_for().
  std::stop_token lost_token() const {
    return listeners_ ? listeners_->lost_token(grant_.id) : std::stop_token();
  }

  // To another mode; waits without end. Throws, and is held as it was but for LOCK_NOTE_DEMOTED.
  void convert(mode wanted, const terms& how = {}) { check_conversion(change(wanted, how, -1)); }

  // False if it can not be converted now, or was not in time.
  bool try_convert(mode wanted, const terms& how = {}) {
    return convert_for(wanted, std::chrono::milliseconds(0), how);
  }
  bool convert_for(mode wanted, std::chrono::milliseconds timeout, const terms& how = {}) {
    const int error = change(wanted, how, detail::milliseconds(timeout));
    if (error == LOCK_ERROR_BUSY || error == LOCK_ERROR_TIMEOUT) return false;
    check_conversion(error);
    return true;
  }

  // Gives it back and waits for the daemon's word; errc::lost if it had been lost before.
  std::error_code release() noexcept { return release(0, nullptr); }

  // The same, and leaves a value behind if the mode is PW or EX.
  std::error_code release(const value_block& value) noexcept {
    return release(LOCK_FLAG_VALUE, value.data());
  }

 private:
  std::error_code release(unsigned flags, const void* value) noexcept {
    if (client_ == nullptr) return errc::not_held;
    forget();
    return code_of(lock_release_with(std::exchange(client_, nullptr), &grant_, flags, value));
  }

  // Of a lock that still converts, too: its caller has left by an exception.
  void drop() noexcept {
    if (client_ == nullptr) return;
    forget();
    lock_release_with_async(std::exchange(client_, nullptr), &grant_, LOCK_FLAG_FORCE, nullptr,
                            nullptr, nullptr);
  }

  void forget() noexcept {
    if (listeners_) listeners_->remove(grant_.id);
    listeners_.reset();
  }

  void swap(held& other) noexcept {
    std::swap(client_, other.client_);
    std::swap(grant_, other.grant_);
    std::swap(listeners_, other.listeners_);
    std::swap(mode_, other.mode_);
    std::swap(notes_, other.notes_);
    std::swap(value_, other.value_);
  }

  void note(const lock_outcome& outcome) {
    if (outcome.grant.token != 0) {
      grant_ = outcome.grant;
      mode_ = static_cast<mode>(outcome.mode);
    }
    notes_ = outcome.notes;
    value_.reset();
    if (outcome.has_value != 0) {
      std::copy(std::begin(outcome.value), std::end(outcome.value), value_.emplace().begin());
    }
  }

  int change(mode wanted, const terms& how, int timeout_ms) {
    if (client_ == nullptr) return LOCK_ERROR_NOT_HELD;
    lock_conversion conversion{};
    conversion.size = sizeof conversion;
    conversion.mode = static_cast<lock_mode>(wanted);
    conversion.flags = how.flags;
    conversion.patience_ms = static_cast<unsigned>(detail::milliseconds(how.patience));
    if (how.value) conversion.value = how.value->data();
    if (how.notify && listeners_) {
      listeners_->add(grant_.id, how.notify);
      conversion.notify = detail::listeners::on_blocked;
      conversion.notify_arg = listeners_.get();
    }
    lock_outcome outcome{};
    outcome.size = sizeof outcome;
    const int error = lock_convert(client_, &grant_, &conversion, timeout_ms, &outcome);
    note(outcome);
    return error;
  }

  void check_conversion(int error) const { check(client_, error, grant_.id, "lock_convert"); }

  lock_client* client_ = nullptr;
  lock_grant grant_{};
  std::shared_ptr<detail::listeners> listeners_;
  mode mode_ = mode::nl;
  unsigned notes_ = 0;
  std::optional<value_block> value_;
};

}  // namespace ringlock

#endif
