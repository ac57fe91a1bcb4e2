// Watches the journals of the others. The owner of a journal holds its lock in EX as long as it
// lives; we wait for PR. When we are granted that, the owner is gone, in whatever way: ended, dead,
// standing still, or cut off with its node, and its time is over. The lock's value says whether it
// had left in good order.
#pragma once

#include <cstdint>
#include <liblock/lock.hpp>
#include <optional>
#include <set>
#include <vector>

namespace journal_recovery {

class Watch {
 public:
  Watch(ringlock::client& client, unsigned journals);
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // All but our own (0: all, we own none). Returns when it is known which of them have no owner.
  void start(unsigned own);

  // Nobody has to wait for us any more.
  void stop();

  // One journal, whose owner we are going to be.
  void stop(unsigned journal);
  void start_again(unsigned journal) { ask(journals_.at(journal - 1)); }

  // Runs the callbacks of all that was decided up to now.
  void catch_up();

  // Lets go of journals that somebody wants in EX: to recover them, or to own them.
  void give_way();

  // Those whose owner did not leave in good order. They have to be recovered.
  const std::set<unsigned>& orphaned() const { return orphaned_; }

  // Those among them whose owner has certainly died; of others nothing is known.
  const std::set<unsigned>& of_the_dead() const { return of_the_dead_; }

  // Nobody owns it, and there is nothing to recover.
  bool is_free(unsigned journal) const;

 private:
  struct Journal {
    Watch* watch = nullptr;
    unsigned number = 0;
    std::uint64_t request = 0;  // 0: not watched.
    std::optional<lock_grant> grant;
    bool wanted = false;
  };

  void ask(Journal& journal);
  void let_go(Journal& journal);
  void forget(unsigned journal);
  static void on_outcome(lock_client* client, const lock_outcome* outcome, void* arg);
  static void on_wanted(lock_client* client, const lock_grant* grant, lock_mode mode, void* arg);

  ringlock::client& client_;
  std::vector<Journal> journals_;
  std::set<unsigned> orphaned_;
  std::set<unsigned> of_the_dead_;
};

}  // namespace journal_recovery
