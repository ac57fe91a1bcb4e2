// The install: one step from the old regular configuration through the transitional one to the new
// [rule 14; Totem95 section 6.2].
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "evs/member.h"

namespace evs {

void Member::install(Instant now, TokenMessage token) {
  Recovery state = std::move(std::get<Recovery>(state_));
  // (a) As far as the old regular configuration goes.
  deliver_regular(*ring_,
                  MUTANT("safe_above_stable_in_regular") ? ring_->store.highest() : state.stable);
  announce_transitional(state);  // (b)
  deliver_transitional(state);   // (c')
  if (!MUTANT("message_goes_on_in_next_ring")) send_queue_.restart_message();
  ring_ = std::move(state.ring);
  ring_->delivered = state.install_sequence;
  readmission_.installed(now.boot, ring_->id, candidates_.sets(), ring_->members);
  agreed_.clear();
  forwarded_ = 0;
  start_round(ring_->members);
  announce_regular(now);  // (d)
  enter_operational(now, std::move(state.pass), std::move(token));
}

// In order: up to the first gap whoever sent it; beyond, what the members of D sent. A gap has a
// sender outside D, and nothing that a member of D sent depends on what is missing.
void Member::deliver_transitional(const Recovery& state) {
  bool gap = false;
  for (Sequence s = ring_->delivered + 1; s <= ring_->store.highest(); ++s) {
    const Packet* packet = ring_->store.find(s);
    if (packet == nullptr) {
      gap = true;
      if (MUTANT("nothing_beyond_gap")) return;
      continue;
    }
    const bool in_deliver = (state.deliver & bit(packet->sender)) != 0;
    const bool ordinary = !gap && !MUTANT("before_gap_only_from_deliver");
    if (!ordinary && !in_deliver && !MUTANT("gap_ignored")) continue;
    if (gap) ++statistics_.delivered_beyond_gap;
    deliver_packet(*ring_, s, *packet, true);
    ring_->delivered = s;
  }
}

void Member::announce_transitional(const Recovery& state) {
  ConfigurationChange change;
  change.configuration.kind = ConfigurationKind::transitional;
  for (std::size_t i : state.transitional) {
    change.configuration.members.push_back(state.ring.members[i]);
  }
  const auto& members = change.configuration.members;
  // Unique because the old ring's nonce is in it, and the members that share it are the same for
  // all of them.
  change.configuration.id = RingId{state.ring.id.sequence - 1, members.front().node,
                                   state.ring.id.nonce ^ (ring_->id.nonce * 0x9e3779b97f4a7c15u)};
  std::set_difference(ring_->members.begin(), ring_->members.end(), members.begin(), members.end(),
                      std::back_inserter(change.departed));
  change.last_token = evidence_.last_receipt;
  tell_departed(change.departed);
  tell_members(TraceEvent::install_transitional, change.configuration.id, members);
  regular_.members =
      members;  // Until the regular configuration is announced, for its list of the joined.
  events_.push_back(std::move(change));
}

void Member::announce_regular(Instant now) {
  ++statistics_.installs;
  ConfigurationChange change;
  change.configuration.kind = ConfigurationKind::regular;
  change.configuration.id = ring_->id;
  change.configuration.members = ring_->members;
  std::set_difference(ring_->members.begin(), ring_->members.end(), regular_.members.begin(),
                      regular_.members.end(), std::back_inserter(change.joined));
  change.last_token = now;
  regular_ = change.configuration;
  evidence_ = TokenEvidence{ring_->id, now, {}, false};
  tell_joined(change.joined);
  tell_members(TraceEvent::install_regular, ring_->id, ring_->members);
  events_.push_back(std::move(change));
}

}  // namespace evs
