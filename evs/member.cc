#include "evs/member.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"

namespace evs {

namespace {

// The earlier of two deadlines, either of which may be absent.
void earliest(Deadline& least, const Deadline& other) {
  if (other && (!least || *other < *least)) least = other;
}

}  // namespace

Member::Member(const Config& config, base::Incarnation incarnation, base::Random random,
               Instant now, TraceSink* trace)
    : config_(config),
      self_{config.self, incarnation},
      random_(random),
      trace_(trace),
      candidates_(self_),
      readmission_(config_),
      windows_(config_),
      send_queue_(config.send_queue_bytes_max),
      acquaintances_(config_.nodes),
      now_(now) {
  CHECK(config.validate().has_value());
  ring_sequence_ = config_.first_ring_sequence + kFirstRingSequence;
  ring_.emplace(RingId{ring_sequence_, self_.node, random_.u64()}, std::vector<Processor>{self_},
                self_, config_);
  announce_regular(now);
  TokenMessage token;
  token.ring = ring_->id;
  token.sequence = config_.first_sequence;
  token.acknowledged.resize(1, config_.first_sequence);
  enter_operational(now, TokenPass{}, std::move(token));
  drain_loopback(now);
}

void Member::handle_datagram(Instant now, base::NodeId from, base::Bytes datagram) {
  now_ = now;
  ++statistics_.datagrams_received;
  std::optional<Message> message = decode(datagram);
  if (!message || mask_of(from) == 0 || from == self_.node) {
    ++statistics_.datagrams_malformed;
    return;
  }
  acquaintances_.heard(now.boot, from);
  dispatch(now, from, std::move(*message));
  drain_loopback(now);
}

// What each state does with each message; a pair that is not here is ignored (docs/protocol.md,
// table).
void Member::dispatch(Instant now, base::NodeId from, Message message) {
  auto* operational = std::get_if<Operational>(&state_);
  auto* gather = std::get_if<Gather>(&state_);
  auto* commit = std::get_if<Commit>(&state_);
  auto* recovery = std::get_if<Recovery>(&state_);

  if (auto* token = std::get_if<TokenMessage>(&message)) {
    if (MUTANT("old_token_taken") && (gather || commit || recovery) && token->ring == ring_->id &&
        token->acknowledged.size() == ring_->size()) {
      ring_->merge_acknowledged(token->acknowledged);
      deliver_regular(*ring_, ring_->stable());
      return;
    }
    if (operational) on_token(now, from, std::move(*token), *operational);
    if (recovery) on_token(now, from, std::move(*token), *recovery);
  } else if (auto* receipt = std::get_if<TokenReceiptMessage>(&message)) {
    if (operational) on_token_receipt(now, from, *receipt, operational->pass, *ring_);
    if (recovery) on_token_receipt(now, from, *receipt, recovery->pass, recovery->ring);
  } else if (auto* wake = std::get_if<WakeMessage>(&message)) {
    if (operational) on_wake(now, *wake, *operational);
  } else if (auto* packet = std::get_if<PacketMessage>(&message)) {
    if (operational) on_packet(now, from, std::move(*packet), *operational);
    if (gather) on_packet(now, std::move(*packet), *gather);
    if (recovery) on_packet(now, std::move(*packet), *recovery);
  } else if (auto* acknowledgement = std::get_if<AcknowledgementMessage>(&message)) {
    if (operational) on_acknowledgement(now, from, *acknowledgement, *operational);
  } else if (auto* join = std::get_if<JoinMessage>(&message)) {
    if (join->sender.node != from) {
      ++statistics_.datagrams_malformed;
      return;
    }
    if (operational) on_join(now, *join, *operational);
    if (gather) on_join(now, *join, *gather);
    if (commit) on_join(now, *join, *commit);
    if (recovery) on_join(now, *join, *recovery);
  } else if (auto* committing = std::get_if<CommitMessage>(&message)) {
    if (gather) on_commit(now, from, std::move(*committing), *gather);
    if (commit) on_commit(now, from, std::move(*committing), *commit);
    if (recovery) on_commit(now, from, *committing, *recovery);
  } else if (auto* presence = std::get_if<PresenceMessage>(&message)) {
    if (presence->sender.node != from) {
      ++statistics_.datagrams_malformed;
      return;
    }
    if (operational) on_presence(now, *presence, *operational);
  }
}

void Member::drain_loopback(Instant now) {
  while (!loopback_.empty()) {
    std::optional<Message> message = decode(loopback_.front());
    loopback_.pop_front();
    CHECK(message.has_value());
    dispatch(now, self_.node, std::move(*message));
  }
}

void Member::handle_timeout(Instant now) {
  now_ = now;
  const auto due = [&](const Deadline& deadline) { return deadline && *deadline <= now.boot; };

  if (auto* state = std::get_if<Operational>(&state_)) {
    if (due(state->pass.lost_at)) {
      ++statistics_.token_losses;
      tell_token(TraceEvent::token_lost, now, *ring_, state->pass);
      enter_gather(now, Reason::token_lost);
    } else {
      if (due(state->pass.retransmit_at)) retransmit_token(now, *ring_, state->pass);
      if (due(state->wake_at)) wake_holder(now, *state);
      if (due(state->presence_at)) send_presence(now, *state);
      if (due(state->hold_until)) release(now, *state);
    }
  } else if (auto* gather = std::get_if<Gather>(&state_)) {
    if (due(gather->consensus_at)) {
      on_consensus_timeout(now, *gather);
    } else if (due(gather->commit_lost_at)) {
      enter_gather(now, Reason::no_commit);
    } else if (due(gather->join_at)) {
      send_join(now, *gather);
    }
  } else if (auto* commit = std::get_if<Commit>(&state_)) {
    if (due(commit->lost_at)) {
      enter_gather(now, Reason::commit_lost);
    } else if (due(commit->retransmit_at)) {
      send_to(commit->sent.members[commit->sent.hop % commit->sent.members.size()], commit->passed);
      commit->retransmit_at = now.boot + config_.token_retransmit;
    }
  } else if (auto* recovery = std::get_if<Recovery>(&state_)) {
    if (due(recovery->pass.lost_at)) {
      ++statistics_.token_losses;
      ++statistics_.recoveries_failed;
      tell_token(TraceEvent::token_lost, now, recovery->ring, recovery->pass);
      enter_gather(now, Reason::token_lost_in_recovery);
    } else {
      if (due(recovery->pass.retransmit_at)) retransmit_token(now, recovery->ring, recovery->pass);
      if (due(recovery->commit_retransmit_at)) {
        send_to(recovery->ring.members[recovery->ring.successor()], recovery->commit_passed);
        recovery->commit_retransmit_at = now.boot + config_.token_retransmit;
      }
    }
  }
  drain_loopback(now);
}

base::Result<void, MulticastError> Member::multicast(Instant now, Service service,
                                                     base::Bytes payload) {
  now_ = now;
  if (std::holds_alternative<Left>(state_)) return base::error(MulticastError::left);
  if (payload.size() > kMessageBytesMax) return base::error(MulticastError::too_long);
  if (!send_queue_.push(service, payload)) return base::error(MulticastError::try_again);
  if (auto* state = std::get_if<Operational>(&state_)) {
    if (state->held) {
      release(now, *state);
    } else if (may_be_held(*state)) {
      if (!state->wake_sent) wake_holder(now, *state);
    } else {
      await_token(now, *state);
    }
  }
  drain_loopback(now);
  return {};
}

// The farewell is not acknowledged: if it is lost the others find out by the lost token.
void Member::leave(Instant now) {
  now_ = now;
  if (std::holds_alternative<Left>(state_)) return;
  JoinMessage farewell;
  farewell.sender = self_;
  farewell.ring_sequence = ring_sequence_;
  farewell.leaving = true;
  send_to_configured(encode(farewell));
  send_queue_.clear();
  loopback_.clear();
  state_.emplace<Left>();
  trace(TraceEvent::left, ring_->id);
}

std::optional<Transmit> Member::poll_transmit() {
  if (transmits_.empty()) return std::nullopt;
  Transmit next = std::move(transmits_.front());
  transmits_.pop_front();
  return next;
}

std::optional<Event> Member::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event next = std::move(events_.front());
  events_.pop_front();
  return next;
}

Deadline Member::next_timeout() const {
  Deadline least;
  if (const auto* state = std::get_if<Operational>(&state_)) {
    earliest(least, state->pass.lost_at);
    earliest(least, state->pass.retransmit_at);
    earliest(least, state->hold_until);
    earliest(least, state->wake_at);
    earliest(least, state->presence_at);
  } else if (const auto* gather = std::get_if<Gather>(&state_)) {
    earliest(least, gather->join_at);
    earliest(least, gather->consensus_at);
    earliest(least, gather->commit_lost_at);
  } else if (const auto* commit = std::get_if<Commit>(&state_)) {
    earliest(least, commit->retransmit_at);
    earliest(least, commit->lost_at);
  } else if (const auto* recovery = std::get_if<Recovery>(&state_)) {
    earliest(least, recovery->pass.lost_at);
    earliest(least, recovery->pass.retransmit_at);
    earliest(least, recovery->commit_retransmit_at);
  }
  return least;
}

NodeState Member::state() const {
  constexpr NodeState kStates[] = {NodeState::operational, NodeState::gather, NodeState::commit,
                                   NodeState::recovery, NodeState::left};
  return kStates[state_.index()];
}

void Member::send_to(const Processor& processor, Buffer datagram) {
  if (processor == self_) {
    loopback_.push_back(std::move(datagram));
  } else {
    transmits_.push_back({mask_of(processor.node), std::move(datagram)});
  }
}

void Member::send_to_ring(const Ring& ring, Buffer datagram) {
  NodeMask to = 0;
  for (const Processor& member : ring.members) to |= mask_of(member.node);
  to &= ~mask_of(self_.node);
  if (to != 0) transmits_.push_back({to, std::move(datagram)});
}

void Member::send_to_configured(Buffer datagram) {
  const NodeMask to = all_of(config_.nodes.size()) & ~mask_of(self_.node);
  if (to != 0) transmits_.push_back({to, std::move(datagram)});
}

NodeMask Member::mask_of(base::NodeId node) const {
  const auto found = std::lower_bound(config_.nodes.begin(), config_.nodes.end(), node);
  if (found == config_.nodes.end() || *found != node) return 0;
  return NodeMask{1} << (found - config_.nodes.begin());
}

// Whom I heard so lately that the link from there works.
std::vector<base::NodeId> Member::heard(Instant now) const {
  std::vector<base::NodeId> nodes;
  for (base::NodeId node : config_.nodes) {
    const auto last = acquaintances_.last_heard(node);
    if (node != self_.node && last && now.boot - *last < config_.consensus_timeout) {
      nodes.push_back(node);
    }
  }
  return nodes;
}

void Member::trace(TraceEvent event, const RingId& ring, Sequence sequence, std::uint32_t index) {
  if (trace_ == nullptr && !FlightRecorder::keeps(event)) return;  // At each visit of the token.
  TraceRecord record{event, ring};
  record.sequence = sequence;
  record.index = index;
  trace(record);
}

void Member::trace(const TraceRecord& record) {
  recorder_.record(now_.boot, record);
  if (trace_ != nullptr) trace_->record(record);
}

void Member::check_invariants() const {
  const auto check_ring = [](const Ring& ring) {
    CHECK(ring.acknowledged[ring.self_index] <= ring.store.received());
    CHECK(ring.store.discarded() <= ring.store.received());
    CHECK(ring.store.received() <= ring.store.highest());
    CHECK(ring.acknowledged.size() == ring.members.size());
    CHECK((ring.obligation & ~all_of(ring.size())) == 0);
  };
  check_ring(*ring_);
  CHECK(regular_.id == ring_->id && regular_.members == ring_->members);
  CHECK(evidence_.ring == ring_->id);
  CHECK(ring_sequence_ >= ring_->id.sequence);
  if (const auto* state = std::get_if<Operational>(&state_)) {
    CHECK(ring_->obligation == 0);
    CHECK(ring_->delivered <= ring_->store.received());
    CHECK(state->held.has_value() == state->hold_until.has_value());
    CHECK(state->held.has_value() || state->pass.lost_at.has_value());
  }
  if (const auto* state = std::get_if<Recovery>(&state_)) {
    check_ring(state->ring);
    CHECK(state->low >= ring_->store.discarded());
    CHECK(!state->recovered || ring_->obligation == state->deliver);
  }
}

}  // namespace evs
