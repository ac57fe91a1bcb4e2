// A lock table and the model side by side: each command goes to both, and whatever they say and
// become is compared. A second table takes the same commands in other pieces and is loaded from
// snapshots on the way; it has to stay equal to the first.
//
// Differences that are meant, and bridged here:
//  - Ids and tokens. A lock of the table is named by session and request, the model counts. Each
//    grant of the table has a token that is higher than all before, which is checked.
//  - A release of what waits or converts, which the model calls a plain unlock, is refused by the
//    table unless it is forced. So is a release under another token, and a cancel of what does not
//    wait: the model does nothing then, and says ok.
//  - Locks of who died or is purged end in the table's order: what waits first, then by token.
//  Their
//    own ends are told by the table, since its caller knows that nobody is there any more, and not
//    by the model.
//  - An adoption names the orphan, draws a token and is told as a grant; the model's has no
//    completion.
//  - A time-out is a cancel by whoever watches the clock. The model's own clock stands still.
//  - The table has no rule 3. After a node's death a conversion passes others there because the
//    order of the queues may have got lost; in a replicated table nothing is lost.
//  - Limits. What they refuse is refused before anything else happens, and must change nothing.
//  - What ends because of a deadlock across resources is found by the table alone, and the model is
//    told. Whether it was one is judged by tests/model/deadlock_judge.h.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dlm/table.h"
#include "tests/model/deadlock_judge.h"
#include "tests/model/lock_model.h"
#include "tests/model/table_command.h"

namespace model {

// What one lock was told by a command, in order.
using Told = std::map<dlm::LockName, std::vector<std::string>>;

class TablePair {
 public:
  explicit TablePair(const dlm::Limits& limits = {});

  // Goes on from the same state, by way of a snapshot; what was seen begins anew.
  TablePair(const TablePair& other);
  TablePair& operator=(const TablePair&) = delete;

  // Empty if table and model agree, else how they differ. Nothing may be executed after that.
  std::string execute(const Command& command);

  const dlm::Table& table() const { return table_; }
  const Lockspace& lockspace() const { return lockspace_; }

  // The lock of the model under its name in the table.
  dlm::LockName name_of_lock(int id) const { return names_.at(id); }

  // How often things happened that a test wants to have seen.
  const std::map<std::string, std::uint64_t>& seen() const { return seen_; }

 private:
  // Each drives the model as the table said, and notes what the table should have said.
  void acquire(const Command& command);
  void convert(const Command& command);
  void adopt(const Command& command);
  void release(const Command& command);
  void cancel(const Command& command);
  void expect(const Outcome& outcome, dlm::LockName asked);
  void expect_at_limit(const Command& command);

  std::string step(const Command& command);
  std::string end(const Command& command);
  std::string reload();
  void end_one(const Command& command, dlm::LockName next);
  void break_deadlocks(const Command& command, const dlm::Effects& effects);
  void hear(const Command& command, const dlm::Effect& effect);
  std::string judge_deadlocks(const Command& command, const dlm::Effects& effects,
                              const DeadlockJudge* before);
  std::string compare_ring(const dlm::Deadlock& ring, const DeadlockJudge& before,
                           const DeadlockJudge& after);
  std::string compare_ring_of_two(const Command& command, const dlm::Deadlock& ring,
                                  const DeadlockJudge& state) const;
  std::string compare_told();
  std::string compare_state() const;
  std::string compare_resource(const std::string& name, const Resource& resource) const;

  std::size_t locks_of(dlm::SessionId session) const;
  std::optional<dlm::Status> limit_reached(dlm::LockName lock, int resource) const;
  const Lock* find(dlm::LockName name) const;
  LockCall call_of(const Command& command) const;

  dlm::Limits limits_;
  dlm::Table table_;
  dlm::Table again_;
  Lockspace lockspace_;
  std::map<dlm::LockName, int> ids_;
  std::map<int, dlm::LockName> names_;
  std::map<dlm::LockName, dlm::RequestId> pending_;  // What waits, as it was asked for.
  std::uint64_t last_token_ = 0;
  std::map<std::string, std::uint64_t> seen_;
  dlm::LockFlags flags_of_all_ = 0;  // So far.
  std::uint64_t commands_ = 0;
  bool owners_ = false;

  // Of the command that is executed.
  dlm::Status refused_ = dlm::Status::ok;
  bool of_one_resource_ = false;  // Refused for a deadlock of conversions, as the model says too.
  Told told_;
  Told expected_;
  std::set<dlm::Token> tokens_;
  std::string wrong_;
};

}  // namespace model
