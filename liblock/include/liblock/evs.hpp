// Group communication from C++20, header-only over liblock/evs.h, which says what each call means
// and what can go wrong.
//
//   ringlock::evs evs({.deliver = [](const ringlock::delivery& what) { print(what.text()); }});
//   evs.join("chat");
//   evs.multicast("chat", "hello", ringlock::guarantee::safe);
//   for (;;) evs.wait_and_dispatch();
//
// Calls that fail throw std::system_error with a code of ringlock::category(); what a callback
// throws comes out of dispatch().
#ifndef LIBLOCK_EVS_HPP
#define LIBLOCK_EVS_HPP

#include <liblock/evs.h>
#include <poll.h>
#include <liblock/lock.hpp>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringlock {

enum class guarantee {
  unordered = LOCK_EVS_UNORDERED,
  fifo = LOCK_EVS_FIFO,
  agreed = LOCK_EVS_AGREED,
  safe = LOCK_EVS_SAFE,
};

// The name of a group: 32 bytes, from a shorter text with zeros behind it.
struct group : lock_evs_group {
  group() : lock_evs_group{} {}
  group(const lock_evs_group& from) : lock_evs_group(from) {}
  group(const char* text) : lock_evs_group{} {
    check(lock_evs_group_of(text, this), "a group has 1 to 32 bytes");
  }
  group(const std::string& text) : group(text.c_str()) {}
};

// A message; what it points to ends with the callback.
struct delivery : lock_evs_delivery {
  std::string_view text() const { return {static_cast<const char*>(message), message_len}; }
};

using processor = lock_evs_processor;

// A configuration, as a value of its own.
struct configuration {
  bool transitional = false;
  lock_evs_ring ring{};
  std::vector<processor> members;
  std::vector<processor> left;
  std::vector<processor> joined;

  configuration() = default;
  explicit configuration(const lock_evs_configuration& from)
      : transitional(from.transitional != 0),
        ring(from.ring),
        members(from.members, from.members + from.members_len),
        left(from.left, from.left + from.left_len),
        joined(from.joined, from.joined + from.joined_len) {}
};

struct evs_options {
  std::string socket_path = {};                 // Empty: LOCKD_SOCKET, or the default.
  std::string command = {};                     // Empty: this process' command line.
  std::chrono::milliseconds answer_timeout{0};  // Zero: the default.
  std::function<void(const delivery&)> deliver = {};
  std::function<void(const configuration&)> configure = {};
  std::function<void()> writable = {};
};

// An instance. Movable; callbacks may call everything but the destructor and the moves.
class evs {
 public:
  explicit evs(evs_options options = {}) : state_(std::make_unique<state>()) {
    state_->options = std::move(options);
    const evs_options& wanted = state_->options;
    lock_evs_options given{};
    given.size = sizeof given;
    given.socket_path = wanted.socket_path.empty() ? nullptr : wanted.socket_path.c_str();
    given.command = wanted.command.empty() ? nullptr : wanted.command.c_str();
    given.answer_timeout_ms = static_cast<int>(wanted.answer_timeout.count());
    given.deliver = &on_delivery;
    given.configuration = &on_configuration;
    given.writable = &on_writable;
    given.arg = state_.get();
    lock_evs* opened = nullptr;
    check(lock_evs_open(&given, &opened), "lock_evs_open");
    handle_.reset(opened);
  }

  void join(const group& one) { join(std::span(&one, 1)); }
  void join(std::span<const group> groups) {
    const auto keys = keys_of(groups);
    check(lock_evs_join(get(), keys.data(), keys.size()), "lock_evs_join");
  }
  void leave(const group& one) { leave(std::span(&one, 1)); }
  void leave(std::span<const group> groups) {
    const auto keys = keys_of(groups);
    check(lock_evs_leave(get(), keys.data(), keys.size()), "lock_evs_leave");
  }

  // False: no room at the moment; go on when `writable` is called.
  [[nodiscard]] bool try_multicast(std::span<const group> to, std::string_view message,
                                   guarantee wanted = guarantee::agreed) {
    const auto keys = keys_of(to);
    return sent(lock_evs_multicast(get(), static_cast<lock_evs_guarantee>(wanted), keys.data(),
                                   keys.size(), message.data(), message.size()));
  }
  [[nodiscard]] bool try_multicast_joined(std::string_view message,
                                          guarantee wanted = guarantee::agreed) {
    return sent(lock_evs_multicast_joined(get(), static_cast<lock_evs_guarantee>(wanted),
                                          message.data(), message.size()));
  }

  // The same, but no room is an error too: errc::try_again.
  void multicast(const group& to, std::string_view message, guarantee wanted = guarantee::agreed) {
    if (!try_multicast(std::span(&to, 1), message, wanted)) {
      check(LOCK_ERROR_TRY_AGAIN, "lock_evs_multicast");
    }
  }
  void multicast_joined(std::string_view message, guarantee wanted = guarantee::agreed) {
    if (!try_multicast_joined(message, wanted)) {
      check(LOCK_ERROR_TRY_AGAIN, "lock_evs_multicast_joined");
    }
  }

  // Runs callbacks of at most `max` events, or of all that are there. Never blocks.
  unsigned dispatch(unsigned max = 0) {
    const int count = lock_evs_dispatch(get(), max);
    if (const auto thrown = std::exchange(state_->thrown, nullptr)) std::rethrow_exception(thrown);
    check(count, "lock_evs_dispatch");
    return static_cast<unsigned>(count);
  }

  // Waits for events, or for the time to pass, before. A negative time has no end.
  unsigned wait_and_dispatch(std::chrono::milliseconds time = std::chrono::milliseconds(-1)) {
    pollfd ready{fd(), POLLIN, 0};
    ::poll(&ready, 1, static_cast<int>(time.count()));
    return dispatch();
  }

  // Waits until the daemon has handed all messages to the ring. False: the time has passed.
  bool flush(std::chrono::milliseconds time = std::chrono::milliseconds(-1)) {
    const int error = lock_evs_flush(get(), static_cast<int>(time.count()));
    if (error == LOCK_ERROR_TIMEOUT) return false;
    check(error, "lock_evs_flush");
    return true;
  }

  int fd() const { return lock_evs_fd(get()); }

  processor self() const {
    processor self{};
    check(lock_evs_self(get(), &self), "lock_evs_self");
    return self;
  }

  // The last one that `configure` was told, or the first one of the stream.
  configuration current() const {
    lock_evs_configuration current{};
    check(lock_evs_current(get(), &current), "lock_evs_current");
    return configuration(current);
  }

  lock_evs* get() const { return handle_.get(); }

 private:
  // Stays where it is when the instance is moved.
  struct state {
    evs_options options;
    std::exception_ptr thrown;
  };
  struct close {
    void operator()(lock_evs* evs) const { lock_evs_close(evs); }
  };

  // No exception passes through the C library; the first one waits for dispatch().
  template <typename Call>
  static void keep_exception(void* arg, Call call) {
    auto& self = *static_cast<state*>(arg);
    try {
      call(self.options);
    } catch (...) {
      if (!self.thrown) self.thrown = std::current_exception();
    }
  }
  static void on_delivery(lock_evs*, const lock_evs_delivery* what, void* arg) {
    keep_exception(arg, [&](evs_options& options) {
      if (options.deliver) options.deliver(delivery{*what});
    });
  }
  static void on_configuration(lock_evs*, const lock_evs_configuration* what, void* arg) {
    keep_exception(arg, [&](evs_options& options) {
      if (options.configure) options.configure(configuration(*what));
    });
  }
  static void on_writable(lock_evs*, void* arg) {
    keep_exception(arg, [](evs_options& options) {
      if (options.writable) options.writable();
    });
  }

  static std::vector<lock_evs_group> keys_of(std::span<const group> groups) {
    return {groups.begin(), groups.end()};
  }

  static bool sent(int error) {
    if (error == LOCK_ERROR_TRY_AGAIN) return false;
    check(error, "lock_evs_multicast");
    return true;
  }

  std::unique_ptr<state> state_;
  std::unique_ptr<lock_evs, close> handle_;
};

}  // namespace ringlock

#endif
