#include "lockd/lineage.h"

#include <algorithm>
#include <iterator>

#include "lockd/mix.h"

namespace lockd {

Lineage::Lineage(const Epoch& epoch, const evs::Configuration& ring)
    : label_{epoch, 0}, members_(ring.members), stayed_(ring.members) {}

void Lineage::pass(const evs::Configuration& configuration) {
  label_.chain = mix(label_.chain, configuration.id);
  if (configuration.kind == evs::ConfigurationKind::regular) {
    return;
  }
  // A transitional configuration is named together with its members: two that left one ring for one
  // other ring must differ even if an id did not say so.
  for (const base::Processor& member : configuration.members) {
    label_.chain = mix(label_.chain, member);
  }
  std::vector<base::Processor> still;
  std::set_intersection(stayed_.begin(), stayed_.end(), configuration.members.begin(),
                        configuration.members.end(), std::back_inserter(still));
  stayed_ = std::move(still);
}

std::vector<Departure> Lineage::departures() const {
  std::vector<Departure> departures;
  for (const base::Processor& member : members_) {
    if (!std::binary_search(stayed_.begin(), stayed_.end(), member)) {
      departures.push_back({member, label_.epoch.ring});
    }
  }
  return departures;
}

}  // namespace lockd
