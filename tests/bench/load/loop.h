// Waits for sockets and instants in one thread, and calls who waits for them. Times are of
// CLOCK_MONOTONIC.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "base/time.h"

namespace tests::load {

base::Duration now();

class Loop {
 public:
  using Call = std::function<void()>;

  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Called whenever there is something to read. Nobody watches the same descriptor twice.
  void watch(int fd, Call readable);
  void forget(int fd);

  // Called once.
  void call_at(base::Duration when, Call call);

  // Asked before each wait for how long it may last; negative: for long.
  void ask_timeout(std::function<int()> milliseconds);

  // Waits, at most for so long, and calls.
  void turn(base::Duration most);
  void turn_until(const std::function<bool()>& done, base::Duration most, const char* what);

 private:
  int epoll_;
  std::map<int, Call> readers_;
  std::multimap<base::Duration, Call> calls_;
  std::vector<std::function<int()>> timeouts_;
};

}  // namespace tests::load
