// What can go wrong with a cluster lock, as the standard library has errors (liblock/lock.hpp).
#ifndef LIBLOCK_ERROR_HPP
#define LIBLOCK_ERROR_HPP

#include <liblock/request.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

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
  deadlock = LOCK_ERROR_DEADLOCK,
  in_progress = LOCK_ERROR_IN_PROGRESS,
  not_found = LOCK_ERROR_NOT_FOUND,
  exists = LOCK_ERROR_EXISTS,
  broken = LOCK_ERROR_BROKEN,
  different = LOCK_ERROR_DIFFERENT,
};

inline const std::error_category& category() noexcept {
  class Category : public std::error_category {
   public:
    const char* name() const noexcept override { return "ringlock"; }
    std::string message(int code) const override { return lock_strerror(code); }

    // What the standard library's guards and conditions know by a name of their own.
    std::error_condition default_error_condition(int code) const noexcept override {
      if (code == LOCK_ERROR_DEADLOCK) return std::errc::resource_deadlock_would_occur;
      return {code, *this};
    }
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

inline std::error_code code_of(int error) noexcept {
  return {error, category()};
}

inline void check(int error, const char* what) {
  if (error < 0) throw std::system_error(code_of(error), what);
}

// A wait that was refused, with the ring of waits that it would have closed: each step for the lock
// of the next, the last for the first. Empty if nobody told.
class deadlock : public std::system_error {
 public:
  deadlock(lock_client* client, std::uint64_t id, const char* what)
      : std::system_error(errc::deadlock, what), ring_(ring_of(client, id)) {
    char text[4096] = "";
    lock_deadlock_text(client, id, text, sizeof text);
    text_ = text;
  }

  const std::vector<lock_deadlock_step>& ring() const { return ring_; }

  // In one line, for logs.
  const std::string& text() const { return text_; }

 private:
  static std::vector<lock_deadlock_step> ring_of(lock_client* client, std::uint64_t id) {
    std::vector<lock_deadlock_step> ring(LOCK_DEADLOCK_STEPS_MAX);
    ring.front().size = sizeof ring.front();
    const int steps = lock_deadlock(client, id, ring.data(), ring.size());
    ring.resize(steps > 0 ? static_cast<std::size_t>(steps) : 0);
    return ring;
  }

  std::vector<lock_deadlock_step> ring_;
  std::string text_;
};

// As check(), of a call about the lock or request `id`.
inline void check(lock_client* client, int error, std::uint64_t id, const char* what) {
  if (error == LOCK_ERROR_DEADLOCK) throw deadlock(client, id, what);
  check(error, what);
}

}  // namespace ringlock

#endif
