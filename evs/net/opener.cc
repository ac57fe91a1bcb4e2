#include "evs/net/opener.h"

#include <algorithm>

#include "base/check.h"
#include "base/mutant.h"

namespace evs::net {

Opener::Opener(Aead& aead, const Keyring& keys, base::NodeId self, const Salt& salt,
               std::span<const base::NodeId> nodes)
    : aead_(aead), keys_(keys), self_(self), salt_(salt) {
  for (base::NodeId node : nodes) {
    if (node != self) peers_.try_emplace(node);
  }
}

void Opener::use(const Keyring& keys) {
  keys_ = keys;
  for (auto& [node, peer] : peers_) peer.forget_key();
}

std::optional<KeyId> Opener::key_of(base::NodeId node) const {
  const auto peer = peers_.find(node);
  return peer == peers_.end() ? std::nullopt : peer->second.key_id();
}

base::Result<std::optional<Opened>, Refusal> Opener::open(base::Instant now, base::Bytes datagram) {
  to_send_.clear();
  held_.reset();
  const auto result = try_open(now, datagram);
  if (result) {
    ++opened_;
  } else {
    ++refused_[static_cast<std::size_t>(result.error())];
  }
  return result;
}

base::Result<std::optional<Opened>, Refusal> Opener::try_open(base::Instant now,
                                                              base::Bytes datagram) {
  const auto header = decode_header(datagram);
  if (!header) return base::error(header.error());
  if (header->cipher != aead_.cipher()) return base::error(Refusal::wrong_cipher);
  const ClusterKey* cluster_key = keys_.find(header->key_id);
  if (cluster_key == nullptr) return base::error(Refusal::wrong_key_id);
  if (header->sender == self_) return base::error(Refusal::own);
  const auto found = peers_.find(header->sender);
  if (found == peers_.end()) return base::error(Refusal::unknown_sender);

  // The cheap checks come before the costly one. They trust a header that may be forged, but they
  // only refuse; nothing is remembered before the tag has been found right.
  Peer& peer = found->second;
  const bool proved = peer.proved(header->salt);
  if (header->counter == 0 || (proved && !peer.fresh(header->counter))) {
    return base::error(Refusal::replayed);
  }

  const Secret* at_hand = peer.key(*header);
  const Secret key = at_hand ? *at_hand : derive_key(aead_, *cluster_key, *header);
  if (proved && MUTANT("seal_replay_window_before_authentication")) peer.accept(*header, key);
  plaintext_.resize(datagram.size() - kSealBytes);
  const bool genuine = aead_.open(key, nonce_of(*header), datagram.first(kHeaderBytes),
                                  datagram.subspan(kHeaderBytes), plaintext_);
  if (!genuine && !MUTANT("seal_tag_ignored")) return base::error(Refusal::forged);

  if (!proved) return of_unproved(*header, peer, key, now);
  peer.accept(*header, key);
  return of_proved(*header, peer, key, now);
}

base::Result<std::optional<Opened>, Refusal> Opener::of_proved(const RecordHeader& header,
                                                               Peer& peer, const Secret& key,
                                                               base::Instant now) {
  if (header.type == RecordType::ring) return Opened{header, plaintext_};
  const auto handshake = decode_handshake(plaintext_);
  if (!handshake || handshake->to != self_) return base::error(Refusal::stray);
  if (header.type == RecordType::challenge) {
    answer(header.sender, *handshake);
  } else if (is_answer_to_us(handshake)) {
    static_cast<void>(peer.answered(handshake->number, header, key, now));
  }
  return std::nullopt;
}

// A life that may be over. Its answer to the open challenge proves the contrary; anything else
// calls for a challenge. Its own challenge is answered, since two new lives would wait for each
// other for ever: what we answer proves nothing but our own life.
base::Result<std::optional<Opened>, Refusal> Opener::of_unproved(const RecordHeader& header,
                                                                 Peer& peer, const Secret& key,
                                                                 base::Instant now) {
  if (header.type == RecordType::ring) {
    if (MUTANT("seal_old_boot_accepted")) return Opened{header, plaintext_};
    peer.hold(header, plaintext_);
  } else {
    const auto handshake = decode_handshake(plaintext_);
    const bool for_us = handshake && handshake->to == self_;
    if (for_us && header.type == RecordType::challenge && peer.may_answer_unproved(now)) {
      answer(header.sender, *handshake);
    }
    if (header.type == RecordType::answer && is_answer_to_us(handshake) &&
        peer.answered(handshake->number, header, key, now)) {
      held_ = peer.take_held();
      if (!held_) return std::nullopt;
      return Opened{held_->header, held_->text};
    }
  }
  challenge(header.sender, peer, now);
  return base::error(Refusal::unproved);
}

bool Opener::is_answer_to_us(const std::optional<Handshake>& handshake) const {
  return handshake && handshake->to == self_ &&
         (handshake->challenger == salt_ || MUTANT("seal_any_answer_proves"));
}

void Opener::challenge_all(base::Instant now) {
  to_send_.clear();
  for (auto& [node, peer] : peers_) challenge(node, peer, now);
}

void Opener::answer(base::NodeId to, const Handshake& challenge) {
  send(to, RecordType::answer, {to, challenge.challenger, challenge.number});
}

void Opener::challenge(base::NodeId to, Peer& peer, base::Instant now) {
  if (const auto number = peer.challenge(now)) {
    send(to, RecordType::challenge, {to, salt_, *number});
  }
}

void Opener::send(base::NodeId to, RecordType type, const Handshake& handshake) {
  to_send_.push_back({to, type, encode(handshake)});
}

}  // namespace evs::net
