// The living bring the journals of the dead to an end. They meet at a barrier with two steps: when
// all have entered, nobody is in the middle of a transaction; when all have left, no journal of a
// dead one is left to be recovered. In between each takes its turn under the lock "control", and
// the first one finds the work; the others find it done, or take over from who has died over it.
#pragma once

#include <liblock/barrier.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "volume.h"
#include "watch.h"

namespace journal_recovery {

class Recovery {
 public:
  Recovery(Volume& volume, Watch& watch) : volume_(volume), watch_(watch) {}
  Recovery(const Recovery&) = delete;
  Recovery& operator=(const Recovery&) = delete;

  // Goes to the barrier, if we are not there. From now on, and as long as waits() or is_due(), we
  // begin no transaction.
  void arrive();
  bool waits() const { return arrival_ != 0; }

  // Somebody has recovered it without us, since we have just come: we need not wait.
  void withdraw();

  // All have arrived.
  bool is_due() const { return round_.has_value(); }

  // Blocks until it is over for all.
  void run();

 private:
  struct Round {
    std::uint64_t generation = 0;
    std::set<unsigned> living;  // Journals whose owners take part.
  };

  struct Dead {
    ringlock::held lock;
    Header header;
    std::string region() const { return journal_region(header.journal); }
  };

  static void on_outcome(lock_client* client, std::uint64_t arrival, int error,
                         const lock_barrier_outcome* outcome, void* arg);
  void take_turn();
  std::optional<Dead> take(unsigned journal);
  void shut_out_the_dead(const ringlock::held& by);
  void replay(Dead& dead, const ringlock::held& by);
  void clear_marks();
  void leave();

  Volume& volume_;
  Watch& watch_;
  std::uint64_t arrival_ = 0;
  std::optional<Round> round_;
  std::set<unsigned> suspects_;  // Whose owners had died, as we knew when we arrived.
};

}  // namespace journal_recovery
