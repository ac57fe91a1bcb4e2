#include "tools/lockctl/acquire.h"

#include <liblock/query.h>
#include <poll.h>

#include <algorithm>
#include <cstdio>

#include "tools/clocks.h"
#include "tools/lockctl/exit_code.h"
#include "tools/lockctl/name.h"

namespace tools::lockctl {
namespace {

using std::chrono::milliseconds;

constexpr base::Duration kReconnectPause = milliseconds(100);
constexpr base::Duration kTellAfter = std::chrono::seconds(1);
constexpr base::Duration kAnswerMax = std::chrono::seconds(5);

base::Duration now() {
  return read_clock(CLOCK_BOOTTIME);
}

int milliseconds_of(base::Duration duration) {
  return static_cast<int>(
      std::chrono::ceil<milliseconds>(std::max(duration, base::Duration(0))).count());
}

bool is_transient(int error) {
  return error == LOCK_ERROR_NO_DAEMON || error == LOCK_ERROR_DAEMON_GONE ||
         error == LOCK_ERROR_NOT_QUORATE;
}

// The outcome of the request that is under way.
struct Outcome {
  bool done = false;
  lock_outcome is{};
};

void note_outcome(lock_client*, const lock_outcome* outcome, void* arg) {
  *static_cast<Outcome*>(arg) = {true, *outcome};
}

int tell_holder(const lock_show_item* item, void*) {
  std::fprintf(stderr, "lockctl: held by node %u%s: %s\n", item->node,
               item->orphaned != 0 ? " (gone; its lease runs out)" : "",
               printable({item->command.data, item->command.len}).c_str());
  return 1;
}

class Acquisition {
 public:
  explicit Acquisition(const Wanted& wanted) : wanted_(wanted), start_(now()) {}

  base::Result<Held, Failure> run() {
    if (const auto connected = connect(); !connected) return base::error(connected.error());
    // A grant whose lease was over when we heard of it is none: ask again.
    for (;;) {
      Outcome outcome;
      const auto waited = wanted_.wait == base::Duration(0) ? try_once(outcome) : wait_for(outcome);
      if (!waited) return base::error(waited.error());
      const int error = outcome.is.error;
      if (error == 0) return Held{std::move(client_), outcome.is.grant, outcome.is};
      if (error != LOCK_ERROR_LOST) return base::error(failure(error));
      if (time_is_over()) return base::error(failure(LOCK_ERROR_NOT_QUORATE));
    }
  }

 private:
  base::Result<void, Failure> connect() {
    for (;;) {
      lock_options options{};
      options.size = sizeof options;
      options.socket_path = wanted_.socket.c_str();
      options.command = wanted_.holder.c_str();
      options.answer_timeout_ms = std::max(1, milliseconds_of(std::min(kAnswerMax, time_left())));
      if (wanted_.wait == base::Duration(0)) {
        options.answer_timeout_ms = 0;  // The default.
        options.quorum_now = 1;
      }
      lock_client* client = nullptr;
      const int error = lock_connect(&options, &client);
      client_.reset(client);
      if (error == 0) return {};
      const bool absent = error == LOCK_ERROR_NO_DAEMON && !wanted_.wait;
      if (!is_transient(error) || absent || time_is_over()) return base::error(failure(error));
      tell_once(error == LOCK_ERROR_NOT_QUORATE ? "waiting for a quorum" : "waiting for lockd");
      ::poll(nullptr, 0, milliseconds_of(std::min(kReconnectPause, time_left())));
    }
  }

  base::Result<void, Failure> try_once(Outcome& outcome) {
    outcome.is.size = sizeof outcome.is;
    const lock_request wanted = request();
    outcome.is.error = lock_acquire_with(client_.get(), &wanted, 0, &outcome.is);
    return {};
  }

  base::Result<void, Failure> wait_for(Outcome& outcome) {
    const lock_request wanted = request();
    const int refused =
        lock_acquire_with_async(client_.get(), &wanted, &note_outcome, &outcome, nullptr);
    if (refused != 0) return base::error(failure(refused));
    unavailable_since_.reset();
    for (;;) {
      const int broken = lock_dispatch(client_.get());
      if (outcome.done) return {};
      if (broken != 0) return base::error(failure(broken));
      const bool ready = lock_state(client_.get()) == LOCK_STATE_READY;
      if (ready) {
        unavailable_since_.reset();
      } else if (!unavailable_since_) {
        unavailable_since_ = now();
      }
      // Closing the session, which the caller does by going, withdraws the request.
      if (time_is_over()) {
        return base::error(failure(ready ? LOCK_ERROR_TIMEOUT : unavailable_error()));
      }
      tell_once(ready ? "waiting for the lock" : "waiting for a quorum", ready);
      sleep_until_news();
    }
  }

  int unavailable_error() const {
    return lock_state(client_.get()) == LOCK_STATE_NOT_QUORATE ? LOCK_ERROR_NOT_QUORATE
                                                               : LOCK_ERROR_DAEMON_GONE;
  }

  void sleep_until_news() {
    base::Duration most = std::min<base::Duration>(time_left(), std::chrono::hours(1));
    if (!told_ && wanted_.tell) most = std::min(most, start_ + kTellAfter - now());
    int timeout = milliseconds_of(most);
    const int due = lock_timeout_ms(client_.get());
    if (due >= 0) timeout = std::min(timeout, due);
    pollfd news = {lock_fd(client_.get()), POLLIN, 0};
    ::poll(&news, 1, timeout);
  }

  // Until we give up.
  base::Duration time_left() const {
    if (wanted_.wait) return start_ + *wanted_.wait - now();
    if (!client_) return start_ + kPatience - now();
    if (unavailable_since_) return *unavailable_since_ + kPatience - now();
    return base::Duration::max();
  }
  bool time_is_over() const { return time_left() <= base::Duration(0); }

  void tell_once(const char* what, bool with_holder = false) {
    if (!wanted_.tell || told_ || now() < start_ + kTellAfter) return;
    told_ = true;
    std::fprintf(stderr, "lockctl: %s %s\n", what,
                 with_holder ? printable(wanted_.name).c_str() : "");
    if (with_holder) {
      lock_show(client_.get(), lockspace(), wanted_.name.data(), wanted_.name.size(), &tell_holder,
                nullptr);
    }
  }

  lock_request request() const {
    lock_request request{};
    request.size = sizeof request;
    request.lockspace = lockspace();
    request.name = wanted_.name.data();
    request.name_len = wanted_.name.size();
    request.mode = wanted_.mode;
    request.flags = wanted_.flags;
    return request;
  }
  Failure failure(int error) const { return failure_of(error, client_.get(), wanted_.socket); }
  const char* lockspace() const {
    return wanted_.lockspace.empty() ? nullptr : wanted_.lockspace.c_str();
  }

  const Wanted& wanted_;
  base::Duration start_;
  Client client_;
  std::optional<base::Duration> unavailable_since_;  // No daemon or no quorum, once connected.
  bool told_ = false;
};

}  // namespace

base::Result<Held, Failure> acquire(const Wanted& wanted) {
  return Acquisition(wanted).run();
}

}  // namespace tools::lockctl
