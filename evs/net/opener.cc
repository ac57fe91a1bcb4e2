#include "evs/net/opener.h"

#include "base/mutant.h"

namespace evs::net {

Opener::Opener(Aead& aead, const ClusterKey& key, base::NodeId self,
               std::span<const base::NodeId> nodes)
    : aead_(aead), cluster_key_(key) {
  for (base::NodeId node : nodes) {
    if (node != self) peers_.try_emplace(node);
  }
}

base::Result<Opened, Refusal> Opener::open(base::Bytes datagram) {
  const auto result = try_open(datagram);
  if (result) {
    ++opened_;
  } else {
    ++refused_[static_cast<std::size_t>(result.error())];
  }
  return result;
}

base::Result<Opened, Refusal> Opener::try_open(base::Bytes datagram) {
  const auto header = decode_header(datagram);
  if (!header) return base::error(header.error());
  if (header->key_id != cluster_key_.id) return base::error(Refusal::wrong_key_id);
  const auto peer = peers_.find(header->sender);
  if (peer == peers_.end()) return base::error(Refusal::unknown_sender);

  // The cheap checks come before the costly one. They trust a header that may be forged, but they
  // only refuse; nothing is remembered before the tag has been found right.
  Lives& lives = peer->second;
  if (!lives.fresh(header->salt, header->counter)) return base::error(Refusal::replayed);
  if (!lives.room_for(header->salt)) return base::error(Refusal::too_many_lives);

  const Secret* at_hand = lives.key(header->salt, sub_key_of(header->counter));
  const Secret key = at_hand ? *at_hand : derive_key(aead_, cluster_key_, *header);
  if (MUTANT("seal_replay_window_before_authentication")) {
    lives.accept(header->salt, header->counter, key);
  }
  plaintext_.resize(datagram.size() - kSealBytes);
  const bool genuine = aead_.open(key, nonce_of(*header), datagram.first(kHeaderBytes),
                                  datagram.subspan(kHeaderBytes), plaintext_);
  if (!genuine && !MUTANT("seal_tag_ignored")) return base::error(Refusal::forged);

  lives.accept(header->salt, header->counter, key);
  return Opened{header->sender, plaintext_};
}

}  // namespace evs::net
