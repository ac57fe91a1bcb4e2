#include "evs/ring.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"

namespace evs {

// A packet may be numbered `outstanding_max` beyond what its sender knows to be stable, which the
// token tells everybody; and until a receiver has the token again, and discards, at most a
// rotation's packets are added, which are not more (Config::validate).
Ring::Ring(const RingId& ring_id, std::vector<Processor> ring_members, const Processor& self,
           const Config& config)
    : id(ring_id),
      members(std::move(ring_members)),
      store(2 * config.outstanding_max, config.first_sequence),
      acknowledged(members.size(), config.first_sequence),
      delivered(config.first_sequence),
      reassembly(members.size()) {
  const auto found = std::lower_bound(members.begin(), members.end(), self);
  CHECK(found != members.end() && *found == self);
  self_index = static_cast<std::size_t>(found - members.begin());
}

Sequence Ring::stable() const {
  if (MUTANT("safe_without_predecessor") && size() > 1) {
    Sequence least = acknowledged[self_index];
    for (std::size_t i = 0; i < size(); ++i) {
      if (i != predecessor()) least = std::min(least, acknowledged[i]);
    }
    return least;
  }
  if (MUTANT("safe_when_received_here")) return acknowledged[self_index];
  return *std::min_element(acknowledged.begin(), acknowledged.end());
}

void Ring::merge_acknowledged(const std::vector<Sequence>& entries) {
  CHECK(entries.size() == acknowledged.size());
  for (std::size_t i = 0; i < entries.size(); ++i) merge_acknowledged(i, entries[i]);
}

void Ring::merge_acknowledged(std::size_t index, Sequence entry) {
  acknowledged[index] = std::max(acknowledged[index], entry);
}

void Ring::discard() {
  const Sequence limit =
      MUTANT("discard_by_own_delivery") ? delivered : std::min(delivered, stable());
  if (limit > store.discarded()) store.discard_to(limit);
}

bool Ring::contains(const Processor& processor) const {
  return std::binary_search(members.begin(), members.end(), processor);
}

std::optional<std::size_t> Ring::index_of(base::NodeId node) const {
  for (std::size_t i = 0; i < size(); ++i) {
    if (members[i].node == node) return i;
  }
  return std::nullopt;
}

}  // namespace evs
