// Cluster barriers from C++20, header-only over liblock/barrier.h, which says what each call means
// and what can go wrong.
//
//   ringlock::barrier loaded(client, "loaded", {.parties = 3});
//   ringlock::outcome all = loaded.arrive_and_wait("my part");  // Until three have come.
//
//   ringlock::arrival mine = loaded.arrive();  // Or in two parts, as of std::barrier.
//   do_something_else();
//   mine.wait();
//
//   ringlock::barrier work(client, "work", {.parties = 3, .two_steps = true});
//   ringlock::outcome in = work.arrive_and_wait();
//   do_my_piece();
//   work.leave(in);  // When all pieces are done.
//
// Calls that fail throw std::system_error with a code of ringlock::category(); that a step was
// broken, ringlock::broken. A barrier may be used by several threads at once, but all of a client
// are one participant. The client must outlive its barriers and arrivals. Nobody leaves at the end
// of a scope: others would believe that the work was done.
#ifndef LIBLOCK_BARRIER_HPP
#define LIBLOCK_BARRIER_HPP

#include <liblock/barrier.h>
#include <liblock/error.hpp>
#include <liblock/lock.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

namespace ringlock {

enum class barrier_unit { sessions = LOCK_BARRIER_SESSIONS, nodes = LOCK_BARRIER_NODES };

enum class barrier_on_death {
  break_it = LOCK_BARRIER_BREAK,
  shrink = LOCK_BARRIER_SHRINK,
  wait = LOCK_BARRIER_WAIT,
};

// What a barrier is to be: lock_barrier says what it means.
struct barrier_terms {
  unsigned parties = 0;  // 0: all members of the lockspace.
  barrier_unit unit = barrier_unit::sessions;
  barrier_on_death on_death = barrier_on_death::break_it;
  bool two_steps = false;
  bool keep = false;
  std::chrono::milliseconds patience{0};
};

enum class barrier_step { enter = LOCK_BARRIER_ENTER, leave = LOCK_BARRIER_LEAVE };

enum class barrier_ending {
  released = LOCK_BARRIER_RELEASED,
  died = LOCK_BARRIER_DIED,
  timed_out = LOCK_BARRIER_TIMED_OUT,
  cancelled = LOCK_BARRIER_CANCELLED,
  deleted = LOCK_BARRIER_DELETED,
};

// How a step ended, the same for all its participants. Copies share what they say; it outlives
// client and barrier.
class outcome {
 public:
  // Takes what a blocking call has given.
  explicit outcome(lock_barrier_outcome* given) : given_(given, lock_barrier_outcome_free) {}

  barrier_ending ending() const { return static_cast<barrier_ending>(given_->ending); }
  barrier_step step() const { return static_cast<barrier_step>(given_->step); }
  std::uint64_t generation() const { return given_->generation; }  // Can serve as fencing token.
  std::uint64_t self() const { return given_->self; }
  std::uint64_t membership() const { return given_->membership; }

  // By session.
  std::span<const lock_barrier_member> members() const {
    return {given_->members, given_->members_len};
  }

  // What it has brought along; lives as long as this outcome or a copy.
  static std::string_view value_of(const lock_barrier_member& member) {
    return {static_cast<const char*>(member.value), member.value_len};
  }

  // The first of so many.
  std::span<const lock_barrier_lost> lost() const { return {given_->lost, given_->lost_len}; }
  std::uint64_t losses() const { return given_->losses; }

  const lock_barrier_outcome& native() const { return *given_; }

 private:
  std::shared_ptr<const lock_barrier_outcome> given_;
};

// A step that was broken, for all who took part.
class broken : public std::system_error {
 public:
  broken(ringlock::outcome why, const char* what)
      : std::system_error(errc::broken, what), outcome_(std::move(why)) {}

  const ringlock::outcome& outcome() const { return outcome_; }

 private:
  ringlock::outcome outcome_;
};

namespace detail {

inline outcome released(int error, lock_barrier_outcome* given, const char* what) {
  if (error == LOCK_ERROR_BROKEN && given != nullptr) throw broken(outcome(given), what);
  check(error, what);
  return outcome(given);
}

// None if it was not released in time.
inline std::optional<outcome> released_in_time(int error, lock_barrier_outcome* given,
                                               const char* what) {
  if (error == LOCK_ERROR_TIMEOUT) return std::nullopt;
  return released(error, given, what);
}

}  // namespace detail

// One that has arrived, and waits or is going to. It is taken back at the end of its scope, if its
// outcome was not waited for and does not come first; this may block for as long as the client
// waits for an answer.
class arrival {
 public:
  arrival(lock_client* client, std::uint64_t id) : client_(client), id_(id) {}
  arrival(arrival&& other) noexcept : client_(other.client_), id_(std::exchange(other.id_, 0)) {}
  arrival& operator=(arrival&& other) noexcept {
    std::swap(client_, other.client_);
    std::swap(id_, other.id_);
    return *this;
  }
  ~arrival() {
    if (id_ != 0) lock_barrier_await(client_, id_, 1, nullptr);
  }

  // Waits without end; this and what follows tells the outcome once.
  outcome wait() {
    lock_barrier_outcome* given = nullptr;
    const int error = lock_barrier_await(client_, std::exchange(id_, 0), -1, &given);
    return detail::released(error, given, "lock_barrier_await");
  }

  // None if it was not released in time: then it has been taken back.
  std::optional<outcome> wait_for(std::chrono::milliseconds timeout) {
    if (timeout <= std::chrono::milliseconds(0)) timeout = std::chrono::milliseconds(1);
    lock_barrier_outcome* given = nullptr;
    const int error =
        lock_barrier_await(client_, std::exchange(id_, 0), detail::milliseconds(timeout), &given);
    return detail::released_in_time(error, given, "lock_barrier_await");
  }

  // None if there is no outcome yet.
  std::optional<outcome> try_wait() {
    lock_barrier_outcome* given = nullptr;
    const int error = lock_barrier_await(client_, id_, 0, &given);
    if (error == LOCK_ERROR_BUSY) return std::nullopt;
    id_ = 0;
    return detail::released(error, given, "lock_barrier_await");
  }

  // Takes it back and returns at once: wait() says what came first, this (errc::cancelled) or the
  // outcome.
  void withdraw() { check(lock_barrier_withdraw(client_, id_), "lock_barrier_withdraw"); }

 private:
  lock_client* client_;
  std::uint64_t id_;  // 0: it was told, or moved from.
};

class barrier {
 public:
  barrier(client& owner, resource where, const barrier_terms& terms)
      : client_(owner), where_(std::move(where)), terms_(terms) {}

  // Waits without end.
  outcome arrive_and_wait(std::string_view value = {}) {
    lock_barrier_outcome* given = nullptr;
    const int error = wait(value, -1, given);
    return detail::released(error, given, "lock_barrier_wait");
  }

  // None if it was not released in time: then the arrival has been taken back.
  std::optional<outcome> arrive_and_wait_for(std::chrono::milliseconds timeout,
                                             std::string_view value = {}) {
    lock_barrier_outcome* given = nullptr;
    const int error = wait(value, detail::milliseconds(timeout), given);
    return detail::released_in_time(error, given, "lock_barrier_wait");
  }

  arrival arrive(std::string_view value = {}) {
    const lock_barrier plain = native();
    std::uint64_t id = 0;
    check(lock_barrier_arrive(handle(), &plain, value.data(), value.size(), &id),
          "lock_barrier_arrive");
    return arrival(handle(), id);
  }

  // Out of a barrier with two steps, that one was released into; waits without end for all others.
  outcome leave(const outcome& entered, std::string_view value = {}) {
    lock_barrier_outcome* given = nullptr;
    const int error = leave(entered, value, -1, given);
    return detail::released(error, given, "lock_barrier_leave");
  }

  // None if we have left, and not all others have in time: asking again goes on waiting.
  std::optional<outcome> leave_for(std::chrono::milliseconds timeout, const outcome& entered,
                                   std::string_view value = {}) {
    lock_barrier_outcome* given = nullptr;
    const int error = leave(entered, value, detail::milliseconds(timeout), given);
    return detail::released_in_time(error, given, "lock_barrier_leave");
  }

  // Makes sure that it is there; errc::different.
  void create() {
    const lock_barrier plain = native();
    check(lock_barrier_create(handle(), &plain), "lock_barrier_create");
  }

  // Breaks it for all who are there.
  void cancel() {
    const lock_barrier plain = native();
    check(lock_barrier_cancel(handle(), &plain), "lock_barrier_cancel");
  }

  // Ends it; with `force` for all who are there, too.
  void remove(bool force = false) {
    const lock_barrier plain = native();
    check(lock_barrier_delete(handle(), &plain, force ? 1 : 0), "lock_barrier_delete");
  }

  // For calls that are not here. Valid as long as this barrier.
  lock_barrier native() const {
    lock_barrier plain{};
    plain.size = sizeof plain;
    plain.lockspace = where_.lockspace.c_str();
    plain.name = where_.name.data();
    plain.name_len = where_.name.size();
    plain.parties = terms_.parties;
    plain.unit = static_cast<lock_barrier_unit>(terms_.unit);
    plain.on_death = static_cast<lock_barrier_on_death>(terms_.on_death);
    plain.flags = (terms_.two_steps ? unsigned{LOCK_BARRIER_TWO_STEPS} : 0u) |
                  (terms_.keep ? unsigned{LOCK_BARRIER_KEEP} : 0u);
    plain.patience_ms = static_cast<unsigned>(detail::milliseconds(terms_.patience));
    return plain;
  }

 private:
  lock_client* handle() const { return client_.native_handle(); }

  int wait(std::string_view value, int timeout_ms, lock_barrier_outcome*& given) const {
    const lock_barrier plain = native();
    return lock_barrier_wait(handle(), &plain, value.data(), value.size(), timeout_ms, &given);
  }
  int leave(const outcome& entered, std::string_view value, int timeout_ms,
            lock_barrier_outcome*& given) const {
    return lock_barrier_leave(handle(), entered.generation(), value.data(), value.size(),
                              timeout_ms, &given);
  }

  client& client_;
  const resource where_;
  const barrier_terms terms_;
};

}  // namespace ringlock

#endif
