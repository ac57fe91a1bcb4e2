// Which lives of the configured nodes this member has met, so that it can say why one came into its
// ring, which is for people alone; and when it last heard each, which it tells the others.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "evs/trace.h"

namespace evs {

class Acquaintances {
 public:
  // `nodes` are the configured ones, sorted, and outlive this.
  explicit Acquaintances(const std::vector<base::NodeId>& nodes)
      : nodes_(nodes), known_(nodes.size()) {}

  // A datagram of a configured node was taken.
  void heard(base::Duration now, base::NodeId node);
  std::optional<base::Duration> last_heard(base::NodeId node) const;

  // What it brings to the ring to be shows that it was in none with others since it started.
  void alone(const base::Processor& processor);

  // It is a member now. Answers why it came, as far as this member can know. `started_again` tells
  // of an earlier life in `former`.
  struct Arrival {
    Reason reason{};
    base::Processor former;
  };
  Arrival met(const base::Processor& processor);

  // Everybody who is new has been met: whoever comes later does not come because of my own start.
  void settled(std::size_t members) { in_company_ = in_company_ || members > 1; }

 private:
  struct Known {
    std::optional<base::Duration> heard;
    std::optional<base::Processor> alone;
    std::optional<base::Processor> member;  // As it last was in a ring with me.
  };

  // Null if it is not configured: others may name anybody.
  Known* find(base::NodeId node);
  const Known* find(base::NodeId node) const;

  const std::vector<base::NodeId>& nodes_;
  std::vector<Known> known_;
  bool in_company_ = false;  // This member was in a ring with others.
};

}  // namespace evs
