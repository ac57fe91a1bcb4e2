// One client of a lock daemon as a pure state machine: the session's life, retries that execute
// once, and what is held until when. It owns no socket, clock or randomness; the C library and the
// simulator drive it. Sessions are described in docs/locks.md, deadlines in docs/safety.md; rules
// 6.20-6.23 and 4.4.
//
// After each input the driver drains poll_event() and poll_transmit(), looks at wants_connection(),
// and asks next_timeout() again. `now` must be read after the bytes of an input were read, and
// before the bytes of poll_transmit() are written. Not thread-safe; nothing blocks; nothing calls
// out. The class is spread over client_machine.cc (connection and sending), and
// client_machine_session.cc, _locks.cc, _conversions.cc, _lockspaces.cc, _barriers.cc and
// _queries.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "liblock/deadline.h"
#include "liblock/event.h"
#include "liblock/grant.h"
#include "liblock/participations.h"
#include "liblock/protocol/codec.h"
#include "liblock/protocol/messages.h"
#include "liblock/requests.h"

namespace liblock {

// Limits of one client; the daemon has the same or lower ones of its own.
constexpr std::size_t kWaitingMax = 4096;  // Requests, and conversions.
constexpr std::size_t kLocksMax = 65536;   // Granted and waiting.
constexpr std::size_t kQueriesMax = 16;
constexpr std::size_t kJoinsMax = 64;
constexpr std::size_t kOperationsMax = 64;         // On lockspaces and orphans, without an answer.
constexpr std::size_t kBarrierOperationsMax = 64;  // Without an answer, beside arrivals.

struct ClientConfig {
  // Random, drawn by this process and never written anywhere.
  protocol::Instance instance{};

  // For people; cut to kCommandBytesMax.
  std::string command;

  // No session: only queries are answered.
  bool query_only = false;

  // The number of the first request is one more. Only tests start elsewhere than at 0.
  base::RequestId last_request{};

  // Pause before a connection is wanted again: the first, doubled each time up to the last.
  Duration retry_first = std::chrono::milliseconds(10);
  Duration retry_last = std::chrono::milliseconds(500);
};

enum class CallError : std::uint8_t {
  invalid,      // A name, mode or flag out of its range.
  limit,        // One of the limits above is reached.
  not_held,     // No such grant or request (any more).
  not_found,    // Not inside a barrier in that generation.
  lost,         // A grant that was lost before, or a part in a barrier.
  in_progress,  // The lock converts; somebody waits for the second step.
  disabled,     // See Disabled; or closed.
};

// What is asked of a lock; the flags are base::lock_flag::for_request.
struct LockRequest {
  std::string_view lockspace;
  std::string_view resource;
  protocol::Mode mode = protocol::Mode::ex;
  LockFlags flags = 0;
  std::uint64_t owner = 0;     // Who waits, for the detection of deadlocks; 0: nobody.
  std::uint32_t patience = 0;  // In milliseconds; 0: without end.
};

// What several have in common that are asked for at once.
struct AllRequest {
  std::vector<protocol::AcquirePart> parts;
  LockFlags flags = 0;
  std::uint64_t owner = 0;
  std::uint32_t patience = 0;
};

struct LockConversion {
  protocol::Mode mode = protocol::Mode::nl;
  LockFlags flags = 0;
  std::uint32_t patience = 0;
  std::optional<ValueBlock> value;
};

struct BarrierArrival {
  std::string_view lockspace;
  std::string_view barrier;
  protocol::BarrierConfig config;  // As which it is created, or has to be there.
  std::string_view value;
};

class ClientMachine {
 public:
  explicit ClientMachine(ClientConfig config);

  // Whether the driver should open a connection, or keep the one it has. When it says no while
  // there is one, the driver closes it and calls handle_disconnected().
  bool wants_connection() const;

  // Only while wants_connection() says so.
  void handle_connected(Instant now);
  void handle_bytes(Instant now, base::Bytes bytes);

  // The connection ended, or could not be opened.
  void handle_disconnected(Instant now);

  // To be called when next_timeout() is reached; calling it early is harmless.
  void handle_timeout(Instant now);

  // When handle_timeout() is wanted, on the boot clock; none if nothing is awaited.
  std::optional<Duration> next_timeout() const;

  // Bytes to write to the connection, all that there are. At most some 100 KiB are on their way at
  // a time, since a client waits for answers.
  std::optional<base::Buffer> poll_transmit();

  std::optional<Event> poll_event();

  // Asks for a lock; an event with this id follows. Ids are not used twice.
  base::Result<RequestId, CallError> acquire(Instant now, const LockRequest& request);
  base::Result<RequestId, CallError> acquire(Instant now, std::string_view lockspace,
                                             std::string_view resource, protocol::Mode mode,
                                             bool no_queue) {
    return acquire(now, {lockspace, resource, mode, no_queue ? base::lock_flag::no_queue : 0});
  }

  // Asks for several at one moment; their ids are the one returned and those that follow.
  // GrantedAll or one Failed follows.
  base::Result<RequestId, CallError> acquire_all(Instant now, const AllRequest& request);

  // Another mode for a grant; the id is of the conversion. Until its event it is held as it was.
  base::Result<RequestId, CallError> convert(Instant now, RequestId acquire,
                                             const LockConversion& conversion);

  // Gives a grant back: from now on it is not held; Released follows, with the id returned. With
  // `force` also a request that waits, or a lock that converts: they fail first, as cancelled.
  base::Result<RequestId, CallError> release(Instant now, RequestId acquire, LockFlags flags = 0,
                                             const std::optional<ValueBlock>& value = {});

  // Takes back a request that waits, or a conversion of the lock. Its event follows: that it failed
  // as cancelled, or what came first.
  base::Result<void, CallError> cancel(Instant now, RequestId acquire);

  // No event about this acquire or its release is wanted any more; what it is granted is given
  // back.
  void forget(Instant now, RequestId acquire);

  // The same of a conversion or an arrival at a barrier, which is taken back if that is possible,
  // and of anything else: it goes on.
  void forget_operation(Instant now, RequestId operation);

  // Done follows.
  base::Result<RequestId, CallError> drop_orphans(Instant now, base::NodeId node,
                                                  std::uint32_t pid);
  base::Result<RequestId, CallError> join(Instant now, std::string_view lockspace,
                                          protocol::JoinKind kind, std::uint16_t permissions);
  base::Result<RequestId, CallError> leave(Instant now, std::string_view lockspace, bool force);

  // Arrives at a barrier: BarrierEnded or BarrierFailed follows. Of two steps, who was released is
  // inside then.
  base::Result<RequestId, CallError> arrive(Instant now, const BarrierArrival& arrival);

  // Asks to leave, or goes on with a leave that was forgotten: BarrierEnded or BarrierFailed
  // follows; at once, if the outcome has been told already.
  base::Result<RequestId, CallError> leave_barrier(Instant now,
                                                   protocol::BarrierGeneration generation,
                                                   std::string_view value);

  // Takes an arrival back: it fails as cancelled, unless its outcome came first.
  base::Result<void, CallError> withdraw(Instant now, RequestId arrival);

  // Done follows.
  base::Result<RequestId, CallError> create_barrier(Instant now, std::string_view lockspace,
                                                    std::string_view barrier,
                                                    const protocol::BarrierConfig& config);
  base::Result<RequestId, CallError> change_barrier(Instant now, std::string_view lockspace,
                                                    std::string_view barrier,
                                                    protocol::BarrierAttribute attribute,
                                                    std::uint32_t value);
  base::Result<RequestId, CallError> cancel_barrier(Instant now, std::string_view lockspace,
                                                    std::string_view barrier);
  base::Result<RequestId, CallError> delete_barrier(Instant now, std::string_view lockspace,
                                                    std::string_view barrier, bool force);

  // Of barriers, to come or not taken by a leave: at most kOutcomesMax.
  std::size_t outcomes() const {
    return requests_.arrivals() + requests_.two_step_arrivals() + participations_.size();
  }

  // List, Show, or a query without arguments; its `query` is set here. QueryAnswered follows. Of a
  // Watch, of which there is one at a time, Watched follows again and again, across connections,
  // until it is forgotten.
  base::Result<std::uint32_t, CallError> query(Instant now, protocol::Request question);
  void forget_query(Instant now, std::uint32_t query);

  // Ends the session. Nothing is held any more; Closed follows when the daemon knows or is gone.
  void close(Instant now);

  // For how long the grant is certainly still held; zero if it is not.
  Duration valid_for(Instant now, RequestId acquire) const;

  // The grant as it is known; null if it is none (any more). Valid until the next input.
  const Grant* grant(RequestId acquire) const;

  // Whether the lease stands still (liblock/event.h, JeopardyBegan), by what was known at `now`.
  bool in_jeopardy(Instant now) const;

  // Connected, and greeted by the daemon.
  bool open() const { return connection_ && connection_->welcomed; }

  // Whether the daemon has said anything at all on this connection.
  bool heard() const { return connection_ && connection_->heard; }

  // The session that requests and grants belong to now.
  std::optional<protocol::SessionId> session() const {
    return session_ ? std::optional(session_->id) : std::nullopt;
  }

  // What was heard last: whether anything can be granted now.
  bool primary() const { return connection_ && connection_->primary; }

  std::size_t held() const { return grants_.size(); }

 private:
  struct Connection {
    explicit Connection(Instant now) : first_stamp(now), last_stamp(now) {}

    protocol::FrameCutter cutter{protocol::kResponseBytesMax};
    Instant first_stamp;  // No stamp outside these two can be an echo of this connection.
    Instant last_stamp;
    bool resuming = false;
    bool heard = false;
    bool welcomed = false;
    bool primary = false;
    std::optional<Instant> keepalive;  // The one that has not been answered.
    bool hanging_up = false;
  };

  struct Session {
    protocol::SessionId id{};
    protocol::Secret secret{};
    std::uint64_t generation = 0;
  };

  struct Query {
    protocol::Request question;
    bool sent = false;
  };

  void begin(Instant now);
  bool full(std::size_t more) const;
  base::Result<RequestId, CallError> operate(Instant now, bool valid, Command command);
  void flush();
  void send(const protocol::Request& request);
  void send_hello();
  void send_command(const Requests::Outgoing& outgoing);

  void on(const protocol::Welcome& welcome);
  void on(const protocol::Refused& refused);
  void on(const protocol::Reply& reply);
  void on(const protocol::Blocks& blocks);
  void on(const protocol::Deadlock& deadlock);
  void on(const protocol::LockspaceState& state);
  void on(const protocol::State& state);
  void on(const protocol::Lost& lost);
  void on(const protocol::ListPage& page);
  void on(const protocol::ShowPage& page);
  void on(const protocol::Status& status);
  void on(const protocol::Members& members);
  void on(const protocol::RingStatus& ring);
  void on(const protocol::RingLogPage& page);
  void on(const protocol::Why& why);
  void on(const protocol::DeadlockAnswer& answer);
  void on(const protocol::LockspacesPage& page);
  void on(const protocol::BarrierOutcome& part);
  void on(const protocol::BarriersPage& page);
  void on(const protocol::WatchGap& gap);
  void on(const protocol::LockWatched& lock);
  void on(const protocol::DeadlockWatched& deadlock);
  void on(const protocol::SessionWatched& session);
  void on(const protocol::LockspaceWatched& lockspace);
  void on(const protocol::ConfigurationWatched& configuration);
  void on(const protocol::QuorumWatched& quorum);

  // What only an EVS instance may be told.
  template <typename Other>
  void on(const Other&) {
    protocol_error();
  }

  void on_outcome(const protocol::Reply& reply, AcquireCommand& command);
  void on_outcome(const protocol::Reply& reply, AcquireAllCommand& command);
  void on_outcome(const protocol::Reply& reply, ConvertCommand& command);
  void on_outcome(const protocol::Reply& reply, ReleaseCommand& command);
  void on_outcome(const protocol::Reply& reply, CancelCommand& command);
  void on_outcome(const protocol::Reply& reply, DropOrphansCommand& command);
  void on_outcome(const protocol::Reply& reply, JoinCommand& command);
  void on_outcome(const protocol::Reply& reply, LeaveCommand& command);
  void on_outcome(const protocol::Reply& reply, BarrierArriveCommand& command);
  void on_outcome(const protocol::Reply& reply, BarrierLeaveCommand& command);
  void on_outcome(const protocol::Reply& reply, BarrierWithdrawCommand& command);
  void on_outcome(const protocol::Reply& reply, BarrierCommand& command);
  void finish_all(RequestId first);
  void give_back(const protocol::Reply& granted);
  Granted take(const protocol::Reply& granted);
  void take_converted(const protocol::Reply& granted, const ConvertCommand& command);
  void take_early_blocks(RequestId acquire);
  void end_wait(const ReleaseCommand& release);
  void on_answer(std::uint32_t query, protocol::Response answer);
  void on_news(std::uint32_t query, protocol::Response news);

  bool joining(const std::string& lockspace);

  base::Result<RequestId, CallError> operate_barrier(Instant now, bool valid,
                                                     BarrierCommand command);
  void on_entered(const protocol::BarrierOutcome& part);
  void on_left(const protocol::BarrierOutcome& part);
  Participation* participation_of(protocol::BarrierGeneration generation);
  void end_left(protocol::BarrierGeneration generation, BarrierEnd end);

  // True if it is whole now.
  bool collect(OutcomeParts& parts, const protocol::BarrierOutcome& part);
  void confirm(const protocol::BarrierOutcome& outcome);
  void arrival_over();
  void fail_arrival(RequestId arrival, Failure failure, const std::string& advice);
  void collect_anew();
  void end_barriers(Failure failure);

  // False if it can not be: the connection is given up.
  bool take_note(const protocol::LeaseNote& note);

  void tell_jeopardy();
  void lose_grants();
  void lose_session();
  void lose_converting(RequestId operation);
  void end_conversion(Grant& grant, Failure failure);
  void end_commands_of_session(Failure failure);
  Caller* caller_of(RequestId waiting);
  void fail(RequestId waiting, Failure failure, const std::string& advice);
  void fail_conversion(RequestId operation, Failure failure, protocol::GrantNotes notes,
                       const std::string& advice);
  void done(RequestId operation, bool reported, std::optional<Failure> failure,
            const std::string& advice);
  DeadlockSteps take_deadlock(RequestId lock, RequestId operation);
  void disable(protocol::Refusal refusal, const std::string& advice);
  void hang_up();
  void protocol_error();

  const ClientConfig config_;
  Instant now_;  // Of the current or last input.
  std::optional<Connection> connection_;
  Duration retry_pause_;
  std::optional<Duration> retry_at_;  // On the boot clock. None: at once.
  bool disabled_ = false;
  bool closing_ = false;

  std::optional<Session> session_;
  Duration lease_{0};
  Duration keepalive_at_{0};  // On the boot clock.
  Deadline deadline_;
  bool jeopardy_told_ = false;  // Began, and has not ended.

  Requests requests_;
  std::map<RequestId, Grant> grants_;
  std::optional<protocol::Deadlock> deadlock_;  // The last one that was told, until its reply.

  // What is told after a resume of grants that we have yet to hear of: of each lock the last.
  std::map<RequestId, protocol::Blocks> early_blocks_;

  // What is joined, by the id of the join; repeated in a new session.
  std::map<RequestId, JoinCommand> joins_;

  Participations participations_;

  // Grants that were lost and not yet released by their owner, who is told so: at most kLocksMax,
  // the oldest go first.
  std::set<RequestId> lost_;

  std::uint32_t last_query_ = 0;
  std::map<std::uint32_t, Query> queries_;
  std::optional<std::uint32_t> watch_;  // The one of them that is a Watch.

  base::Buffer out_;
  std::deque<Event> events_;
};

}  // namespace liblock
