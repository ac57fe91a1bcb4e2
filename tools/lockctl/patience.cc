#include "tools/lockctl/patience.h"

#include <poll.h>

#include <algorithm>

#include "tools/clocks.h"

namespace tools::lockctl {
namespace {

using std::chrono::milliseconds;

constexpr base::Duration kReconnectPause = milliseconds(100);
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

}  // namespace

Patience::Patience(std::optional<base::Duration> wait)
    : wait_(wait), start_(now()), unavailable_since_(start_) {}

void Patience::note(lock_client* client) {
  if (lock_state(client) == LOCK_STATE_READY) {
    unavailable_since_.reset();
  } else if (!unavailable_since_) {
    unavailable_since_ = now();
  }
}

base::Duration Patience::left() const {
  if (wait_) return start_ + *wait_ - now();
  if (unavailable_since_) return *unavailable_since_ + kPatience - now();
  return base::Duration::max();
}

base::Duration Patience::waited() const {
  return now() - start_;
}

int Patience::poll_timeout_ms(base::Duration most) const {
  return milliseconds_of(std::min({left(), most, base::Duration(std::chrono::hours(1))}));
}

base::Result<Client, Failure> connect(lock_options options, const std::string& socket,
                                      const Patience& patience,
                                      const std::function<void(const char* what)>& tell) {
  const bool at_once = patience.wait() == base::Duration(0);
  options.size = sizeof options;
  options.socket_path = socket.c_str();
  options.quorum_now = at_once ? 1 : 0;
  for (;;) {
    // 0 is the default.
    options.answer_timeout_ms = at_once ? 0 : std::max(1, patience.poll_timeout_ms(kAnswerMax));
    lock_client* client = nullptr;
    const int error = lock_connect(&options, &client);
    if (error == 0) return Client(client);
    const bool absent = error == LOCK_ERROR_NO_DAEMON && !patience.wait();
    if (!is_transient(error) || absent || patience.is_over()) {
      return base::error(failure_of(error, nullptr, socket));
    }
    tell(error == LOCK_ERROR_NOT_QUORATE ? "waiting for a quorum" : "waiting for lockd");
    ::poll(nullptr, 0, patience.poll_timeout_ms(kReconnectPause));
  }
}

int unavailable_error(lock_client* client) {
  return lock_state(client) == LOCK_STATE_NOT_QUORATE ? LOCK_ERROR_NOT_QUORATE
                                                      : LOCK_ERROR_DAEMON_GONE;
}

}  // namespace tools::lockctl
