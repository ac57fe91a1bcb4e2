// The clients of this daemon: their connections, the sessions behind them, and what each may be
// told. Requests become ordered commands for the replica, outcomes become responses, sent only
// while the lease lives and with the duration that is left of it. Answers to queries are
// lockd/queries.h; the rules are 6.6, 6.7, 6.20-6.23 and 7.A4-7.A6 of docs/safety.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"
#include "liblock/protocol/messages.h"
#include "lockd/client_connection.h"
#include "lockd/command.h"
#include "lockd/daemon_event.h"
#include "lockd/instances.h"
#include "lockd/queries.h"
#include "lockd/replica.h"
#include "lockd/session_slot.h"
#include "lockd/state.h"
#include "lockd/watchers.h"

namespace lockd {

struct SessionsConfig {
  // Whom the daemon runs as: may let the node join and leave lockspaces, as root may.
  std::uint32_t uid = 0;

  // Of one user id at this daemon. The order has the same limit; here it is refused without a
  // message.
  std::size_t sessions_per_user_max = 256;

  std::size_t connections_max = 4096;
  std::size_t connections_per_user_max = 1200;

  // Who has not said Hello by then is not a client of ours.
  base::Duration hello_timeout = std::chrono::seconds(5);

  // Responses that may wait for a client that does not read.
  std::size_t unwritten_bytes_max = 256 * 1024;

  // Of an EVS instance: some of the longest messages.
  std::size_t instance_unwritten_bytes_max = 4 * 1024 * 1024;

  // A lease with less than this left is not worth telling: the outcome waits for the next renewal.
  base::Duration remaining_min = std::chrono::milliseconds(50);

  // A client may rely on its locks this long after an answer, at most; not heard of for as long, it
  // has lost them. That is the replica's lease less its margin.
  base::Duration lease = std::chrono::milliseconds(1800);

  // How long the receipts of outcomes of barriers are collected, before they are ordered in one
  // command. That is earlier if they fill it.
  base::Duration receipts_collected = std::chrono::milliseconds(5);

  // A witness serves queries only.
  bool witness = false;
};

// An arrival, or the leave of a generation.
struct BarrierAsked {
  RequestId request{};
  std::optional<barrier::Generation> left;
};

// None if the command is neither.
std::optional<BarrierAsked> asked_of(const Command::Body& body, RequestId request);

struct SessionsStatistics {
  std::uint64_t connections = 0;
  std::uint64_t connections_refused = 0;
  std::uint64_t hello_timeouts = 0;
  std::uint64_t malformed = 0;
  std::uint64_t slow_readers = 0;
  std::uint64_t sessions_opened = 0;
  std::uint64_t sessions_refused = 0;
  std::uint64_t sessions_resumed = 0;
  std::uint64_t sessions_closed = 0;
  std::uint64_t sessions_lost = 0;
  std::uint64_t sessions_silent =
      0;  // Closed since their clients were not heard of for a whole lease.
  std::uint64_t sessions_abandoned = 0;  // This daemon hung up, or the connection broke.
  std::uint64_t ghosts_detached = 0;
  std::uint64_t granted_told = 0;
  std::uint64_t told_from_table = 0;
  std::uint64_t tries_not_quorate = 0;
};

// What the driver is to write. The bytes are borrowed until the next call.
struct ClientOutput {
  ConnectionId connection{};
  base::Bytes bytes;
  bool close =
      false;  // Hang up after writing what the socket takes at once. The connection is forgotten.
};

class Sessions {
 public:
  // What is given by reference must outlive this. `draw_secret` gives 128 bits that nobody can
  // guess.
  Sessions(const SessionsConfig& config, base::Processor self, Replica& replica, Queries& queries,
           Instances& instances, Watchers& watchers, std::function<Secret()> draw_secret);

  void connect(Instant now, ConnectionId connection, const Peer& peer);
  void receive(Instant now, ConnectionId connection, base::Bytes bytes);
  void hang_up(Instant now, ConnectionId connection, HangUp how);

  // Output: each connection that has something new to write, or is to be closed. What the socket
  // did not take is kept until writable().
  std::optional<ClientOutput> poll_output();
  void wrote(ConnectionId connection, std::size_t bytes);
  void writable(ConnectionId connection);

  // Tells EVS instances what the ring delivered, or that they may send again.
  void tell_instances(const InstanceNews& news);
  void tell_credits();

  // Tells watchers what happened, as far as they read.
  void tell_watchers();

  // What waits for it to read.
  std::size_t unread(ConnectionId connection) const;

  // Whether this connection is one that sends much, and should be read in large portions.
  bool reads_much(ConnectionId connection) const;

  // To be called after the replica was given its evidence, before any outcome is told: brings the
  // slots in line with the table [rule 6.7].
  void review(Instant now);

  // Tells an outcome that the replica has just released.
  void tell(Instant now, const Effect& outcome);

  // To be called after the outcomes: what else became possible.
  void advance(Instant now);

  void handle_timeout(Instant now);
  std::optional<base::Duration> next_timeout() const;

  // Takes no client any more, and tells each that its daemon leaves: what they hold stays theirs
  // until the duration that they were told has run out [rule 7.A5].
  void shut_down(Instant now);

  // True if something of a session can be told: an active primary, its table, and a lease worth
  // telling.
  bool may_tell(Instant now) const;

  std::optional<DaemonEvent> poll_event();

  std::size_t connections() const { return connections_.size(); }
  std::size_t sessions() const { return slots_.size(); }
  const SessionsStatistics& statistics() const { return statistics_; }

  // Waits whose patience is watched.
  std::size_t impatient() const { return patience_.size(); }

  // For tests and simulation: CHECKs on a state that must not be.
  void check_invariants() const;

 private:
  struct Greeting {};
  struct Querying {};
  struct Opening {
    OpenNumber number{};
  };
  struct Serving {
    SessionId session{};
  };
  struct Instance {};
  struct CutOff {};  // An instance that did not read: it has what it was sent, and the reason.
  using Stage = std::variant<Greeting, Querying, Opening, Serving, Instance, CutOff>;

  struct Connection {
    Connection(const Peer& peer, std::size_t unwritten_max, Instant now)
        : wire(peer, unwritten_max), since(now) {}
    ClientConnection wire;
    Stage stage = Greeting{};
    Instant since;
    liblock::protocol::Stamp stamp;
    bool closing = false;
    bool has_output = false;
  };

  // Connections and questions: sessions.cc.
  void on(Instant now, ConnectionId id, const liblock::protocol::Hello& hello);
  void on(Instant now, ConnectionId id, const liblock::protocol::Keepalive& keepalive);
  void on(Instant now, ConnectionId id, const liblock::protocol::Close& close);
  void on(Instant now, ConnectionId id, const liblock::protocol::List& query);
  void on(Instant now, ConnectionId id, const liblock::protocol::Show& query);
  void on(Instant now, ConnectionId id, const liblock::protocol::DeadlockQuery& query);
  void on(Instant now, ConnectionId id, const liblock::protocol::LockspacesQuery& query);
  void on(Instant now, ConnectionId id, const liblock::protocol::StatusQuery& query);
  void on(Instant now, ConnectionId id, const liblock::protocol::MembersQuery& query);
  void on(Instant now, ConnectionId id, const liblock::protocol::RingStatusQuery& query);
  void on(Instant now, ConnectionId id, const liblock::protocol::RingLogQuery& query);
  void on(Instant now, ConnectionId id, const liblock::protocol::WhyQuery& query);

  // Watchers: session_watchers.cc.
  void on(Instant now, ConnectionId id, const liblock::protocol::Watch& watch);
  void tell_watcher(ConnectionId id, const liblock::protocol::Response& event);

  // Instances: session_instances.cc.
  void on(Instant now, ConnectionId id, const liblock::protocol::EvsJoin& join);
  void on(Instant now, ConnectionId id, const liblock::protocol::EvsLeave& leave);
  void on(Instant now, ConnectionId id, const liblock::protocol::EvsMulticast& message);
  void open_instance(Instant now, ConnectionId id);
  bool is_instance(Instant now, ConnectionId id);
  template <typename Response>
  void tell_instance(ConnectionId id, const Response& response);
  void cut_off(ConnectionId id);

  void open(Instant now, ConnectionId id, const liblock::protocol::Hello& hello);
  void resume(Instant now, ConnectionId id, const liblock::protocol::Hello& hello);

  // Requests: session_requests.cc.
  void on(Instant now, ConnectionId id, const liblock::protocol::Acquire& acquire);
  void on(Instant now, ConnectionId id, const liblock::protocol::AcquireAll& all);
  void on(Instant now, ConnectionId id, const liblock::protocol::Convert& convert);
  void on(Instant now, ConnectionId id, const liblock::protocol::Release& release);
  void on(Instant now, ConnectionId id, const liblock::protocol::Cancel& cancel);
  void on(Instant now, ConnectionId id, const liblock::protocol::DropOrphans& drop);
  void on(Instant now, ConnectionId id, const liblock::protocol::JoinLockspace& join);
  void on(Instant now, ConnectionId id, const liblock::protocol::LeaveLockspace& leave);

  // Barriers: session_barriers.cc.
  void on(Instant now, ConnectionId id, const liblock::protocol::BarrierCreate& create);
  void on(Instant now, ConnectionId id, const liblock::protocol::BarrierChange& change);
  void on(Instant now, ConnectionId id, const liblock::protocol::BarrierArrive& arrive);
  void on(Instant now, ConnectionId id, const liblock::protocol::BarrierLeave& leave);
  void on(Instant now, ConnectionId id, const liblock::protocol::BarrierWithdraw& withdraw);
  void on(Instant now, ConnectionId id, const liblock::protocol::BarrierCancel& cancel);
  void on(Instant now, ConnectionId id, const liblock::protocol::BarrierDelete& removal);
  void on(Instant now, ConnectionId id, const liblock::protocol::BarrierConfirm& confirm);
  void on(Instant now, ConnectionId id, const liblock::protocol::BarrierMore& more);
  void on(Instant now, ConnectionId id, const liblock::protocol::BarriersQuery& query);
  void on(Instant now, const BarrierEnded& ended);
  void on(Instant, const BarrierOpened&) {}
  void tell_outcome(Instant now, SessionSlot& slot, barrier::OutcomeKey key, RequestId request);
  void tell_outcome_part(Instant now, const SessionSlot& slot, barrier::OutcomeKey key,
                         RequestId request, SessionId after);
  void tell_outcomes(Instant now, SessionSlot& slot);
  void answer_from_barriers(Instant now, SessionSlot& slot, const BarrierAsked& asked,
                            Status status);
  void order_receipts(Instant now);
  template <typename Message>
  SessionSlot* heard(Instant now, ConnectionId id, const Message& message) {
    return heard(now, id, message.acknowledged, message.stamp);
  }
  SessionSlot* heard(Instant now, ConnectionId id, RequestId acknowledged,
                     const liblock::protocol::Stamp& stamp);
  void take(Instant now, SessionSlot& slot, RequestId request, Command::Body body);
  void submit_request(Instant now, const SessionSlot& slot, RequestId request, Command::Body& body);
  bool is_vain_try(const SessionSlot& slot, RequestId request, base::LockFlags flags);
  bool may_administer(const SessionSlot& slot) const;

  // Outcomes: session_outcomes.cc.
  void on(Instant now, const Opened& opened);
  void on(Instant now, const Resumed& resumed);
  SessionSlot* find_attached(SessionId id, Generation generation);
  void on(Instant now, const Replied& replied);
  void on(Instant now, const Settled& settled);
  void on(Instant now, const Blocked& blocked);
  void on(Instant now, const Deadlocked& deadlocked);
  void on(Instant now, const LockspaceChanged& changed);
  void on(Instant now, const Superseded& superseded);
  void on(Instant now, const BecameOrphan& orphan);
  void on(Instant now, const SessionEnded& ended);

  void adopt(Instant now, OpenNumber number, const Session& session);
  void welcome(Instant now, SessionSlot& slot);
  void answer(Instant now, SessionSlot& slot, const Reply& outcome,
              liblock::protocol::Answer answer, std::string_view advice = {});
  void answer_from_table(Instant now, SessionSlot& slot, RequestId request, RequestId lock);
  void wait_for(Instant now, SessionSlot& slot, RequestId request, RequestId lock);
  bool end_wait(SessionSlot& slot, RequestId request);
  void end_waits(SessionSlot& slot);
  void tell_waiting(Instant now, SessionSlot& slot);
  void tell_again(Instant now, SessionSlot& slot);
  void tell_lockspace(Instant now, SessionSlot& slot, const std::string& name);
  void tell_state(Instant now, ConnectionId id);
  void tell_states(Instant now);

  // Slots: session_slots.cc.
  void review_slot(Instant now, SessionSlot& slot);
  void detach_ghosts(Instant now);
  void order_resume(Instant now, SessionSlot& slot);
  void order_close(Instant now, SessionSlot& slot);
  void abandon(Instant now, SessionSlot& slot);
  void lose_ended(Instant now, SessionId session);
  void lose(Instant now, SessionId session, std::string_view why,
            liblock::protocol::LostReason reason = liblock::protocol::LostReason::expired);
  void release(SessionId session);
  void sweep(Instant now);
  void end_patience(Instant now);
  bool shown_attached(const SessionSlot& slot) const;
  bool has_run_out(Instant now, const SessionSlot& slot) const;
  liblock::protocol::LeaseNote note(Instant now, SessionSlot& slot);

  // Connections: sessions.cc.
  Connection* find(ConnectionId id);
  SessionSlot* find(SessionId id);
  SessionSlot* slot_of(const Connection& connection);
  bool send(Instant now, ConnectionId id, const liblock::protocol::Response& response);
  void refuse(Instant now, ConnectionId id, liblock::protocol::Refusal why, std::string advice);
  void drop(Instant now, ConnectionId id, std::string_view why);
  void part(Instant now, Connection& connection);
  void close(ConnectionId id);
  void forget(ConnectionId id);
  void submit(Instant now, const Command::Body& body);
  void discard_backlog(SessionId session);
  void report(DaemonEvent event);

  SessionsConfig config_;
  base::Processor self_;
  Replica& replica_;
  Queries& queries_;
  Instances& instances_;
  Watchers& watchers_;
  std::function<Secret()> draw_secret_;

  std::map<ConnectionId, Connection> connections_;
  std::map<std::uint32_t, std::size_t> connections_of_;  // By user id.
  std::map<SessionId, SessionSlot> slots_;
  std::map<std::uint32_t, std::size_t> sessions_of_;  // By user id; pending OPENs count.
  std::map<OpenNumber, PendingOpen> opens_;
  OpenNumber last_open_{};

  // Commands that the replica had no room for, in their order.
  std::deque<Command::Body> backlog_;

  std::deque<ConnectionId> output_;
  std::optional<ClientConnection>
      parting_;  // Keeps the last bytes of a closed connection borrowed.

  std::uint64_t reviewed_version_ = 0;
  bool recheck_waiting_ = false;
  bool told_serving_ = false;
  bool shut_down_ = false;
  std::optional<base::Duration> next_sweep_;

  // What clients have confirmed and is not ordered, and until when it is collected.
  std::set<BarrierReceipt> receipts_;
  std::optional<base::Duration> receipts_due_;

  // When the patience of what waits is at an end, on the boot clock: what the slots say, in order.
  std::set<std::tuple<base::Duration, SessionId, RequestId>> patience_;
  std::deque<DaemonEvent> events_;
  SessionsStatistics statistics_;
};

}  // namespace lockd
