// The callbacks of one client that are due, and in which order they run (liblock/lock.h and
// request.h): losses, jeopardy, lockspaces, notifications, completions, barriers. It calls nobody
// itself.
#pragma once

#include <liblock/barrier.h>
#include <liblock/lockspace.h>
#include <liblock/request.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "liblock/event.h"

namespace liblock {

// Of a program that does not dispatch. Over that, the oldest losses and some lockspaces are not
// told.
constexpr std::size_t kLossesDueMax = 65536;
constexpr std::size_t kLockspacesDueMax = 128;

// Whom an asynchronous call is to tell.
struct Callback {
  Callback() = default;
  template <typename Function>
  Callback(Function* wanted, void* its_arg) : arg(its_arg) {
    if (wanted != nullptr) function = wanted;
  }

  std::variant<std::monostate, lock_done_fn*, lock_outcome_fn*, lock_outcomes_fn*> function;
  void* arg = nullptr;
};

struct Completion {
  Callback callback;
  bool conversion = false;
  std::vector<lock_outcome> outcomes;
};

// The end of an arrival or a leave for `callback`; or, without one, a second step that broke.
struct BarrierCompletion {
  lock_barrier_fn* callback = nullptr;
  void* arg = nullptr;
  std::uint64_t arrival = 0;
  int error = 0;
  std::optional<BarrierEnd> end;
};

class Due {
 public:
  bool empty() const;

  // None: the session.
  void lost(std::optional<lock_grant> grant);

  // True if it was a grant that its owner has not been told of: then it was never granted.
  bool lost_untold(std::uint64_t lock);

  // Only the last of several is news.
  void jeopardy_is(bool on) { jeopardy = on; }

  // Of several states of a lockspace the last is told, with all that have failed.
  void lockspace_is(protocol::LockspaceState state);
  void lockspace_gone(const std::string& lockspace, int error);

  void blocked(const Blocked& blocked);
  void completed(Completion completion) { completions.push_back(std::move(completion)); }

  // Of arrivals and leaves.
  std::size_t barrier_ends() const;

  // What was broken is known to its participant otherwise.
  void forget_broken(protocol::BarrierGeneration generation);

  // Those of locks without a completion that is due come before all completions.
  std::set<std::uint64_t> locks_with_completions() const;

  struct Lockspace {
    int error = 0;
    protocol::LockspaceState state;
  };

  // Of one grant.
  struct Notices {
    Token token{};
    std::vector<protocol::Mode> modes;
  };

  std::deque<std::optional<lock_grant>> losses;
  std::optional<bool> jeopardy;
  std::map<std::string, Lockspace> lockspaces;
  std::map<std::uint64_t, Notices> notices;  // By lock.
  std::deque<Completion> completions;
  std::deque<BarrierCompletion> barriers;

 private:
  void bound_lockspaces();
};

}  // namespace liblock
