#include "evs/net/keyring.h"

#include <algorithm>

#include "base/check.h"

namespace evs::net {

const ClusterKey* Keyring::find(KeyId id) const {
  const auto found = std::ranges::find(keys, id, &ClusterKey::id);
  return found == keys.end() ? nullptr : &*found;
}

const ClusterKey& Keyring::sealing() const {
  const ClusterKey* key = find(in_use);
  CHECK(key != nullptr);
  return *key;
}

void Keyring::set_cluster(const ClusterId& cluster) {
  for (ClusterKey& key : keys) key.cluster = cluster;
}

}  // namespace evs::net
