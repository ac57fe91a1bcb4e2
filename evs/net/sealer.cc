#include "evs/net/sealer.h"

#include "base/check.h"
#include "base/mutant.h"

namespace evs::net {

Sealer::Sealer(Aead& aead, const ClusterKey& key, base::NodeId self, const Salt& salt,
               std::uint64_t first_counter)
    : aead_(aead),
      cluster_key_(key),
      next_{aead.cipher(), RecordType::ring, key.id, self, salt, first_counter},
      first_counter_(first_counter),
      key_(derive_key(aead_, cluster_key_, next_)) {
  CHECK(first_counter != 0);
}

void Sealer::use(const ClusterKey& key) {
  cluster_key_ = key;
  next_.key_id = key.id;
  key_ = derive_key(aead_, cluster_key_, next_);
}

void Sealer::seal(RecordType type, base::Bytes plaintext, base::Buffer& datagram) {
  CHECK(plaintext.size() <= kPlaintextBytesMax);
  next_.type = type;
  datagram.clear();
  datagram.reserve(kSealBytes + plaintext.size());
  encode(next_, datagram);
  datagram.resize(kSealBytes + plaintext.size());
  const std::span<std::byte> whole(datagram);
  aead_.seal(key_, nonce_of(next_), whole.first(kHeaderBytes), plaintext,
             whole.subspan(kHeaderBytes));
  ++sealed_;

  const std::uint64_t sub_key = sub_key_of(next_.counter);
  if (!MUTANT("canary_seal")) ++next_.counter;
  if (sub_key_of(next_.counter) == sub_key) return;
  if (MUTANT("seal_nonce_reset_at_subkey")) {
    next_.counter = first_counter_;
    return;
  }
  key_ = derive_key(aead_, cluster_key_, next_);
}

}  // namespace evs::net
