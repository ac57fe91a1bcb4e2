#include "tests/bench/load/loop.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <string>

#include "tools/clocks.h"

namespace tests::load {

base::Duration now() {
  return tools::read_clock(CLOCK_MONOTONIC);
}

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) throw std::runtime_error("no epoll");
}

Loop::~Loop() {
  close(epoll_);
}

void Loop::watch(int fd, Call readable) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0)
    throw std::runtime_error("can not watch a descriptor");
  readers_[fd] = std::move(readable);
}

void Loop::forget(int fd) {
  epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  readers_.erase(fd);
}

void Loop::call_at(base::Duration when, Call call) {
  calls_.emplace(when, std::move(call));
}

void Loop::ask_timeout(std::function<int()> milliseconds) {
  timeouts_.push_back(std::move(milliseconds));
}

void Loop::turn(base::Duration most) {
  // The poll's unit is a millisecond, which is long for a pause between two tries.
  base::Duration wait = std::max(most, base::Duration(0));
  for (const auto& timeout : timeouts_) {
    const int milliseconds = timeout();
    if (milliseconds >= 0)
      wait = std::min<base::Duration>(wait, std::chrono::milliseconds(milliseconds));
  }
  if (!calls_.empty())
    wait = std::clamp<base::Duration>(calls_.begin()->first - now(), base::Duration(0), wait);
  const timespec patience{wait / std::chrono::seconds(1), (wait % std::chrono::seconds(1)).count()};
  std::array<epoll_event, 256> events{};
  const int count =
      epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &patience, nullptr);
  if (count < 0 && errno != EINTR) throw std::runtime_error("can not wait");
  for (int i = 0; i < count; ++i) {
    const auto reader = readers_.find(events.at(static_cast<std::size_t>(i)).data.fd);
    if (reader != readers_.end()) reader->second();
  }
  const base::Duration at = now();
  while (!calls_.empty() && calls_.begin()->first <= at) {
    const Call call = std::move(calls_.begin()->second);
    calls_.erase(calls_.begin());
    call();
  }
}

void Loop::turn_until(const std::function<bool()>& done, base::Duration most, const char* what) {
  const base::Duration end = now() + most;
  while (!done()) {
    if (now() >= end) throw std::runtime_error(std::string(what) + " takes too long");
    turn(end - now());
  }
}

}  // namespace tests::load
