// The ring member behind evs::Node: what outlives its states, and the handlers. Each handler is
// named after the message or timer it answers; each state is entered through its enter_ function
// alone.
#pragma once

#include <deque>
#include <optional>

#include "base/random.h"
#include "evs/acquaintances.h"
#include "evs/candidates.h"
#include "evs/codec.h"
#include "evs/flight_recorder.h"
#include "evs/node.h"
#include "evs/readmission.h"
#include "evs/state.h"
#include "evs/windows.h"

namespace evs {

// Of the ring that a member is alone in when it starts.
constexpr std::uint64_t kFirstRingSequence = 2;

class Member {
 public:
  Member(const Config& config, base::Incarnation incarnation, base::Random random, Instant now,
         TraceSink* trace);

  void handle_datagram(Instant now, base::NodeId from, base::Bytes datagram);
  void handle_timeout(Instant now);
  base::Result<void, MulticastError> multicast(Instant now, Service service, base::Bytes payload);
  void leave(Instant now);

  std::optional<Transmit> poll_transmit();
  std::optional<Event> poll_event();
  Deadline next_timeout() const;

  const Processor& self() const { return self_; }
  NodeState state() const;
  const Configuration& regular() const { return regular_; }
  const TokenEvidence& evidence() const { return evidence_; }
  std::size_t send_room() const { return send_queue_.room(); }
  const Statistics& statistics() const { return statistics_; }
  const Config& config() const { return config_; }
  const FlightRecorder& recorder() const { return recorder_; }
  NodeStatus status(Instant now) const;  // node_status.cc
  void check_invariants() const;

 private:
  // member.cc: dispatch and sending.
  void dispatch(Instant now, base::NodeId from, Message message);
  void drain_loopback(Instant now);
  void send_to(const Processor& processor, Buffer datagram);
  void send_to_ring(const Ring& ring, Buffer datagram);
  void send_to_configured(Buffer datagram);
  NodeMask mask_of(base::NodeId node) const;
  std::vector<base::NodeId> heard(Instant now) const;
  void trace(TraceEvent event, const RingId& ring, Sequence sequence = 0, std::uint32_t index = 0);
  void trace(const TraceRecord& record);

  // tell.cc: what only people want to know.
  std::uint32_t mask_of(const std::vector<Processor>& processors) const;
  void tell_members(TraceEvent event, const RingId& ring, const std::vector<Processor>& members);
  void tell_token(TraceEvent event, Instant now, const Ring& ring, const TokenPass& pass);
  void tell_candidates(const std::vector<Candidate>& before, Reason reason,
                       const JoinMessage* join = nullptr);
  void tell_acknowledgement(TraceEvent event, const Ring& ring, std::size_t index, Duration stood);
  void tell_departed(const std::vector<Processor>& departed);
  void tell_joined(const std::vector<Processor>& joined);
  void tell_retransmissions(Instant now, std::uint64_t packets, Operational& state);

  // token.cc: what Operational and Recovery do alike with a token.
  bool acceptable(const Ring& ring, const TokenPass& pass, base::NodeId from,
                  const TokenMessage& token) const;
  void accept(Instant now, Ring& ring, TokenPass& pass, const TokenMessage& token);
  void refuse_token(const Ring& ring, const TokenPass& pass, base::NodeId from,
                    const TokenMessage& token);
  void token_has_arrived(TokenPass& pass, Sequence numbered) const;
  void answer_requests(const Ring& ring, TokenMessage& token, Allowance& left);
  std::size_t request_missing(const Ring& ring, TokenMessage& token, Sequence up_to);
  Allowance allowance(const Ring& ring, const TokenPass& pass, const TokenMessage& token) const;
  void pass_token(Instant now, const Ring& ring, TokenPass& pass, TokenMessage token);
  void retransmit_token(Instant now, const Ring& ring, TokenPass& pass);
  Buffer number_packet(Ring& ring, TokenMessage& token, PacketMessage packet);
  void watch_progress(Instant now, const Ring& ring, std::vector<Progress>& progress_of,
                      Sequence sequence);

  // operational.cc
  void enter_operational(Instant now, TokenPass pass, std::optional<TokenMessage> token);
  void on_token(Instant now, base::NodeId from, TokenMessage token, Operational& state);
  void on_token_receipt(Instant now, base::NodeId from, const TokenReceiptMessage& receipt,
                        TokenPass& pass, const Ring& ring);
  void on_wake(Instant now, const WakeMessage& wake, Operational& state);
  void on_packet(Instant now, base::NodeId from, PacketMessage packet, Operational& state);
  void on_presence(Instant now, const PresenceMessage& presence, Operational& state);
  void on_join(Instant now, const JoinMessage& join, Operational& state);
  void visit(Instant now, Operational& state, TokenMessage token);
  void release(Instant now, Operational& state);
  std::vector<Buffer> number_waiting(TokenMessage& token, Allowance& left, Operational& state);
  std::size_t tail_of(std::size_t batch) const;
  bool may_hold(const Operational& state) const;
  void send_presence(Instant now, Operational& state);
  bool listens(Instant now, const Processor& stranger,
               const std::vector<base::NodeId>& heard_by_stranger);
  void wake_holder(Instant now, Operational& state);
  void await_token(Instant now, Operational& state);
  bool may_be_held(const Operational& state) const;

  // acknowledgement.cc
  void on_acknowledgement(Instant now, base::NodeId from,
                          const AcknowledgementMessage& acknowledgement, Operational& state);
  void acknowledge(Operational& state);

  // delivery.cc
  void deliver_regular(Ring& ring, Sequence stable);
  void deliver_packet(Ring& ring, Sequence sequence, const Packet& packet, bool transitional);

  // gather.cc
  void enter_gather(Instant now, Reason reason, const Processor& by = {},
                    const JoinMessage* join = nullptr);
  bool take_join(const JoinMessage& join);
  void start_round(const std::vector<Processor>& proposed);
  void on_packet(Instant now, PacketMessage packet, Gather& state);
  void on_join(Instant now, const JoinMessage& join, Gather& state);
  void on_commit(Instant now, base::NodeId from, CommitMessage commit, Gather& state);
  void on_consensus_timeout(Instant now, Gather& state);
  void after_join(Instant now, Gather& state);
  void force_failure(Instant now, Gather& state);
  void send_join(Instant now, Gather& state);
  bool stale(const JoinMessage& join) const;

  // commit.cc
  void enter_commit(Instant now, CommitMessage commit);
  void on_join(Instant now, const JoinMessage& join, Commit& state);
  void on_commit(Instant now, base::NodeId from, CommitMessage commit, Commit& state);
  CommitEntry freeze() const;

  // recovery.cc
  void enter_recovery(Instant now, CommitMessage commit);
  void on_join(Instant now, const JoinMessage& join, Recovery& state);
  void on_commit(Instant now, base::NodeId from, const CommitMessage& commit, Recovery& state);
  void on_token(Instant now, base::NodeId from, TokenMessage token, Recovery& state);
  void on_packet(Instant now, PacketMessage packet, Recovery& state);
  void visit(Instant now, Recovery& state, TokenMessage token);
  void exchange(Recovery& state, TokenMessage& token, Allowance& left);
  bool exchange_done(Recovery& state);
  void set_recovered(Recovery& state, const TokenMessage& token);

  // install.cc
  void install(Instant now, TokenMessage token);
  void deliver_transitional(const Recovery& state);
  void announce_transitional(const Recovery& state);
  void announce_regular(Instant now);

  const Config config_;
  const Processor self_;
  base::Random random_;
  TraceSink* trace_;

  // The ring of the regular configuration last installed: the old ring, once a new one is being
  // formed.
  std::optional<Ring> ring_;
  Configuration regular_;
  TokenEvidence evidence_;
  Candidates candidates_;
  Readmission readmission_;
  std::uint64_t ring_sequence_ = 0;  // The highest heard of.

  // Of the present attempt: who agreed on it, and how many tokens this member passed on in it.
  std::vector<Processor> agreed_;
  std::uint32_t forwarded_ = 0;

  State state_;

  Windows windows_;
  SendQueue send_queue_;
  std::deque<Transmit> transmits_;
  std::deque<Buffer> loopback_;  // What a ring of one passes to itself.
  std::deque<Event> events_;
  FlightRecorder recorder_;
  Acquaintances acquaintances_;
  Instant now_;  // Of the input that is being handled; for the recorder alone.
  Statistics statistics_;
};

}  // namespace evs
