// One client of a lock daemon as a pure state machine: the session's life, retries that execute
// once, and what is held until when. It owns no socket, clock or randomness; the C library and the
// simulator drive it. Sessions are described in docs/locks.md, deadlines in docs/safety.md; rules
// 6.20-6.23 and 4.4.
//
// After each input the driver drains poll_event() and poll_transmit(), looks at wants_connection(),
// and asks next_timeout() again. `now` must be read after the bytes of an input were read, and
// before the bytes of poll_transmit() are written. Not thread-safe; nothing blocks; nothing calls
// out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "liblock/deadline.h"
#include "liblock/event.h"
#include "liblock/protocol/codec.h"
#include "liblock/protocol/messages.h"
#include "liblock/requests.h"

namespace liblock {

// Limits of one client; the daemon has the same or lower ones of its own.
constexpr std::size_t kWaitingMax = 4096;
constexpr std::size_t kLocksMax = 65536;  // Granted and waiting.
constexpr std::size_t kQueriesMax = 16;

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
  invalid,   // A name or mode out of its range.
  limit,     // kWaitingMax, kLocksMax or kQueriesMax is reached.
  not_held,  // No such grant or request (any more).
  lost,      // A grant that was lost before.
  disabled,  // See Disabled; or closed.
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
  base::Result<RequestId, CallError> acquire(Instant now, std::string_view lockspace,
                                             std::string_view resource, protocol::Mode mode,
                                             bool no_queue);

  // Gives a grant back: from now on it is not held; Released follows.
  base::Result<void, CallError> release(Instant now, RequestId acquire);

  // Takes back a request that waits. Its event follows: Failed with cancelled, or what came first.
  base::Result<void, CallError> cancel(Instant now, RequestId acquire);

  // No event about this acquire or its release is wanted any more; what it is granted is given
  // back.
  void forget(Instant now, RequestId acquire);

  // List, Show, or a query without arguments; its `query` is set here. QueryAnswered follows.
  base::Result<std::uint32_t, CallError> query(Instant now, protocol::Request question);
  void forget_query(std::uint32_t query) { queries_.erase(query); }

  // Ends the session. Nothing is held any more; Closed follows when the daemon knows or is gone.
  void close(Instant now);

  // For how long the grant is certainly still held; zero if it is not.
  Duration valid_for(Instant now, RequestId acquire) const;

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
  void flush();
  void send(const protocol::Request& request);
  void send_hello();
  void send_command(const Requests::Outgoing& outgoing);

  void on(const protocol::Welcome& welcome);
  void on(const protocol::Refused& refused);
  void on(const protocol::Reply& reply);
  void on(const protocol::State& state);
  void on(const protocol::Lost& lost);
  void on(const protocol::ListPage& page);
  void on(const protocol::ShowPage& page);
  void on(const protocol::Status& status);
  void on(const protocol::Members& members);
  void on(const protocol::RingStatus& ring);
  void on(const protocol::RingLogPage& page);
  void on(const protocol::Why& why);

  // What only an EVS instance may be told.
  template <typename Other>
  void on(const Other&) {
    protocol_error();
  }

  void on_acquire_reply(const protocol::Reply& reply, const AcquireCommand& command);
  void on_granted(RequestId request, Token token, bool forgotten);
  void on_answer(std::uint32_t query, protocol::Response answer);

  // False if it can not be: the connection is given up.
  bool take_note(const protocol::LeaseNote& note);

  void tell_jeopardy();
  void lose_grants();
  void lose_session();
  void drop_releases_and_cancels();
  void fail(RequestId acquire, Failure failure, const std::string& advice);
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
  std::map<RequestId, Token> grants_;

  // Grants that were lost and not yet released by their owner, who is told so: at most kLocksMax,
  // the oldest go first.
  std::set<RequestId> lost_;

  std::uint32_t last_query_ = 0;
  std::map<std::uint32_t, Query> queries_;

  base::Buffer out_;
  std::deque<Event> events_;
};

}  // namespace liblock
