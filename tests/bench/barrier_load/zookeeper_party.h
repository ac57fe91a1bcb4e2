// ZooKeeper's double barrier, as its documentation describes it ("ZooKeeper Recipes and
// Solutions"). On entering: a node of one's own below that of the barrier; who sees all of them
// makes the node `ready`, for which the others wait. On leaving each one deletes its own and waits
// for the lowest to go; the owner of that waits for the highest, until it is the last.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/bench/barrier_load/party.h"
#include "tests/bench/load/zookeeper.h"

namespace tests::barrier_load {

// What one who leaves does next.
struct Step {
  bool remove_own = false;
  std::string await;  // The node that has to go first; empty: none, then it has left.
  bool operator==(const Step&) const = default;
};

// `children`: of the barrier, in any order.
Step next_step(std::vector<std::string> children, const std::string& own);

class ZooKeeperParty : public Party {
 public:
  // `number` is no other party's; one party at each server `nudges` it.
  ZooKeeperParty(load::Loop& loop, const std::string& address, std::size_t number,
                 std::size_t parties, bool nudges);

  void prepare(std::uint64_t use, Ready ready) override;
  void enter(std::uint64_t use, Done done) override;
  void leave(Done done) override;

 private:
  std::string barrier(std::uint64_t use) const;
  void on_changed(const std::string& path);
  void look_at_children();
  void pass();

  std::string own_;  // Name of its node.
  std::size_t parties_;
  std::uint64_t use_ = 0;
  std::string folder_;  // Of the barrier in this use.
  Done done_;           // Empty while nothing is waited for.
  std::string awaited_;
  load::ZooKeeper server_;
};

}  // namespace tests::barrier_load
