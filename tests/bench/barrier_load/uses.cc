#include "tests/bench/barrier_load/uses.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "tests/bench/barrier_load/tally.h"
#include "tools/clocks.h"

namespace tests::barrier_load {
namespace {

constexpr std::size_t kLateUses = 3;
// Long enough that the others would have passed without the one that is late.
constexpr base::Duration kLateness = std::chrono::milliseconds(100);
constexpr base::Duration kStartMost = std::chrono::seconds(1);
constexpr base::Duration kUseMost = std::chrono::seconds(20);

class Uses {
 public:
  Uses(load::Loop& loop, std::size_t parties, const MakeParty& make)
      : loop_(loop), tally_(parties) {
    for (std::size_t i = 1; i <= parties; ++i) parties_.push_back(make(i));
  }

  // `late`: a party that is, from 0.
  void run(std::optional<std::size_t> late) {
    late_ = late;
    bool ready = false;
    parties_.front()->prepare(++use_, [&ready] { ready = true; });
    loop_.turn_until([&ready] { return ready; }, kUseMost, "making a barrier");
    tally_.begin();
    start_ = load::now();
    const base::Duration used = tools::read_clock(CLOCK_PROCESS_CPUTIME_ID);
    for (std::size_t i = 0; i < parties_.size(); ++i) delay_if_late(i, &Uses::enter);
    loop_.turn_until([this] { return tally_.all_left() || !tally_.fault().empty(); }, kUseMost,
                     "the use of a barrier");
    if (!tally_.fault().empty()) throw std::runtime_error(tally_.fault());
    if (!counting_) return;
    const base::Duration took = load::now() - start_;
    found_.all.push_back(took);
    found_.took += took;
    found_.processor_time += tools::read_clock(CLOCK_PROCESS_CPUTIME_ID) - used;
  }

  void run_for(base::Duration time) {
    const base::Duration end = load::now() + time;
    do run(std::nullopt);
    while (load::now() < end);
  }

  void count() { counting_ = true; }
  Found found() { return std::move(found_); }

 private:
  void delay_if_late(std::size_t party, void (Uses::*step)(std::size_t)) {
    if (party != late_) return (this->*step)(party);
    loop_.call_at(load::now() + kLateness, [this, party, step] { (this->*step)(party); });
  }

  void enter(std::size_t party) {
    tally_.enters(party);
    parties_[party]->enter(use_, [this, party](Passed passed) { on_entered(party, passed); });
  }

  void on_entered(std::size_t party, Passed passed) {
    if (counting_) found_.enter.push_back(load::now() - start_);
    tally_.entered(party, passed);
    delay_if_late(party, &Uses::leave);
  }

  void leave(std::size_t party) {
    tally_.leaves(party);
    const base::Duration asked = load::now();
    parties_[party]->leave([this, party, asked](Passed passed) {
      const base::Duration at = load::now();
      tally_.left(party, passed);
      if (!counting_) return;
      found_.leave.push_back(at - asked);
      found_.use.push_back(at - start_);
    });
  }

  load::Loop& loop_;
  std::vector<std::unique_ptr<Party>> parties_;
  Tally tally_;
  std::uint64_t use_ = 0;
  std::optional<std::size_t> late_;
  base::Duration start_{0};
  bool counting_ = false;
  Found found_;
};

}  // namespace

Found measure(load::Loop& loop, std::size_t parties, base::Duration time, const MakeParty& make) {
  Uses uses(loop, parties, make);
  for (std::size_t i = 0; i < kLateUses; ++i) uses.run(i * (parties - 1) / (kLateUses - 1));
  uses.run_for(std::min(time / 4, kStartMost));
  uses.count();
  uses.run_for(time);
  return uses.found();
}

}  // namespace tests::barrier_load
