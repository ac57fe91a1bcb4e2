// Answers to what people ask of a daemon: which locks there are, who holds and waits, how the
// daemon and the ring stand. They come from this node's own table at once, quorum or not, and say
// when that is not an active primary's.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "liblock/protocol/messages.h"
#include "lockd/replica.h"
#include "lockd/ring_queries.h"

namespace lockd {

struct QueriesConfig {
  struct Node {
    base::NodeId id{};
    std::uint32_t votes = 0;
    bool witness = false;
    std::string address;  // As this node has it configured.
  };
  std::vector<Node> nodes;  // Every configured one, sorted by id.
  std::string cluster;      // Its id, for people.
  std::string version;
  base::Duration lease{0};

  // Counters of the layers below, appended to those of the replica. May be empty.
  std::function<void(std::vector<liblock::protocol::Counter>&)> more_counters;

  RingQueriesConfig ring;
};

// A lockspace as its users are told of it.
liblock::protocol::LockspaceState state_of(const std::string& name, const Lockspace& lockspace);

class Queries {
 public:
  // `replica` must outlive this.
  Queries(QueriesConfig config, base::Processor self, const Replica& replica);

  liblock::protocol::ListPage answer(Instant now, const liblock::protocol::List& query) const;
  liblock::protocol::ShowPage answer(Instant now, const liblock::protocol::Show& query) const;
  liblock::protocol::DeadlockAnswer answer(Instant now,
                                           const liblock::protocol::DeadlockQuery& query) const;
  liblock::protocol::LockspacesPage answer(Instant now,
                                           const liblock::protocol::LockspacesQuery& query) const;
  liblock::protocol::BarriersPage answer(Instant now,
                                         const liblock::protocol::BarriersQuery& query) const;
  liblock::protocol::Status answer(Instant now, const liblock::protocol::StatusQuery& query) const;
  liblock::protocol::Members answer(Instant now,
                                    const liblock::protocol::MembersQuery& query) const;
  liblock::protocol::RingStatus answer(Instant now,
                                       const liblock::protocol::RingStatusQuery& query) const {
    return lockd::answer(now, config_.ring, query);
  }
  liblock::protocol::RingLogPage answer(Instant now,
                                        const liblock::protocol::RingLogQuery& query) const {
    return lockd::answer(now, config_.ring, query);
  }
  liblock::protocol::Why answer(Instant now, const liblock::protocol::WhyQuery& query) const {
    return lockd::answer(now, config_.ring, query);
  }

  // For the victim.
  liblock::protocol::Deadlock describe(const dlm::Deadlock& deadlock) const;

 private:
  liblock::protocol::LockRef ref_to(const dlm::LockName& lock) const;
  std::vector<liblock::protocol::DeadlockStep> steps_of(const dlm::Deadlock& deadlock) const;
  liblock::protocol::ListItem item_of(const State& table, const dlm::ResourceView& resource) const;

  QueriesConfig config_;
  base::Processor self_;
  const Replica& replica_;
};

}  // namespace lockd
