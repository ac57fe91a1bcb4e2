// One round: from the EXCHANGEs of a regular configuration to the ACTIVATE that makes it an active
// primary component. It owns the choice of table and epoch, and who counts as having written;
// sending, disk and table belong to the replica. The rules are 6.11-6.17, 7.B1-B2, 7.C, 8.C1-C2 of
// docs/safety.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/result.h"
#include "evs/event.h"
#include "lockd/replica_config.h"
#include "lockd/ring_message.h"

namespace lockd {

// By processor, so that everybody reads them in the same order.
using Exchanges = std::map<base::Processor, Exchange>;

// What the members of a ring conclude, all alike, from their EXCHANGEs.
struct Choice {
  Epoch attempt;
  std::vector<base::Processor> voters;  // Who may count: those with a voter's record. Sorted.

  std::optional<Label> donor;            // None: a cold start.
  std::vector<base::Processor> holders;  // Of the donor's table; of a cold one, everybody. Sorted.
  std::vector<Departure> departures;

  std::uint64_t token_base = 0;
  base::Duration lease_max{0};
  base::Duration cold_lease{0};

  // What a voter writes besides the attempt: the last epoch known active, and whatever may have
  // been active since.
  Epoch last_active;
  std::vector<Attempt> unrefuted;  // Sorted by epoch.

  std::size_t refuted = 0;
};

enum class NoChoice : std::uint8_t {
  no_quorum,
  different_configuration,  // Somebody has other nodes, votes or limits.
  record_full,              // So many unrefuted attempts that a record can not carry one more.
};

base::Result<Choice, NoChoice> choose(const ReplicaConfig& config, const evs::Configuration& ring,
                                      const Exchanges& exchanges);

class Round {
 public:
  // `config` must outlive the round.
  Round(const ReplicaConfig& config, evs::Configuration ring);

  // The first of each member counts. True if this was the last one missing: then outcome() stands.
  bool add(const base::Processor& origin, Exchange&& exchange);

  // Counts a PERSISTED, if it is one of this choice.
  void add(const base::Processor& origin, const Persisted& persisted);

  const Exchanges& exchanges() const { return exchanges_; }

  // Null until everybody has spoken, and if there is no choice to be made.
  const Choice* choice() const;
  std::optional<NoChoice> no_choice() const;

  // The ACTIVATE to send: when all who may count have written, or, without patience, when a
  // majority has.
  std::optional<Activate> proposal(bool patience) const;

  // Whether an ACTIVATE ordered now is one: it repeats the choice, and its voters have written and
  // are a majority.
  bool valid(const Activate& activate) const;

 private:
  std::uint32_t votes_of(const std::vector<base::Processor>& voters) const;

  const ReplicaConfig& config_;
  evs::Configuration ring_;
  Exchanges exchanges_;
  std::optional<base::Result<Choice, NoChoice>> outcome_;
  std::set<base::Processor> persisted_;
};

}  // namespace lockd
