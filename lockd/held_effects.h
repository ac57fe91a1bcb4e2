// Effects for this daemon's sessions between being applied and being told: they wait until this
// node stands in an active epoch with a live lease and their tokens are covered
// [rules 6.3, 7.A6, 7.C]. When that is, the replica knows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "lockd/state.h"

namespace lockd {

class HeldEffects {
 public:
  // `command` is the own command that it came of, 0 for none; `next_token` the table's counter
  // afterwards.
  void add(Effect effect, std::uint64_t command, std::uint64_t next_token);

  // They may not be told yet: whatever is told of them is told late.
  void delay();

  struct Told {
    Effect effect;
    std::uint64_t command = 0;
    bool late = false;
  };

  // The next in order, if tokens up to `token_ceiling` are covered by the records of a majority.
  std::optional<Told> take(std::uint64_t token_ceiling);

  // The table they were effects of is not this node's any more. Answers how many there were.
  std::size_t discard();

  std::size_t size() const { return held_.size(); }

 private:
  struct Held {
    Told told;
    std::uint64_t next_token = 0;
  };

  std::deque<Held> held_;
  std::size_t late_ = 0;  // The first of them that are late already.
};

}  // namespace lockd
