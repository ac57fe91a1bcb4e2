// How long this node's clients may rely on their locks, and how long it waits before those of
// departed ones are freed: both counted from stamps of tokens on this node's own clocks. Who is
// attached or orphaned is the table's business. The inequality and rules 6.1-6.10, 7.A1-A2, 8.C3
// are in docs/safety.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "lockd/command.h"
#include "lockd/replica_config.h"

namespace lockd {

using base::Instant;

// When this incarnation installed each ring it was in, and last accepted a token of it [rule 6.4].
// Only the latest rings are kept; for a forgotten one a node waits longer, never shorter.
class RingStamps {
 public:
  static constexpr std::size_t kRingsMax = 64;

  void installed(const RingId& ring, Instant at);

  // A later token of the latest ring. An earlier stamp changes nothing.
  void token(const RingId& ring, Instant at);

  // None if this incarnation was not in the ring, or it is forgotten.
  std::optional<Instant> last_token(const RingId& ring) const;
  std::optional<Instant> install(const RingId& ring) const;

 private:
  struct Stamp {
    RingId ring;
    Instant install;
    Instant last_token;
  };

  const Stamp* find(const RingId& ring) const;

  std::deque<Stamp> stamps_;
};

// E: the deadline of this node's clients.
class Lease {
 public:
  explicit Lease(const ReplicaConfig& config) : length_(config.lease - config.lease_margin) {}

  // Every member has received a token since `release`. True if that moves the deadline.
  bool renew(Instant release);

  std::optional<Instant> deadline() const { return deadline_; }
  base::Duration left(Instant now) const;

 private:
  base::Duration length_;
  std::optional<Instant> deadline_;
};

// The waits of orphan marks, each counted from a stamp that is frozen when this node first sees the
// mark.
class OrphanWaits {
 public:
  // Starts the wait of a mark, unless it runs.
  void add(const Mark& mark, Instant from);

  // The marks of a session that is no orphan any more. True if there was one.
  bool remove(SessionId session);
  void clear();

  // Marks whose wait was over at `now`, at most `most`; they are not asked about again until
  // retry().
  std::vector<Mark> take_due(Instant now, base::Duration wait, std::size_t most);

  // EXPIREs that were sent may be lost: ask about every mark again.
  void retry();

  // When take_due() has something, on the boot clock.
  std::optional<base::Duration> next_due(Instant now, base::Duration wait) const;

  // Marks that take_due() gave and that are still there.
  std::size_t taken() const { return from_.size() - pending_.size(); }

 private:
  std::map<Mark, Instant> from_;
  std::set<std::pair<base::Duration, Mark>> pending_;  // By the boot clock of the stamp.
};

}  // namespace lockd
