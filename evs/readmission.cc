#include "evs/readmission.h"

#include <algorithm>

#include "base/mutant.h"

namespace evs {

namespace {

// Once is an accident, and so is a ring that forms in two steps.
constexpr std::uint32_t kFreeStrikes = 2;

// Two rings that bar each other for equally long can take turns for ever: each calls while the
// other does not listen, and has a strike for it. So a pause is shorter by up to two thirds, by the
// ring's nonce, which all its members know; with a third they can stay in step for long.
Duration spread(Duration pause, std::uint64_t nonce) {
  if (MUTANT("readmission_in_step")) return pause;
  constexpr std::uint64_t kSteps = 1024;
  return pause - 2 * pause / 3 * static_cast<std::int64_t>(nonce % kSteps) / kSteps;
}

}  // namespace

// Those who agreed on a ring named the same candidates, so they bar the same nodes.
void Readmission::installed(Duration now, const RingId& ring,
                            const std::vector<Candidate>& candidates,
                            const std::vector<Processor>& members) {
  nonce_ = ring.nonce;
  const auto in_ring = [&](base::NodeId node) {
    return std::any_of(members.begin(), members.end(),
                       [&](const Processor& member) { return member.node == node; });
  };
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const base::NodeId node = candidates[i].processor.node;
    // Sorted, so the lives of a node stand together; they count once.
    if (in_ring(node) || (i > 0 && candidates[i - 1].processor.node == node)) continue;
    if (!std::binary_search(config_.nodes.begin(), config_.nodes.end(), node)) continue;
    Record& record = records_[node];
    // Longer than any pause without a strike is forgiveness.
    if (now - record.last_strike > 2 * config_.readmission_pause_max) record = {};
    record.last_strike = now;
    if (++record.strikes <= kFreeStrikes) continue;
    const Duration next =
        record.pause == Duration::zero() ? config_.readmission_pause : 2 * record.pause;
    record.pause = std::min(next, config_.readmission_pause_max);
  }
}

// A ring that is no majority has less to lose than to win: it listens again sooner, or a network
// that has healed would leave all nodes apart for the longest pause. Of two rings one at least is
// none.
bool Readmission::barred(Duration now, base::NodeId node, std::size_t members) const {
  const auto found = records_.find(node);
  if (found == records_.end()) return false;
  const bool majority = 2 * members > config_.nodes.size();
  const Duration shorter = std::min(found->second.pause, config_.readmission_pause_max / 5);
  const Duration pause = majority ? found->second.pause : spread(shorter, nonce_);
  return now - found->second.last_strike < pause;
}

}  // namespace evs
