// The state Gather: Joins until all who have not failed say the same [Totem95 section 5,
// membership].
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "evs/member.h"

namespace evs {

// `join` is what made us gather, if a Join did. Whoever else is to be proposed or has failed is
// already among the candidates.
void Member::enter_gather(Instant now, Reason reason, const Processor& by,
                          const JoinMessage* join) {
  ++statistics_.gathers;
  TraceRecord record{TraceEvent::enter_gather, ring_->id};
  record.reason = reason;
  record.processor = by;
  trace(record);
  // Leaving is final: whatever the old ring's token was doing here is forgotten [rule 7].
  Gather state;
  state.consensus_at = now.boot + config_.consensus_timeout;
  if (auto* failed = std::get_if<Recovery>(&state_); failed && failed->store_before) {
    ring_->store = std::move(*failed->store_before);
  }
  state.previous = std::exchange(agreed_, {});
  state.forwarded = std::exchange(forwarded_, 0);
  state_ = std::move(state);
  candidates_.forget_consensus();
  if (join != nullptr) take_join(*join);
  send_join(now, std::get<Gather>(state_));
  after_join(now, std::get<Gather>(state_));
}

void Member::send_join(Instant now, Gather& state) {
  send_to_configured(encode(
      JoinMessage{self_, ring_sequence_, false, state.forwarded, candidates_.sets(), heard(now)}));
  state.join_at = now.boot + config_.join_interval;
}

// A Join that a member sent before it installed the ring that I stand in.
bool Member::stale(const JoinMessage& join) const {
  if (MUTANT("stale_join_taken")) return false;
  return ring_->contains(join.sender) && join.ring_sequence < ring_->id.sequence;
}

// Whoever failed in an earlier round may take part in this one. A round ends when its ring is
// installed, and when a member of the ring to be already speaks of the next: else a member that
// always comes too late to install would carry its failed set from round to round and keep the
// healthy apart.
void Member::start_round(const std::vector<Processor>& proposed) {
  candidates_.reset();
  for (const Processor& member : ring_->members) candidates_.propose(member);
  for (const Processor& processor : proposed) candidates_.propose(processor);
}

// True if it changed what I think.
bool Member::take_join(const JoinMessage& join) {
  if (candidates_.has_failed(join.sender)) {
    // Another one, whom it reached first, may have told me already that it is gone, but not why.
    TraceRecord record{TraceEvent::candidate_failed, ring_->id};
    record.reason = Reason::said_so;
    record.processor = join.sender;
    if (join.leaving) trace(record);
    return false;
  }
  ring_sequence_ = std::max(ring_sequence_, join.ring_sequence);
  const std::vector<Candidate> before = candidates_.sets();
  const bool changed = join.leaving
                           ? candidates_.fail(join.sender)
                           : candidates_.merge(join.sender, join.candidates, join.forwarded);
  if (changed) tell_candidates(before, Reason::told, &join);
  return changed;
}

void Member::on_join(Instant now, const JoinMessage& join, Gather& state) {
  if (stale(join)) return;
  if (take_join(join)) {
    state.consensus_at = now.boot + config_.consensus_timeout;
    state.commit_lost_at.reset();
    send_join(now, state);
  }
  after_join(now, state);
}

void Member::on_consensus_timeout(Instant now, Gather& state) {
  const std::vector<Candidate> before = candidates_.sets();
  candidates_.fail_silent();
  tell_candidates(before, Reason::silent);
  state.consensus_at = now.boot + config_.consensus_timeout;
  send_join(now, state);
  after_join(now, state);
}

void Member::after_join(Instant now, Gather& state) {
  if (!candidates_.consensus()) return;
  std::vector<Processor> alive = candidates_.alive();
  // More nodes than a ring holds cannot be configured, but one node's lives may be named together
  // for a moment; the silent ones fail by time.
  const auto same_node = [](const Processor& a, const Processor& b) { return a.node == b.node; };
  if (std::adjacent_find(alive.begin(), alive.end(), same_node) != alive.end()) return;
  if (alive.size() > 1 && alive == state.previous && !MUTANT("same_consensus_again")) {
    force_failure(now, state);
    return;
  }
  if (agreed_ != alive) tell_members(TraceEvent::consensus, ring_->id, alive);
  agreed_ = alive;
  if (alive.front() != self_) {
    state.consensus_at.reset();
    if (!state.commit_lost_at) state.commit_lost_at = now.boot + config_.token_timeout;
    return;
  }
  CommitMessage commit;
  // One number below is the transitional configurations' (docs/protocol.md, identifiers).
  const std::uint64_t nonce = MUTANT("ring_id_without_nonce") ? 0 : random_.u64();
  commit.ring = RingId{ring_sequence_ + 2, self_.node, nonce};
  commit.entries.resize(alive.size());
  commit.members = std::move(alive);
  enter_commit(now, std::move(commit));
}

// All agree a second time on what came to nothing the first time: Joins arrive where the token does
// not. It got lost on its way to the first of those who passed on the fewest; this one fails
// [Agarwal94]. If it is me, I go on alone.
void Member::force_failure(Instant now, Gather& state) {
  ++statistics_.failures_forced;
  const std::vector<Candidate> before = candidates_.sets();
  const Processor hindmost = candidates_.hindmost(state.forwarded);
  for (const Processor& processor : candidates_.alive()) {
    if (hindmost == self_ || processor == hindmost) candidates_.fail(processor);
  }
  tell_candidates(before, Reason::token_stops);
  state.previous.clear();
  state.consensus_at = now.boot + config_.consensus_timeout;
  state.commit_lost_at.reset();
  send_join(now, state);
  after_join(now, state);
}

void Member::on_commit(Instant now, base::NodeId from, CommitMessage commit, Gather&) {
  if (commit.ring.sequence <= ring_sequence_ || commit.members != candidates_.alive()) return;
  const auto self = std::lower_bound(commit.members.begin(), commit.members.end(), self_);
  CHECK(self != commit.members.end() && *self == self_);
  const auto index = static_cast<std::size_t>(self - commit.members.begin());
  // Only the first pass, and only from the one before me: a copy of the second pass starts nothing.
  if (index == 0 || commit.hop != index || from != commit.members[index - 1].node) return;
  for (std::size_t i = 0; i < commit.entries.size(); ++i) {
    if (commit.entries[i].filled != (i < index)) return;
  }
  enter_commit(now, std::move(commit));
}

// Data of the old ring that comes late still fills gaps here; delivery waits for the install [rule
// 8].
void Member::on_packet(Instant, PacketMessage packet, Gather&) {
  if (packet.ring != ring_->id || packet.sender >= ring_->size()) return;
  ring_->store.insert(packet.sequence, Packet{packet.sender, packet.safe, packet.exchange,
                                              std::move(packet.payload)});
}

}  // namespace evs
