#include "tests/bench/lock_load/cycles.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <random>
#include <utility>

#include "tools/clocks.h"

namespace tests::lock_load {
namespace {

constexpr base::Duration kStartMost = std::chrono::seconds(1);
constexpr base::Duration kEndMost = std::chrono::seconds(20);

// What all clients share.
struct Notes {
  Found found;
  bool counting = false;
  bool ending = false;
  std::size_t under_way = 0;
  std::size_t last = 0;  // Who was granted, from 1.
};

std::string formatted(const char* pattern, unsigned long long a, unsigned long long b,
                      unsigned long long c) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), pattern, a, b, c);
  return text.data();
}

class Cycler {
 public:
  Cycler(load::Loop& loop, const Cycles& cycles, Notes& notes, std::size_t number,
         std::unique_ptr<Locks> locks)
      : loop_(loop),
        cycles_(cycles),
        notes_(notes),
        number_(number),
        locks_(std::move(locks)),
        random_(static_cast<std::minstd_rand::result_type>(number + 1)) {}

  void go_round() {
    if (notes_.ending) return;
    ++notes_.under_way;
    const std::string name = next_name();
    start_ = load::now();
    locks_->acquire(name, [this] { on_granted(); });
  }

 private:
  // Sixteen bytes.
  std::string next_name() {
    ++round_;
    if (cycles_.names == Names::one) return "bench-contended-";
    if (cycles_.names == Names::known) return formatted("bench-%06llu%04llu", 0, number_, 0);
    return formatted("%05llx%03llx%08llx", static_cast<unsigned>(getpid()) & 0xfffff, number_,
                     round_);
  }

  void on_granted() {
    if (notes_.counting) {
      notes_.found.acquire.push_back(load::now() - start_);
      if (notes_.last != number_) ++notes_.found.handovers;
    }
    notes_.last = number_;
    locks_->release([this] { on_released(); });
  }

  void on_released() {
    --notes_.under_way;
    if (notes_.counting) notes_.found.cycle.push_back(load::now() - start_);
    if (cycles_.pause.most == base::Duration(0)) return go_round();
    std::uniform_int_distribution<std::int64_t> pause(cycles_.pause.least.count(),
                                                      cycles_.pause.most.count());
    loop_.call_at(load::now() + base::Duration(pause(random_)), [this] { go_round(); });
  }

  load::Loop& loop_;
  const Cycles& cycles_;
  Notes& notes_;
  std::size_t number_;
  std::unique_ptr<Locks> locks_;
  std::minstd_rand random_;
  unsigned long long round_ = 0;
  base::Duration start_{0};
};

void turn_for(load::Loop& loop, base::Duration time) {
  const base::Duration end = load::now() + time;
  for (base::Duration left = time; left > base::Duration(0); left = end - load::now())
    loop.turn(left);
}

}  // namespace

Found measure(load::Loop& loop, const Cycles& cycles, const MakeLocks& make) {
  Notes notes;
  std::vector<std::unique_ptr<Cycler>> cyclers;
  for (std::size_t i = 1; i <= cycles.clients; ++i)
    cyclers.push_back(std::make_unique<Cycler>(loop, cycles, notes, i, make(i)));
  for (const auto& cycler : cyclers) cycler->go_round();
  turn_for(loop, std::min(cycles.time / 4, kStartMost));

  const base::Duration start = load::now();
  const base::Duration used = tools::read_clock(CLOCK_PROCESS_CPUTIME_ID);
  notes.counting = true;
  turn_for(loop, cycles.time);
  notes.counting = false;
  notes.found.took = load::now() - start;
  notes.found.processor_time = tools::read_clock(CLOCK_PROCESS_CPUTIME_ID) - used;

  notes.ending = true;
  loop.turn_until([&] { return notes.under_way == 0; }, kEndMost, "the end of the last cycles");
  return std::move(notes.found);
}

}  // namespace tests::lock_load
