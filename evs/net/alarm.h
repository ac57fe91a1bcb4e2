// Calls back at a time of the node's own clock, to the microsecond. The loop's timers count
// milliseconds, and a token that got lost is sent again after two.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <optional>

#include "base/result.h"
#include "base/time.h"

namespace evs::net {

class Alarm {
 public:
  // The loop outlives the alarm, and runs once more before it is closed. An error is an errno.
  static base::Result<std::unique_ptr<Alarm>, int> create(uv_loop_t& loop);
  ~Alarm();
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  // What is called, from the loop and never from within set().
  void on_due(std::function<void()> call) { call_ = std::move(call); }

  // Once, at this time or as soon as it can be, instead of at the time set before. None: never.
  void set(const std::optional<base::Duration>& due);

 private:
  Alarm(uv_loop_t& loop, int timer);

  int timer_;
  uv_poll_t* poll_;  // The loop's once it is being closed.
  std::optional<base::Duration> due_;
  std::function<void()> call_;
};

}  // namespace evs::net
