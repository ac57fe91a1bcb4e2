// Where a table comes from: the epoch that it belongs to, and the chain of configurations its node
// went through since. Nodes of one label have applied the same deliveries; who is missing from the
// chain has departed [rules 6.13, 6.14].
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "evs/event.h"
#include "lockd/epoch.h"
#include "lockd/state.h"

namespace lockd {

// Two tables of the same label are the same table. `chain` folds the ids of all configurations
// since the epoch's own regular one; 0 is none.
struct Label {
  Epoch epoch;
  std::uint64_t chain = 0;

  friend auto operator<=>(const Label&, const Label&) = default;
};

class Lineage {
 public:
  // Of an epoch just activated in the regular configuration `ring`.
  Lineage(const Epoch& epoch, const evs::Configuration& ring);

  // The node goes on to this configuration, transitional or regular.
  void pass(const evs::Configuration& configuration);

  const Label& label() const { return label_; }

  // Members of the epoch that were not in every transitional configuration since, with the epoch's
  // ring.
  std::vector<Departure> departures() const;

 private:
  Label label_;
  std::vector<base::Processor> members_;  // Sorted.
  std::vector<base::Processor> stayed_;   // Sorted.
};

}  // namespace lockd
