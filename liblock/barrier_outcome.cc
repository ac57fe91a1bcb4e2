#include "liblock/barrier_outcome.h"

#include <utility>

namespace liblock {

COutcome::COutcome(BarrierEnd from) : lock_barrier_outcome{}, end_(std::move(from)) {
  const protocol::BarrierOutcome& outcome = end_.outcome;
  for (const protocol::BarrierMember& member : outcome.members) {
    all_members_.push_back({base::value(member.session), base::value(member.at.node),
                            member.value.data(), member.value.size()});
  }
  for (const protocol::BarrierLost& one : outcome.lost) {
    all_lost_.push_back({base::value(one.session), base::value(one.at.node)});
  }
  size = sizeof(lock_barrier_outcome);
  ending = static_cast<lock_barrier_ending>(outcome.ending);
  step = static_cast<lock_barrier_step>(outcome.step);
  generation = base::value(outcome.generation);
  self = base::value(end_.self);
  ring_sequence = outcome.ring.sequence;
  ring_node = base::value(outcome.ring.representative);
  ring_nonce = outcome.ring.nonce;
  membership = outcome.membership;
  members = all_members_.data();
  members_len = all_members_.size();
  lost = all_lost_.data();
  lost_len = all_lost_.size();
  losses = outcome.losses;
}

}  // namespace liblock
