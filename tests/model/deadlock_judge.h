// Says who waits for ever, from what a lock table shows of itself and the definition of a deadlock
// alone: it knows nothing of how the table looks for rings.
//
// A wait ends if it may end by itself (owner 0, NODLCKWT, ALTPR, ALTCW), or if each wait before it
// in the queue ends, and the owner of each lock that is in its way has no other wait left but such
// that end: a holder of an incompatible mode, or an incompatible request before it. What owner 0
// has, or somebody with NODLCKBLK, is in nobody's way. The parts of a request for several end
// together. Whatever does not end by this, however often it is applied, is stuck.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dlm/table.h"

namespace model {

class DeadlockJudge {
 public:
  struct Seen {
    dlm::LockName name;
    std::pair<dlm::SessionId, dlm::Owner> owner;
    std::string resource;  // With its lockspace.
    std::optional<dlm::Mode> holds;
    std::optional<dlm::Mode> wants;
    dlm::LockFlags flags = 0;
  };

  explicit DeadlockJudge(const dlm::Table& table);

  // These are one request.
  void join(const std::vector<dlm::LockName>& parts);

  // What the table refused, or ended: as if it waited, last in its queue or first.
  void add_wait(const Seen& wait, bool at_head);

  const Seen* find(dlm::LockName name) const;
  std::set<dlm::LockName> stuck() const;

  // Whether one step of a ring is true here.
  bool waits_for(const dlm::DeadlockStep& step) const;

  // Whether the next wait of a ring is one that the blocker of this step waits for.
  bool leads_to(const dlm::DeadlockStep& step, const Seen& next) const;

 private:
  bool by_itself(const Seen& it) const;
  bool no_obstacle(const Seen& it) const;
  bool ready(const Seen& it, const std::set<dlm::LockName>& ends) const;
  bool is_free(const Seen& holder, const std::set<dlm::LockName>& ends) const;
  std::vector<const Seen*> before(const Seen& it) const;
  std::vector<dlm::LockName> parts_of(dlm::LockName name) const;

  std::map<dlm::LockName, Seen> locks_;
  std::map<std::string, std::vector<dlm::LockName>> converting_;
  std::map<std::string, std::vector<dlm::LockName>> waiting_;
  std::vector<std::vector<dlm::LockName>> joined_;
};

// Lets everybody finish on a copy of the table: who waits for nothing releases all he has, what may
// go by itself goes. True if nobody is left. NODLCKBLK is not for this: it can hide a deadlock.
bool everybody_can_finish(const dlm::Table& table);

}  // namespace model
