// The sending side of the record layer: seals each datagram of this node once, for all its
// receivers, under a key and counter that are never used twice. Pure: the salt must be fresh from
// the operating system's generator at each start.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/ids.h"
#include "evs/net/aead.h"
#include "evs/net/record.h"

namespace evs::net {

class Sealer {
 public:
  // `aead` outlives the sealer. Only tests start at another counter than 1, to come near the end of
  // a sub-key.
  Sealer(Aead& aead, const ClusterKey& key, base::NodeId self, const Salt& salt,
         std::uint64_t first_counter = 1);

  // Seals up to kPlaintextBytesMax bytes into `datagram`, which is overwritten and does not overlap
  // them.
  void seal(RecordType type, base::Bytes plaintext, base::Buffer& datagram);

  // Seals with this key from now on. The counter goes on, so a key that comes back is no danger.
  void use(const ClusterKey& key);

  KeyId key_id() const { return next_.key_id; }
  std::uint64_t sealed() const { return sealed_; }

 private:
  Aead& aead_;
  ClusterKey cluster_key_;
  RecordHeader next_;
  std::uint64_t first_counter_;
  Secret key_;  // Of the sub-key to which next_.counter belongs.
  std::uint64_t sealed_ = 0;
};

}  // namespace evs::net
