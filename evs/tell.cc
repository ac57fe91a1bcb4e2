// What a ring member tells people of itself, by way of the trace and the flight recorder. Nothing
// here is the protocol's: without it every member would do the same.
#include <algorithm>

#include "evs/member.h"

namespace evs {

namespace {

// So many packets sent again within a second are worth a record. Far above what a healthy network
// loses, far below what a ring can send.
constexpr std::uint64_t kManyAgain = 200;
constexpr Duration kManyAgainWithin = std::chrono::seconds(1);

}  // namespace

std::uint32_t Member::mask_of(const std::vector<Processor>& processors) const {
  NodeMask mask = 0;
  for (const Processor& processor : processors) mask |= mask_of(processor.node);
  return mask;
}

void Member::tell_members(TraceEvent event, const RingId& ring,
                          const std::vector<Processor>& members) {
  TraceRecord record{event, ring};
  record.members = mask_of(members);
  trace(record);
}

// That it does not come. Who hears of it by another's Join has waited nearly as long himself, and
// may be the one who knows where it stayed.
void Member::tell_token(TraceEvent event, Instant now, const Ring& ring, const TokenPass& pass) {
  if (!pass.lost_at) return;
  TraceRecord record{event, ring.id};
  record.sequence = pass.accepted_hop;
  record.index = pass.times_again;
  record.span = config_.token_timeout + (now.boot - *pass.lost_at);
  if (event == TraceEvent::token_awaited && record.span < config_.token_timeout / 2) return;
  // Nothing has said that the token got there.
  if (pass.retransmit_at) record.processor = ring.members[ring.successor()];
  trace(record);
}

// What has become of the candidates since `before`. Those of a Join are told by its sender.
void Member::tell_candidates(const std::vector<Candidate>& before, Reason reason,
                             const JoinMessage* join) {
  for (const Candidate& candidate : candidates_.sets()) {
    const auto known = std::lower_bound(
        before.begin(), before.end(), candidate.processor,
        [](const Candidate& one, const Processor& p) { return one.processor < p; });
    const bool is_new = known == before.end() || known->processor != candidate.processor;
    if (!is_new && known->failed == candidate.failed) continue;
    TraceRecord record{TraceEvent::candidate_proposed, ring_->id};
    record.processor = candidate.processor;
    const bool of_sender = join != nullptr && candidate.processor.node == join->sender.node;
    if (join != nullptr && !of_sender) record.teller = join->sender.node;
    if (candidate.failed) {
      record.event = TraceEvent::candidate_failed;
      record.reason = reason;
      if (of_sender && candidate.processor != join->sender) record.reason = Reason::started_anew;
      if (of_sender && candidate.processor == join->sender)
        record.reason = join->leaving ? Reason::said_so : Reason::refuses_me;
    }
    trace(record);
  }
}

void Member::tell_acknowledgement(TraceEvent event, const Ring& ring, std::size_t index,
                                  Duration stood) {
  TraceRecord record{event, ring.id};
  record.processor = ring.members[index];
  if (event == TraceEvent::candidate_failed) record.reason = Reason::fails_to_receive;
  record.sequence = ring.acknowledged[index];
  record.span = stood;
  trace(record);
}

void Member::tell_departed(const std::vector<Processor>& departed) {
  for (const Processor& processor : departed) {
    const auto at = std::lower_bound(ring_->members.begin(), ring_->members.end(), processor);
    const Sequence acknowledged =
        ring_->acknowledged[static_cast<std::size_t>(at - ring_->members.begin())];
    TraceRecord record{TraceEvent::member_departed, ring_->id};
    record.processor = processor;
    record.sequence = acknowledged;
    record.index = static_cast<std::uint32_t>(ring_->store.highest() -
                                              std::min(ring_->store.highest(), acknowledged));
    const auto heard = acquaintances_.last_heard(processor.node);
    record.span = heard ? now_.boot - *heard : kNever;
    trace(record);
  }
}

void Member::tell_joined(const std::vector<Processor>& joined) {
  for (const Processor& processor : joined) {
    if (processor == self_) continue;
    const Acquaintances::Arrival arrival = acquaintances_.met(processor);
    TraceRecord record{TraceEvent::member_joined, ring_->id};
    record.processor = processor;
    record.reason = arrival.reason;
    record.sequence = base::value(arrival.former.incarnation);
    trace(record);
  }
  acquaintances_.settled(ring_->size());
}

void Member::tell_retransmissions(Instant now, std::uint64_t packets, Operational& state) {
  if (packets == 0) return;
  if (state.packets_again == 0 || now.boot - state.again_since > kManyAgainWithin) {
    state.packets_again = 0;
    state.again_since = now.boot;
  }
  state.packets_again += packets;
  if (state.packets_again < kManyAgain) return;
  TraceRecord record{TraceEvent::retransmissions, ring_->id};
  record.sequence = state.packets_again;
  record.span = now.boot - state.again_since;
  trace(record);
  state.packets_again = 0;
}

}  // namespace evs
