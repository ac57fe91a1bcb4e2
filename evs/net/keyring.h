// The keys of a cluster as one node has them: what is sealed with any of them opens, one of them
// seals. How a cluster changes its key while it runs is docs/wire.md, "Keys".
#pragma once

#include <vector>

#include "evs/net/record.h"

namespace evs::net {

struct Keyring {
  Keyring() = default;
  Keyring(const ClusterKey& only) : keys{only}, in_use(only.id) {}  // NOLINT: it is one.

  // Whether the key in use is there; what the caller has to see to.
  bool valid() const { return find(in_use) != nullptr; }

  // Null if there is none with this id.
  const ClusterKey* find(KeyId id) const;

  // The one that seals. It has to be there.
  const ClusterKey& sealing() const;

  void set_cluster(const ClusterId& cluster);

  std::vector<ClusterKey> keys;  // Each id once.
  KeyId in_use{};
};

}  // namespace evs::net
