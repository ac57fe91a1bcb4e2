// What Operational and Recovery do alike with the token of a ring [Totem95 section 4; rules 1-3].
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "evs/member.h"

namespace evs {

// Rule 2. A token is taken once, from the predecessor, and only if it can be true: nobody
// acknowledges what was never numbered, and nobody but me speaks for me.
bool Member::acceptable(const Ring& ring, const TokenPass& pass, base::NodeId from,
                        const TokenMessage& token) const {
  if (token.ring != ring.id || token.acknowledged.size() != ring.size()) return false;
  if (from != ring.members[ring.predecessor()].node) return false;
  if (token.hop % ring.size() != ring.predecessor()) return false;
  if (token.hop <= pass.accepted_hop && !MUTANT("duplicate_tokens_accepted")) return false;
  if (token.acknowledged[ring.self_index] > ring.acknowledged[ring.self_index]) return false;
  const auto possible = [&](Sequence sequence) { return sequence <= token.sequence; };
  return possible(ring.store.highest()) &&
         std::all_of(token.acknowledged.begin(), token.acknowledged.end(), possible) &&
         std::all_of(token.requests.begin(), token.requests.end(), possible);
}

void Member::accept(Instant now, Ring& ring, TokenPass& pass, const TokenMessage& token) {
  ++statistics_.tokens_accepted;
  pass.accepted_hop = token.hop;
  pass.retransmit_at.reset();
  pass.lost_at = now.boot + config_.token_timeout;
  ring.merge_acknowledged(token.acknowledged);
  trace(TraceEvent::token_accepted, ring.id, token.hop);
}

// The sender of a copy of the last token has not heard that it arrived.
void Member::refuse_token(const Ring& ring, const TokenPass& pass, base::NodeId from,
                          const TokenMessage& token) {
  ++statistics_.tokens_refused;
  const Processor& predecessor = ring.members[ring.predecessor()];
  if (token.ring != ring.id || token.hop != pass.accepted_hop || predecessor == self_) return;
  if (from == predecessor.node)
    send_to(predecessor, encode(TokenReceiptMessage{ring.id, token.hop}));
}

void Member::on_token_receipt(Instant, base::NodeId from, const TokenReceiptMessage& receipt,
                              TokenPass& pass, const Ring& ring) {
  if (receipt.ring != ring.id || receipt.hop != pass.passed_hop) return;
  if (from == ring.members[ring.successor()].node) pass.retransmit_at.reset();
}

// A number above those on the token that I passed on was given out by somebody who had that token,
// or one that descends from it.
void Member::token_has_arrived(TokenPass& pass, Sequence numbered) const {
  if (numbered > pass.passed_sequence) pass.retransmit_at.reset();
}

void Member::answer_requests(const Ring& ring, TokenMessage& token, Allowance& left) {
  std::erase_if(token.requests, [&](Sequence sequence) {
    // Whoever asked has said since, outside the token, that it has come.
    if (sequence <= ring.stable()) return true;
    const Packet* packet = ring.store.find(sequence);
    if (packet == nullptr || left.packets == 0) return false;
    --left.packets;
    ++statistics_.packets_retransmitted;
    send_to_ring(ring, encode(PacketMessage{ring.id, sequence, packet->sender, packet->safe,
                                            packet->exchange, packet->payload}));
    return true;
  });
}

// How many it added.
std::size_t Member::request_missing(const Ring& ring, TokenMessage& token, Sequence up_to) {
  const std::size_t before = token.requests.size();
  for (Sequence s = ring.store.received() + 1; s <= up_to && token.requests.size() < kRequestsMax;
       ++s) {
    if (ring.store.find(s) != nullptr) continue;
    if (std::find(token.requests.begin(), token.requests.end(), s) != token.requests.end())
      continue;
    token.requests.push_back(s);
    trace(TraceEvent::packet_missing, ring.id, s);
  }
  return token.requests.size() - before;
}

// Flow control [Totem95 section 4]. What bounds memory is asked of new numbers only: what is
// missing must be sent again just when everybody waits for it.
Allowance Member::allowance(const Ring& ring, const TokenPass& pass,
                            const TokenMessage& token) const {
  const std::uint32_t others =
      token.rotation_packets - std::min(token.rotation_packets, pass.packets_sent);
  const std::uint32_t rotation = windows_.rotation() - std::min(windows_.rotation(), others);
  const std::uint64_t outstanding = token.sequence - std::min(token.sequence, ring.stable());
  const std::uint64_t numbers =
      config_.outstanding_max - std::min<std::uint64_t>(config_.outstanding_max, outstanding);
  // Never the least in a sound ring: see Ring's constructor.
  const std::uint64_t room = ring.store.limit() - std::min(ring.store.limit(), token.sequence);
  const std::uint32_t packets = std::min(windows_.personal(), rotation);
  const auto new_ones =
      static_cast<std::uint32_t>(std::min<std::uint64_t>({packets, numbers, room}));
  return {MUTANT("repairs_need_numbers") ? new_ones : packets, new_ones};
}

// The datagram, to be sent to the ring.
Buffer Member::number_packet(Ring& ring, TokenMessage& token, PacketMessage packet) {
  packet.ring = ring.id;
  packet.sequence = ++token.sequence;
  token.origin = static_cast<std::uint8_t>(ring.self_index);
  ++statistics_.packets_sent;
  Buffer datagram = encode(packet);
  // In the store from the moment it has a number, whether or not it ever leaves this machine [rule
  // 1].
  const auto inserted = ring.store.insert(
      packet.sequence,
      Packet{packet.sender, packet.safe, packet.exchange, std::move(packet.payload)});
  CHECK(inserted == PacketStore::Insert::stored);
  return datagram;
}

void Member::pass_token(Instant now, const Ring& ring, TokenPass& pass, TokenMessage token) {
  token.hop = pass.accepted_hop + 1;
  token.acknowledged = ring.acknowledged;
  pass.passed_hop = token.hop;
  pass.passed_sequence = token.sequence;
  pass.passed = encode(token);
  pass.passed_at = now;
  pass.times_again = 0;
  pass.lost_at = now.boot + config_.token_timeout;
  if (ring.size() > 1) {
    pass.retransmit_at = now.boot + std::max(pass.patience, config_.token_retransmit);
  }
  trace(TraceEvent::token_released, ring.id, token.hop);
  for (std::uint32_t copy = ring.size() > 1 ? windows_.token_copies() : 1; copy > 0; --copy) {
    send_to(ring.members[ring.successor()], pass.passed);
  }
}

void Member::retransmit_token(Instant now, const Ring& ring, TokenPass& pass) {
  ++statistics_.token_retransmissions;
  ++pass.times_again;
  if (MUTANT("release_stamped_at_retransmission")) pass.passed_at = now;
  send_to(ring.members[ring.successor()], pass.passed);
  pass.retransmit_at = now.boot + std::max(pass.patience, config_.token_retransmit);
}

// A member whose acknowledgement stands still while the ring moves on does not receive; the others
// name it [Totem95 section 4, hole (a)].
void Member::watch_progress(Instant now, const Ring& ring, std::vector<Progress>& progress_of,
                            Sequence sequence) {
  for (std::size_t i = 0; i < ring.size(); ++i) {
    Progress& progress = progress_of[i];
    const Sequence acknowledged = ring.acknowledged[i];
    const Duration stood = now.boot - progress.since;
    if (acknowledged >= sequence || acknowledged != progress.acknowledged) {
      if (progress.told) {
        tell_acknowledgement(TraceEvent::acknowledgement_moves, ring, i, stood);
      }
      progress = {acknowledged, now.boot, false};
    } else if (i != ring.self_index && stood > config_.fail_to_receive_timeout) {
      ++statistics_.failures_to_receive;
      tell_acknowledgement(TraceEvent::candidate_failed, ring, i, stood);
      const Processor member = ring.members[i];
      candidates_.fail(member);
      enter_gather(now, Reason::fails_to_receive, member);
      return;
    } else if (!progress.told && stood > config_.fail_to_receive_timeout / 4) {
      // Long before it is taken to have failed.
      progress.told = true;
      tell_acknowledgement(TraceEvent::acknowledgement_stands, ring, i, stood);
    }
  }
}

}  // namespace evs
