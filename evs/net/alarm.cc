#include "evs/net/alarm.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>

#include "base/check.h"
#include "evs/net/close.h"

namespace evs::net {

base::Result<std::unique_ptr<Alarm>, int> Alarm::create(uv_loop_t& loop) {
  const int timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  if (timer < 0) return base::error(errno);
  return std::unique_ptr<Alarm>(new Alarm(loop, timer));
}

Alarm::Alarm(uv_loop_t& loop, int timer) : timer_(timer), poll_(new uv_poll_t) {
  CHECK(uv_poll_init(&loop, poll_, timer_) == 0);
  poll_->data = this;
  CHECK(uv_poll_start(poll_, UV_READABLE, [](uv_poll_t* poll, int, int) {
          Alarm& self = *static_cast<Alarm*>(poll->data);
          std::uint64_t times = 0;
          // It may have been set anew since it was seen to be due.
          if (read(self.timer_, &times, sizeof times) != sizeof times) return;
          self.due_.reset();
          self.call_();
        }) == 0);
}

Alarm::~Alarm() {
  close_and_delete(poll_);
  close(timer_);
}

void Alarm::set(const std::optional<base::Duration>& due) {
  if (due == due_) return;
  due_ = due;
  itimerspec spec{};
  if (due) {
    // All zero would disarm it.
    const auto at = std::max(*due, base::Duration(1));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(at);
    spec.it_value = {seconds.count(), (at - seconds).count()};
  }
  CHECK(timerfd_settime(timer_, TFD_TIMER_ABSTIME, &spec, nullptr) == 0);
}

}  // namespace evs::net
