#include "tools/lockctl/acquire.h"

#include <liblock/query.h>
#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "tools/lockctl/name.h"
#include "tools/lockctl/patience.h"

namespace tools::lockctl {
namespace {

constexpr base::Duration kTellAfter = std::chrono::seconds(1);

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
  explicit Acquisition(const Wanted& wanted) : wanted_(wanted), patience_(wanted.wait) {}

  base::Result<Held, Failure> run() {
    lock_options options{};
    options.command = wanted_.holder.c_str();
    auto connected =
        connect(options, wanted_.socket, patience_, [this](const char* what) { tell_once(what); });
    if (!connected) return base::error(connected.error());
    client_ = std::move(*connected);
    // A grant whose lease was over when we heard of it is none: ask again.
    for (;;) {
      Outcome outcome;
      const auto waited = wanted_.wait == base::Duration(0) ? try_once(outcome) : wait_for(outcome);
      if (!waited) return base::error(waited.error());
      const int error = outcome.is.error;
      if (error == 0) return Held{std::move(client_), outcome.is.grant, outcome.is};
      if (error != LOCK_ERROR_LOST) return base::error(failure(error));
      if (patience_.is_over()) return base::error(failure(LOCK_ERROR_NOT_QUORATE));
    }
  }

 private:
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
    for (;;) {
      const int broken = lock_dispatch(client_.get());
      if (outcome.done) return {};
      if (broken != 0) return base::error(failure(broken));
      patience_.note(client_.get());
      const bool ready = lock_state(client_.get()) == LOCK_STATE_READY;
      // Closing the session, which the caller does by going, withdraws the request.
      if (patience_.is_over()) {
        return base::error(failure(ready ? LOCK_ERROR_TIMEOUT : unavailable_error(client_.get())));
      }
      tell_once(ready ? "waiting for the lock" : "waiting for a quorum", ready);
      sleep_until_news();
    }
  }

  void sleep_until_news() {
    const bool to_tell = !told_ && wanted_.tell;
    int timeout = patience_.poll_timeout_ms(to_tell ? kTellAfter - patience_.waited()
                                                    : base::Duration::max());
    const int due = lock_timeout_ms(client_.get());
    if (due >= 0) timeout = std::min(timeout, due);
    pollfd news = {lock_fd(client_.get()), POLLIN, 0};
    ::poll(&news, 1, timeout);
  }

  void tell_once(const char* what, bool with_holder = false) {
    if (!wanted_.tell || told_ || patience_.waited() < kTellAfter) return;
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
  Patience patience_;
  Client client_;
  bool told_ = false;
};

}  // namespace

base::Result<Held, Failure> acquire(const Wanted& wanted) {
  return Acquisition(wanted).run();
}

}  // namespace tools::lockctl
