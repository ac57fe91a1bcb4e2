#include "tests/bench/lock_load/held.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <vector>

#include "tests/bench/lock_load/ringlock_locks.h"

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
  Holder(Loop& loop, const std::string& socket, std::size_t first, std::size_t end)
      : client_(connect_ringlock(socket)), next_(first), end_(end) {
    dispatch_in(loop, client_.get(), error_);
  }

  bool has_all() const { return next_ == end_ && under_way_ == 0; }

  void ask() {
    while (next_ != end_ && under_way_ < kUnderWay) {
      std::array<char, 32> name{};
      const int size = std::snprintf(name.data(), name.size(), "held-%011zu", next_++);
      ++under_way_;
      require(
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
};

// Sets `ended` when nobody writes to standard input any more.
void watch_input(Loop& loop, bool& ended) {
  loop.watch(STDIN_FILENO, [&loop, &ended] {
    std::array<char, 64> ignored;
    if (read(STDIN_FILENO, ignored.data(), ignored.size()) > 0) return;
    ended = true;
    loop.forget(STDIN_FILENO);
  });
}

}  // namespace

void hold(const std::string& socket, std::size_t locks, std::size_t sessions) {
  Loop loop;
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
  watch_input(loop, ended);
  while (!ended) loop.turn(std::chrono::seconds(1));
}

void watch(const std::string& socket, base::Duration least) {
  Loop loop;
  RinglockLocks locks(loop, socket);
  bool ended = false;
  base::Duration last{0};
  std::size_t grants = 0;
  const auto note_gap = [&](base::Duration at) {
    if (grants != 0 && at - last >= least)
      say("gap " + std::to_string(last.count()) + " " + std::to_string(at.count()));
  };
  std::function<void()> go_round = [&] {
    locks.acquire("bench-unrelated-", [&] {
      const base::Duration at = now();
      note_gap(at);
      last = at;
      if (++grants == 1) say("granted");
      locks.release([&] { go_round(); });
    });
  };
  watch_input(loop, ended);
  go_round();
  while (!ended) loop.turn(std::chrono::seconds(1));
  const base::Duration at = now();
  note_gap(at);
  say("end " + std::to_string(at.count()) + " " + std::to_string(grants));
}

}  // namespace tests::lock_load
