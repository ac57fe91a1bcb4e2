#include "tools/evs_load/load.h"

#include <poll.h>

#include <algorithm>
#include <stdexcept>

#include "tools/clocks.h"

namespace tools::evs_load {
namespace {

constexpr base::Duration kPatience = std::chrono::seconds(60);

// Sent between two looks at what has come.
constexpr int kSendsAtOnce = 64;

constexpr std::size_t kLatenciesMax = 4'000'000;

// A fence is shorter than any message.
constexpr std::size_t kFenceBytes = 0;

base::Duration now() {
  return read_clock(CLOCK_MONOTONIC);
}

}  // namespace

Load::Load(const std::string& where, std::size_t members) : expected_(members) {
  const base::Duration end = now() + kPatience;
  while (!bus_) {
    try {
      bus_ = open_bus(where, *this);
    } catch (const std::runtime_error&) {
      // The daemon may just be starting.
      if (now() > end) throw;
      poll(nullptr, 0, 50);
    }
  }
  await_members(expected_);
}

void Load::await_members(std::size_t count) {
  const base::Duration end = now() + kPatience;
  for (bus_->dispatch(); members_ != count; bus_->dispatch()) {
    if (now() > end) throw std::runtime_error("there are not as many members as there should be");
    wait(end);
  }
}

void Load::on_message(bool own, base::Bytes message) {
  if (message.size() == kFenceBytes) {
    ++fences_;
    return;
  }
  if (counting_) ++result_.messages;
  if (!own) return;
  const base::Duration received = now();
  const base::Duration took = received - under_way_.front();
  under_way_.pop_front();
  next_ = received + run_.pause;
  if (!counting_) return;
  ++result_.own;
  if (result_.latencies_ns.size() < kLatenciesMax) {
    result_.latencies_ns.push_back(
        static_cast<std::uint32_t>(std::min<std::int64_t>(took.count(), std::int64_t{UINT32_MAX})));
  }
}

bool Load::may_send(base::Duration at) const {
  return run_.sends && (run_.window == 0 || under_way_.size() < run_.window) && at >= next_;
}

void Load::send_some(base::Bytes message) {
  for (int i = 0; i < kSendsAtOnce; ++i) {
    const base::Duration at = now();
    if (!may_send(at)) return;
    if (!bus_->send(run_.safe, message)) return wait(at + std::chrono::milliseconds(1));
    under_way_.push_back(at);
  }
}

// Until something has come, or the time.
void Load::wait(base::Duration until) {
  pollfd readable{bus_->descriptor(), POLLIN, 0};
  const timespec left = [&] {
    const auto ns = std::max<std::int64_t>(0, (until - now()).count());
    return timespec{ns / 1'000'000'000, ns % 1'000'000'000};
  }();
  ppoll(&readable, 1, &left, nullptr);
}

Result Load::run(const Run& run) {
  run_ = run;
  result_ = {};
  const base::Buffer message(run.size, std::byte{'x'});
  const base::Duration begin = now() + run.warm_up;
  const base::Duration end = begin + run.time;
  for (base::Duration at = now(); at < end; at = now()) {
    if (!counting_ && at >= begin) counting_ = true;
    send_some(message);
    bus_->dispatch();
    if (may_send(now())) continue;
    const bool pausing = run_.sends && under_way_.empty();
    wait(std::min(pausing ? next_ : end, counting_ ? end : begin));
    bus_->dispatch();
  }
  result_.seconds = std::chrono::duration<double>(now() - begin).count();
  counting_ = false;
  for (const base::Duration late = now() + kPatience; !under_way_.empty(); bus_->dispatch()) {
    if (now() > late) throw std::runtime_error("messages did not come back");
    wait(late);
  }
  return std::move(result_);
}

void Load::fence() {
  const base::Duration end = now() + kPatience;
  while (!bus_->send(false, {})) {
    if (now() > end) throw std::runtime_error("a message could not be sent");
    wait(now() + std::chrono::milliseconds(1));
    bus_->dispatch();
  }
  for (bus_->dispatch(); fences_ < expected_; bus_->dispatch()) {
    if (now() > end) throw std::runtime_error("a member did not come to the end");
    wait(end);
  }
  fences_ -= expected_;
}

}  // namespace tools::evs_load
