#include "tests/bench/lock_load/held.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/bench/load/ringlock.h"

namespace tests::lock_load {
namespace {

constexpr std::size_t kUnderWay = 64;

void say(const std::string& line) {
  std::puts(line.c_str());
  std::fflush(stdout);
}

// One session that takes its share of the locks.
class Holder {
 public:
  Holder(load::Loop& loop, const std::string& socket, std::size_t first, std::size_t end)
      : client_(load::connect_ringlock(socket)), next_(first), end_(end) {
    const auto count = [](lock_client*, const lock_grant* grant, void* arg) {
      *static_cast<std::size_t*>(arg) += grant != nullptr ? 1 : 0;
    };
    lock_on_lost(client_.get(), count, &lost_);
    load::dispatch_in(loop, client_.get(), error_);
  }

  std::size_t lost() const { return lost_; }
  bool has_all() const { return next_ == end_ && under_way_ == 0; }

  void ask() {
    while (next_ != end_ && under_way_ < kUnderWay) {
      std::array<char, 32> name{};
      const int size = std::snprintf(name.data(), name.size(), "held-%011zu", next_++);
      ++under_way_;
      load::require(
          lock_acquire_async(client_.get(), nullptr, name.data(), static_cast<std::size_t>(size),
                             LOCK_MODE_EX, 0, &Holder::granted, this, nullptr),
          "acquire");
    }
  }

 private:
  static void granted(lock_client*, int error, const lock_grant*, void* arg) {
    auto& self = *static_cast<Holder*>(arg);
    --self.under_way_;
    if (error != 0) self.error_ = error;
  }

  tools::Client client_;
  int error_ = 0;
  std::size_t next_;
  std::size_t end_;
  std::size_t under_way_ = 0;
  std::size_t lost_ = 0;
};

// One that takes and gives back a lock all the time, and goes on when it loses it.
class Watcher {
 public:
  Watcher(load::Loop& loop, const std::string& socket, base::Duration least)
      : client_(load::connect_ringlock(socket)), least_(least) {
    load::dispatch_in(loop, client_.get(), error_);
  }

  void go_round() {
    constexpr std::string_view kName = "bench-unrelated-";
    error_ = lock_acquire_async(client_.get(), nullptr, kName.data(), kName.size(), LOCK_MODE_EX, 0,
                                &Watcher::granted, this, nullptr);
  }

  void finish() {
    const base::Duration at = load::now();
    note_gap(at);
    say("end " + std::to_string(at.count()) + " " + std::to_string(grants_) + " " +
        std::to_string(losses_));
  }

 private:
  static void granted(lock_client* client, int error, const lock_grant* grant, void* arg) {
    auto& self = *static_cast<Watcher*>(arg);
    if (error != 0) return self.on_loss();
    const base::Duration at = load::now();
    self.note_gap(at);
    self.last_ = at;
    if (++self.grants_ == 1) say("granted");
    self.error_ = lock_release_async(client, grant, &Watcher::released, arg);
  }

  static void released(lock_client*, int error, const lock_grant*, void* arg) {
    auto& self = *static_cast<Watcher*>(arg);
    if (error != 0) return self.on_loss();
    self.go_round();
  }

  void on_loss() {
    ++losses_;
    go_round();
  }

  void note_gap(base::Duration at) {
    if (grants_ != 0 && at - last_ >= least_)
      say("gap " + std::to_string(last_.count()) + " " + std::to_string(at.count()));
  }

  tools::Client client_;
  int error_ = 0;  // Of asking, which is our own mistake.
  base::Duration least_;
  base::Duration last_{0};
  std::size_t grants_ = 0;
  std::size_t losses_ = 0;
};

// Sets `ended` when nobody writes to standard input any more; until then `asked` for whatever is
// written.
void watch_input(load::Loop& loop, bool& ended, const load::Loop::Call& asked) {
  loop.watch(STDIN_FILENO, [&loop, &ended, asked] {
    std::array<char, 64> ignored;
    if (read(STDIN_FILENO, ignored.data(), ignored.size()) > 0) return asked();
    ended = true;
    loop.forget(STDIN_FILENO);
  });
}

}  // namespace

void hold(const std::string& socket, std::size_t locks, std::size_t sessions) {
  load::Loop loop;
  std::vector<std::unique_ptr<Holder>> holders;
  for (std::size_t i = 0; i < sessions; ++i)
    holders.push_back(
        std::make_unique<Holder>(loop, socket, locks * i / sessions, locks * (i + 1) / sessions));
  const auto all = [&] {
    return std::all_of(holders.begin(), holders.end(),
                       [](const auto& holder) { return holder->has_all(); });
  };
  while (!all()) {
    for (const auto& holder : holders) holder->ask();
    loop.turn(std::chrono::seconds(1));
  }
  say("held");
  bool ended = false;
  watch_input(loop, ended, [&] {
    std::size_t lost = 0;
    for (const auto& holder : holders) lost += holder->lost();
    say("lost " + std::to_string(lost));
  });
  while (!ended) loop.turn(std::chrono::seconds(1));
}

void watch(const std::string& socket, base::Duration least) {
  load::Loop loop;
  Watcher watcher(loop, socket, least);
  bool ended = false;
  watch_input(loop, ended, [] {});
  watcher.go_round();
  while (!ended) loop.turn(std::chrono::seconds(1));
  watcher.finish();
}

}  // namespace tests::lock_load
