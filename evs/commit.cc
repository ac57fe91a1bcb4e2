// The state Commit: the Commit token has my entry and goes round to collect the others'.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "evs/member.h"

namespace evs {

// Rule 8: from here until the install, or the next attempt, neither the delivered position nor the
// known stable one moves.
CommitEntry Member::freeze() const {
  return {ring_->id, ring_->store.received(), ring_->stable(), ring_->obligation, true};
}

void Member::enter_commit(Instant now, CommitMessage commit) {
  const std::size_t members = commit.members.size();
  ring_sequence_ = commit.ring.sequence;
  commit.entries[commit.hop % members] = freeze();
  ++commit.hop;
  ++forwarded_;

  Commit state;
  state.passed = encode(commit);
  state.lost_at = now.boot + config_.token_timeout;
  if (members > 1) state.retransmit_at = now.boot + config_.token_retransmit;
  state.sent = std::move(commit);
  state_ = std::move(state);
  const auto& entered = std::get<Commit>(state_);
  tell_members(TraceEvent::enter_commit, entered.sent.ring, entered.sent.members);
  send_to(entered.sent.members[entered.sent.hop % members], entered.passed);
}

// A Join that a future member sent before it entered Commit is of the past; a later one ends the
// attempt.
void Member::on_join(Instant now, const JoinMessage& join, Commit& state) {
  const auto& members = state.sent.members;
  if (!std::binary_search(members.begin(), members.end(), join.sender)) return;
  if (join.ring_sequence < state.sent.ring.sequence) return;
  start_round(state.sent.members);
  enter_gather(now, Reason::join_in_commit, join.sender, &join);
}

void Member::on_commit(Instant now, base::NodeId from, CommitMessage commit, Commit& state) {
  const std::size_t members = state.sent.members.size();
  if (commit.ring != state.sent.ring || commit.members != state.sent.members) return;
  // The second pass reaches me `members` hops after the first, which I passed on with one hop more.
  if (commit.hop != state.sent.hop - 1 + members) return;
  const std::size_t index = commit.hop % members;
  // Nobody but me speaks for me: what I froze must have come back as it was.
  if (commit.entries[index] != state.sent.entries[index]) return;
  if (from != commit.members[(index + members - 1) % members].node) return;
  for (const CommitEntry& entry : commit.entries) {
    if (!entry.filled) return;
  }
  enter_recovery(now, std::move(commit));
}

}  // namespace evs
