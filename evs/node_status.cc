#include "evs/node_status.h"

#include <algorithm>

#include "evs/member.h"

namespace evs {

void RotationTimes::add(base::Duration rotation) {
  average = longest == Duration::zero() ? rotation : average + (rotation - average) / 16;
  last = rotation;
  longest = std::max(longest, rotation);
  std::rotate(recent.begin(), recent.begin() + 1, recent.end());
  recent.back() = rotation;
}

base::Duration RotationTimes::shortest() const {
  return *std::min_element(recent.begin(), recent.end());
}

NodeStatus Member::status(Instant now) const {
  NodeStatus status;
  if (const auto* state = std::get_if<Operational>(&state_)) status.rotation = state->rotation;
  status.highest = ring_->store.highest();
  status.received = ring_->store.received();
  status.stable = ring_->stable();
  status.delivered = ring_->delivered;
  status.stored = status.highest - ring_->store.discarded();
  status.personal_window = windows_.personal();
  status.rotation_window = windows_.rotation();
  status.accelerated_window = windows_.accelerated();
  status.waiting_messages = send_queue_.messages();
  status.waiting_bytes = send_queue_.bytes();
  for (std::size_t i = 0; i < config_.nodes.size(); ++i) {
    PeerStatus peer;
    peer.node = config_.nodes[i];
    if (const auto index = ring_->index_of(peer.node)) {
      peer.member = ring_->members[*index];
      peer.acknowledged = ring_->acknowledged[*index];
    }
    if (const auto heard = acquaintances_.last_heard(peer.node)) peer.heard = now.boot - *heard;
    peer.barred = readmission_.barred(now.boot, peer.node, ring_->size());
    status.peers.push_back(peer);
  }
  return status;
}

}  // namespace evs
