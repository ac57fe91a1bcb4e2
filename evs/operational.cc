// The state Operational: the token's visits, holding it on an idle ring, and what ends the ring.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "evs/member.h"

namespace evs {

void Member::enter_operational(Instant now, TokenPass pass, std::optional<TokenMessage> token) {
  Operational state;
  state.pass = std::move(pass);
  // A start looks for others at once; a ring that has just formed first lets all its members
  // install.
  state.presence_at = ring_->size() == 1 ? now.boot : now.boot + config_.presence_interval;
  state.progress.assign(ring_->size(), {0, now.boot});
  state_ = std::move(state);
  trace(TraceEvent::enter_operational, ring_->id);
  visit(now, std::get<Operational>(state_), std::move(*token));
}

void Member::on_token(Instant now, base::NodeId from, TokenMessage token, Operational& state) {
  if (!acceptable(*ring_, state.pass, from, token) || state.held) {
    refuse_token(*ring_, state.pass, from, token);
    return;
  }
  // What I released before this token came back was received by every other member since
  // [rule 6.1].
  if (state.pass.passed_hop != 0) {
    evidence_.confirmed_release = MUTANT("release_stamped_at_return") ? now : state.pass.passed_at;
    evidence_.confirmed = true;
  }
  state.rotation.add(now.boot - evidence_.last_receipt.boot);
  evidence_.last_receipt = MUTANT("receipt_stamped_before_it") ? state.pass.passed_at : now;
  accept(now, *ring_, state.pass, token);
  const Sequence sequence = token.sequence;
  visit(now, state, std::move(token));
  watch_progress(now, *ring_, state.progress, sequence);
}

void Member::visit(Instant now, Operational& state, TokenMessage token) {
  state.origin = token.origin;
  state.wake_at.reset();
  state.wake_sent = false;
  state.requests_seen = !token.requests.empty();
  state.held = std::move(token);
  state.hold_until = now.boot + (MUTANT("token_rests_too_long") ? 5 : 1) * config_.token_hold_max;
  if (!may_hold(state)) {
    release(now, state);
    return;
  }
  // An acknowledgement that did not reach me may have come with the token.
  deliver_regular(*ring_, ring_->stable());
  trace(TraceEvent::token_held, ring_->id, state.pass.accepted_hop);
  state.pass.lost_at.reset();
  const Processor& predecessor = ring_->members[ring_->predecessor()];
  if (predecessor != self_) {
    send_to(predecessor, encode(TokenReceiptMessage{ring_->id, state.pass.accepted_hop}));
  }
}

// Rule 16: nothing to do, nothing missing, and everybody has had the chance to see that: in a whole
// rotation, or because all have acknowledged to all what I asked them to.
bool Member::may_hold(const Operational& state) const {
  const Sequence sequence = state.held->sequence;
  const bool seen = (state.idle && state.idle_sequence == sequence) ||
                    (sequence != 0 && state.asking == sequence);
  return state.held->origin == ring_->self_index && !state.woken && send_queue_.empty() &&
         !state.requests_seen && (seen || MUTANT("rests_unseen")) && ring_->stable() == sequence;
}

// Everything that this member knows of is stable, so whoever numbered it may rest on the token.
bool Member::may_be_held(const Operational& state) const {
  return state.idle || ring_->stable() == ring_->store.highest();
}

// If I wait for the token, and it does not come soon, somebody holds it who takes me to have
// nothing to wait for: an acknowledgement has not reached me, or my message came when the ring was
// at rest.
void Member::await_token(Instant now, Operational& state) {
  if (state.held) return;
  if (send_queue_.empty() && ring_->delivered == ring_->store.received()) {
    state.wake_at.reset();
    state.wake_sent = false;
  } else if (!state.wake_at) {
    state.wake_at = now.boot + config_.token_retransmit;
  }
}

// The second half of a visit: number what waits, write the own entry, ask for what is missing, pass
// on.
void Member::release(Instant now, Operational& state) {
  CHECK(state.held.has_value());
  TokenMessage token = std::move(*state.held);
  state.held.reset();
  state.hold_until.reset();
  state.woken = false;

  const Sequence sequence_before = token.sequence;
  Allowance left = allowance(*ring_, state.pass, token);
  const std::uint32_t allowed = left.packets;
  answer_requests(*ring_, token, left);
  std::size_t repeated = allowed - left.packets;
  tell_retransmissions(now, repeated, state);
  token.rotation_packets -= std::min(token.rotation_packets, state.pass.packets_sent);
  token.rotation_packets += allowed - left.packets;
  std::vector<Buffer> batch = number_waiting(token, left, state);
  const std::size_t before_token = batch.size() - tail_of(batch.size());
  for (std::size_t i = 0; i < before_token; ++i) send_to_ring(*ring_, std::move(batch[i]));
  state.pass.packets_sent = allowed - left.packets;

  ring_->acknowledged[ring_->self_index] =
      MUTANT("acknowledges_highest_seen") ? ring_->store.highest() : ring_->store.received();
  // What was numbered since my last visit may be under way behind the token.
  repeated += request_missing(
      *ring_, token, config_.accelerated_window == 0 ? token.sequence : state.pass.passed_sequence);
  const std::uint64_t numbered = token.sequence - state.pass.passed_sequence;
  windows_.after_visit(numbered, repeated, now.boot - state.pass.passed_at.boot);
  // What the successor has to do before the token shows that it arrived takes its time.
  state.pass.patience = windows_.busy(numbered)
                            ? std::min(state.rotation.shortest(), config_.token_timeout / 16)
                            : Duration{};
  deliver_regular(*ring_, MUTANT("previous_visit_counts_as_stable")
                              ? std::max(ring_->stable(), state.pass.passed_sequence)
                              : ring_->stable());

  state.idle = token.requests.empty() && token.sequence == sequence_before &&
               ring_->stable() == token.sequence && send_queue_.empty();
  state.idle_sequence = token.sequence;
  pass_token(now, *ring_, state.pass, std::move(token));
  for (std::size_t i = before_token; i < batch.size(); ++i)
    send_to_ring(*ring_, std::move(batch[i]));
  ring_->discard();
  await_token(now, state);
}

// How much of a visit's packets leaves after the token [Babay and Amir 2016]. Nothing of little: on
// a quiet ring a packet that comes after the token misses an entry, and a rotation.
std::size_t Member::tail_of(std::size_t batch) const {
  const std::size_t ahead = std::max<std::size_t>(1, config_.acknowledge_packets_max);
  return std::min<std::size_t>(windows_.accelerated(), batch - std::min(batch, ahead));
}

std::vector<Buffer> Member::number_waiting(TokenMessage& token, Allowance& left,
                                           Operational& state) {
  // An exchanged packet carries a second header; every packet leaves room for it.
  const std::size_t payload_max =
      config_.datagram_bytes_max - kPacketHeaderBytes - kExchangeHeaderBytes;
  bool safe = false;
  std::vector<Buffer> batch;
  while (left.may_number() && !send_queue_.empty()) {
    PackedPayload packed = send_queue_.pack(payload_max);
    left.numbered();
    ++token.rotation_packets;
    safe = safe || packed.safe;
    // The last packet of the visit asks for all of them, if the ring is quiet and I can say the
    // same of myself.
    const bool asks = safe && send_queue_.empty() &&
                      token.rotation_packets <= config_.acknowledge_packets_max &&
                      ring_->store.received() == token.sequence;
    batch.push_back(number_packet(*ring_, token,
                                  PacketMessage{{},
                                                0,
                                                static_cast<std::uint8_t>(ring_->self_index),
                                                packed.safe,
                                                false,
                                                std::move(packed.payload),
                                                asks}));
    if (asks) state.asking = token.sequence;
    for (std::uint32_t index = 0; index < packed.messages_ended; ++index) {
      ++statistics_.messages_sent;
      trace(TraceEvent::message_numbered, ring_->id, token.sequence, index);
    }
  }
  return batch;
}

void Member::on_packet(Instant now, base::NodeId from, PacketMessage packet, Operational& state) {
  if (packet.ring != ring_->id || packet.sender >= ring_->size()) return;
  token_has_arrived(state.pass, packet.sequence);
  // While the token rests here nobody can have numbered a packet beyond it.
  if (state.held && packet.sequence > state.held->sequence) {
    ++statistics_.datagrams_malformed;
    return;
  }
  const auto inserted = ring_->store.insert(
      packet.sequence,
      Packet{packet.sender, packet.safe, packet.exchange, std::move(packet.payload)});
  if (inserted != PacketStore::Insert::beyond && packet.asks &&
      from == ring_->members[packet.sender].node) {
    ring_->merge_acknowledged(packet.sender, packet.sequence);
    state.asked = std::max(state.asked, packet.sequence);
  }
  acknowledge(state);
  if (inserted != PacketStore::Insert::stored) {
    ++statistics_.packets_duplicate;
    return;
  }
  // Something happens on this ring: it is not idle, and the token will come by itself.
  state.idle = false;
  state.wake_at.reset();
  state.wake_sent = false;
  deliver_regular(*ring_, ring_->stable());
  await_token(now, state);
}

void Member::on_wake(Instant now, const WakeMessage& wake, Operational& state) {
  if (wake.ring != ring_->id) return;
  state.woken = true;
  if (state.held) release(now, state);
}

void Member::wake_holder(Instant now, Operational& state) {
  state.wake_at.reset();
  const Processor& holder = ring_->members[state.origin];
  if (holder == self_) return;
  state.wake_sent = true;
  send_to(holder, encode(WakeMessage{ring_->id}));
  state.wake_at = now.boot + config_.token_retransmit;
}

void Member::send_presence(Instant now, Operational& state) {
  state.presence_at.reset();
  if (ring_->self_index != 0 || ring_->size() == config_.nodes.size()) return;
  state.presence_at = now.boot + config_.presence_interval;
  NodeMask outside = all_of(config_.nodes.size());
  for (const Processor& member : ring_->members) outside &= ~mask_of(member.node);
  // Whom I would not hear I do not call.
  for (base::NodeId node : config_.nodes) {
    if (readmission_.barred(now.boot, node, ring_->size())) outside &= ~mask_of(node);
  }
  if (outside == 0) return;
  transmits_.push_back({outside, encode(PresenceMessage{self_, ring_->id, heard(now)})});
}

void Member::on_presence(Instant now, const PresenceMessage& presence, Operational&) {
  if (ring_->contains(presence.sender) || !listens(now, presence.sender, presence.heard)) return;
  const std::vector<Candidate> before = candidates_.sets();
  candidates_.merge(presence.sender, {});
  tell_candidates(before, Reason::started_anew);
  enter_gather(now, Reason::ring_present, presence.sender);
}

// A ring that stands is not left for a stranger who has ended it too often, nor for one who does
// not hear me: that one gets an answer, and will say so once he has heard it.
bool Member::listens(Instant now, const Processor& stranger,
                     const std::vector<base::NodeId>& heard_by_stranger) {
  if (readmission_.barred(now.boot, stranger.node, ring_->size())) {
    ++statistics_.strangers_barred;
    TraceRecord record{TraceEvent::stranger_barred, ring_->id};
    record.processor = stranger;
    trace(record);
    return false;
  }
  const bool mutual =
      std::binary_search(heard_by_stranger.begin(), heard_by_stranger.end(), self_.node);
  if (mutual || MUTANT("deaf_stranger_taken")) return true;
  send_to(stranger, encode(PresenceMessage{self_, ring_->id, heard(now)}));
  return false;
}

void Member::on_join(Instant now, const JoinMessage& join, Operational& state) {
  const bool member = ring_->contains(join.sender);
  if (member && stale(join)) return;
  // Who takes me to have failed forms a ring without me; my own token will tell me.
  for (const Candidate& candidate : join.candidates) {
    if (candidate.failed && candidate.processor == self_) return;
  }
  if (!member && (join.leaving || !listens(now, join.sender, join.heard))) return;
  tell_token(TraceEvent::token_awaited, now, *ring_, state.pass);
  enter_gather(now, join.leaving ? Reason::member_leaves : Reason::join_came, join.sender, &join);
}

}  // namespace evs
