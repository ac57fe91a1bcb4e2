// The state Recovery: the members that come from the same old ring give each other what they hold
// of it, on the new ring, at every attempt anew [rules 9-13].
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "evs/member.h"

namespace evs {

void Member::enter_recovery(Instant now, CommitMessage commit) {
  ++statistics_.recoveries;
  if (ring_->obligation != 0) ++statistics_.recoveries_with_obligation;

  Recovery state{.ring = Ring(commit.ring, commit.members, self_, config_),
                 .pass = {},
                 .progress = {commit.members.size(), {0, now.boot}},
                 .commit_passed = {},
                 .commit_retransmit_at = {},
                 .transitional = {},
                 .exchanged = {},
                 .store_before = {}};

  // Rule 9.
  MemberMask transitional = 0;
  bool all_recovered = true;  // In an earlier attempt, each of them.
  state.low = ring_->store.received();
  for (std::size_t i = 0; i < commit.members.size(); ++i) {
    const CommitEntry& entry = commit.entries[i];
    if (entry.old_ring.sequence == kFirstRingSequence) acquaintances_.alone(commit.members[i]);
    if (entry.old_ring != ring_->id) continue;
    const auto old =
        std::lower_bound(ring_->members.begin(), ring_->members.end(), commit.members[i]);
    if (old == ring_->members.end() || *old != commit.members[i]) continue;
    state.transitional.push_back(i);
    transitional |= bit(static_cast<std::size_t>(old - ring_->members.begin()));
    state.low = std::min(state.low, entry.received);
    state.stable = std::max(state.stable, entry.stable);
    state.deliver |= entry.obligation & all_of(ring_->size());
    all_recovered = all_recovered && entry.obligation != 0;
  }
  if (MUTANT("obligation_not_united")) state.deliver = ring_->obligation;
  if (MUTANT("obligation_dropped")) state.deliver = 0;
  if (MUTANT("obligation_reset_for_newcomer") && !all_recovered) state.deliver = 0;
  if (MUTANT("stable_not_exchanged")) state.stable = ring_->stable();
  if ((state.deliver & ~transitional) != 0) ++statistics_.obligations_outside_transitional;
  state.deliver |= transitional;
  if (MUTANT("obligation_only_shrinks") && ring_->obligation != 0) {
    state.deliver &= ring_->obligation;
  }
  // Nobody is known to have discarded what somebody lacks, whatever a Commit token says.
  state.low = std::max(state.low, ring_->store.discarded());
  state.next_exchange = state.low + 1;
  if (MUTANT("no_exchange_if_all_recovered") && all_recovered) {
    state.next_exchange = ring_->store.highest() + 1;
  }
  if (MUTANT("recovered_carried_over")) state.recovered = ring_->obligation != 0;
  if (MUTANT("obligation_taken_early")) ring_->obligation = state.deliver;
  if (MUTANT("gains_forgotten")) state.store_before = ring_->store;

  const std::size_t members = commit.members.size();
  state.pass.accepted_hop = state.ring.self_index == 0 ? members - 1 : 0;
  state.pass.lost_at = now.boot + config_.token_timeout;
  ++commit.hop;
  ++forwarded_;
  state.commit_passed = encode(commit);
  if (members > 1) state.commit_retransmit_at = now.boot + config_.token_retransmit;
  send_to(commit.members[commit.hop % members], state.commit_passed);
  tell_members(TraceEvent::enter_recovery, commit.ring, commit.members);
  state_ = std::move(state);
}

void Member::on_join(Instant now, const JoinMessage& join, Recovery& state) {
  if (!state.ring.contains(join.sender) || join.ring_sequence < state.ring.id.sequence) return;
  ++statistics_.recoveries_failed;
  start_round(state.ring.members);
  enter_gather(now, Reason::join_in_recovery, join.sender, &join);
}

// The Commit token is back from its second pass: the representative makes the ring's first token of
// it.
void Member::on_commit(Instant now, base::NodeId from, const CommitMessage& commit,
                       Recovery& state) {
  const std::size_t members = state.ring.size();
  if (commit.ring != state.ring.id || state.ring.self_index != 0 || state.pass.passed_hop != 0)
    return;
  if (commit.hop != 2 * members || from != state.ring.members[state.ring.predecessor()].node)
    return;
  state.commit_retransmit_at.reset();
  TokenMessage token;
  token.ring = state.ring.id;
  token.sequence = config_.first_sequence;
  token.acknowledged.resize(members, config_.first_sequence);
  visit(now, state, std::move(token));
}

void Member::on_token(Instant now, base::NodeId from, TokenMessage token, Recovery& state) {
  if (!acceptable(state.ring, state.pass, from, token)) {
    refuse_token(state.ring, state.pass, from, token);
    return;
  }
  state.commit_retransmit_at.reset();
  accept(now, state.ring, state.pass, token);
  const Sequence sequence = token.sequence;
  visit(now, state, std::move(token));
  if (auto* still = std::get_if<Recovery>(&state_); still && !MUTANT("recovery_without_end")) {
    watch_progress(now, still->ring, still->progress, sequence);
    if (!std::holds_alternative<Recovery>(state_)) ++statistics_.recoveries_failed;
  }
}

void Member::visit(Instant now, Recovery& state, TokenMessage token) {
  const MemberMask everyone = all_of(state.ring.size());
  MemberMask awaited = everyone;
  if (MUTANT("install_on_transitional_bits")) {
    awaited = 0;
    for (std::size_t i : state.transitional) awaited |= bit(i);
  }
  // Rule 6: install on sight, before anything is sent or acknowledged. The bits of the others mean
  // nothing without my own.
  if ((token.recovered & awaited) == awaited && state.recovered) {
    // All of them late would be as good as all in time.
    if (!MUTANT("installs_one_visit_late") || state.ring.self_index == 0 || state.install_overdue) {
      install(now, std::move(token));
      return;
    }
    state.install_overdue = true;
  }

  Allowance left = allowance(state.ring, state.pass, token);
  const std::uint32_t allowed = left.packets;
  answer_requests(state.ring, token, left);
  exchange(state, token, left);
  if (MUTANT("numbers_before_install") && state.recovered && left.may_number() &&
      !send_queue_.empty()) {
    PackedPayload packed = send_queue_.pack(config_.datagram_bytes_max / 2);
    const auto self_index = static_cast<std::uint8_t>(state.ring.self_index);
    send_to_ring(
        state.ring,
        number_packet(
            state.ring, token,
            PacketMessage{{}, 0, self_index, packed.safe, false, std::move(packed.payload)}));
    for (std::uint32_t index = 0; index < packed.messages_ended; ++index) {
      trace(TraceEvent::message_numbered, state.ring.id, token.sequence, index);
    }
    left.numbered();
  }
  const std::uint32_t sent = allowed - left.packets;
  token.rotation_packets -= std::min(token.rotation_packets, state.pass.packets_sent);
  token.rotation_packets += sent;
  state.pass.packets_sent = sent;

  state.ring.acknowledged[state.ring.self_index] = state.ring.store.received();
  static_cast<void>(request_missing(state.ring, token, token.sequence));

  // Rule 12.
  const MemberMask self = bit(state.ring.self_index);
  if (exchange_done(state)) token.done |= self;
  const bool all_done = token.done == everyone || MUTANT("recovered_without_done");
  const bool all_here =
      state.ring.store.received() >= token.sequence || MUTANT("recovered_too_early");
  const bool carried = MUTANT("recovered_carried_over") && state.recovered;
  if ((exchange_done(state) && all_done && all_here) || carried) {
    if (!state.recovered) set_recovered(state, token);
    token.recovered |= self;
  }
  pass_token(now, state.ring, state.pass, std::move(token));
  ++forwarded_;
  state.ring.discard();
}

// Rule 12: whoever sees this bit relies on me, until I install, to deliver what the members of D
// sent.
void Member::set_recovered(Recovery& state, const TokenMessage& token) {
  state.recovered = true;
  state.install_sequence = token.sequence;
  ring_->obligation = state.deliver;
  trace(TraceEvent::recovered, state.ring.id, token.sequence);
}

// Rule 10: rebroadcast every held packet above low. One that came in this attempt already is on its
// way to everybody and need not be sent twice.
void Member::exchange(Recovery& state, TokenMessage& token, Allowance& left) {
  while (left.may_number() && !exchange_done(state)) {
    const Sequence sequence = state.next_exchange++;
    const Packet& packet = *ring_->store.find(sequence);
    left.numbered();
    Buffer payload = encode_exchange(PacketMessage{ring_->id, sequence, packet.sender, packet.safe,
                                                   packet.exchange, packet.payload});
    send_to_ring(state.ring,
                 number_packet(state.ring, token,
                               PacketMessage{{},
                                             0,
                                             static_cast<std::uint8_t>(state.ring.self_index),
                                             false,
                                             true,
                                             std::move(payload)}));
  }
  // What everybody has of the exchange is not needed again.
  state.ring.delivered = state.recovered
                             ? std::min(state.ring.store.received(), state.install_sequence)
                             : state.ring.store.received();
}

// Moves on to the next packet that I hold and that nobody has rebroadcast in this attempt.
bool Member::exchange_done(Recovery& state) {
  const auto rebroadcast = [&](Sequence sequence) {
    const std::size_t place = sequence - state.low - 1;
    return place < state.exchanged.size() && state.exchanged[place];
  };
  while (state.next_exchange <= ring_->store.highest() &&
         (ring_->store.find(state.next_exchange) == nullptr || rebroadcast(state.next_exchange))) {
    ++state.next_exchange;
  }
  return state.next_exchange > ring_->store.highest();
}

void Member::on_packet(Instant, PacketMessage packet, Recovery& state) {
  if (MUTANT("old_data_during_recovery") && packet.ring == ring_->id &&
      packet.sender < ring_->size()) {
    ring_->store.insert(packet.sequence, Packet{packet.sender, packet.safe, packet.exchange,
                                                std::move(packet.payload)});
    return;
  }
  // Rule 11: what of the old ring did not come through this attempt's exchange is dropped.
  if (packet.ring != state.ring.id || packet.sender >= state.ring.size()) return;
  const Packet stored{packet.sender, packet.safe, packet.exchange, packet.payload};
  if (state.ring.store.insert(packet.sequence, stored) != PacketStore::Insert::stored) {
    ++statistics_.packets_duplicate;
    return;
  }
  if (MUTANT("acknowledges_before_install") && packet.asks &&
      state.ring.store.received() >= packet.sequence) {
    state.ring.acknowledged[state.ring.self_index] = packet.sequence;
    send_to_ring(state.ring, encode(AcknowledgementMessage{state.ring.id, packet.sequence}));
  }
  if (!packet.exchange) return;
  std::optional<PacketMessage> old = decode_exchange(packet.payload);
  if (!old || (old->ring == ring_->id && old->sender >= ring_->size())) {
    ++statistics_.datagrams_malformed;
    return;
  }
  if (old->ring != ring_->id || old->sequence <= state.low) return;
  // It enters the old ring's store at once, and stays there if the attempt fails [rule 10].
  const Sequence sequence = old->sequence;
  if (ring_->store.insert(sequence,
                          Packet{old->sender, old->safe, old->exchange, std::move(old->payload)}) ==
      PacketStore::Insert::beyond) {
    return;
  }
  const std::size_t place = sequence - state.low - 1;
  if (place >= state.exchanged.size()) state.exchanged.resize(place + 1, false);
  state.exchanged[place] = true;
}

}  // namespace evs
