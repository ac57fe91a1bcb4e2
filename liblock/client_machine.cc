#include "liblock/client_machine.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"

namespace liblock {
namespace {

using protocol::Answer;

// Keep-alives go out at a quarter of the lease, but a daemon can not make us talk without end.
constexpr Duration kKeepaliveMin = std::chrono::milliseconds(10);

bool within(std::string_view name, std::size_t most) {
  return !name.empty() && name.size() <= most;
}

Failure failure_of(Answer answer) {
  switch (answer) {
    case Answer::busy:
      return Failure::busy;
    case Answer::cancelled:
      return Failure::cancelled;
    case Answer::not_quorate:
      return Failure::not_quorate;
    case Answer::limit:
      return Failure::limit;
    default:
      return Failure::invalid;
  }
}

}  // namespace

ClientMachine::ClientMachine(ClientConfig config)
    : config_(std::move(config)),
      retry_pause_(config_.retry_first),
      requests_(config_.last_request) {}

// ---- The connection ----

bool ClientMachine::wants_connection() const {
  if (connection_) return !connection_->hanging_up;
  return !disabled_ && !closing_ && !retry_at_;
}

// The deadline comes before anything else: bytes that were read late must not revive what was lost
// while we slept.
void ClientMachine::begin(Instant now) {
  now_ = now;
  if (!grants_.empty() && !deadline_.live(now)) lose_grants();
}

void ClientMachine::handle_connected(Instant now) {
  begin(now);
  CHECK(!connection_ && wants_connection());
  connection_.emplace(now);
  retry_at_.reset();
  send_hello();
}

void ClientMachine::handle_disconnected(Instant now) {
  begin(now);
  const bool connected = connection_.has_value();
  connection_.reset();
  out_.clear();
  requests_.on_disconnected();
  for (auto& [id, query] : queries_) query.sent = false;
  if (closing_) {
    if (connected) events_.push_back(Closed{});
    return;
  }
  retry_at_ = now_.boot + retry_pause_;
  retry_pause_ = std::min(2 * retry_pause_, config_.retry_last);
}

void ClientMachine::handle_bytes(Instant now, base::Bytes bytes) {
  begin(now);
  if (!connection_ || connection_->hanging_up || closing_) return;
  connection_->cutter.append(bytes);
  while (!connection_->hanging_up) {
    const auto content = connection_->cutter.next();
    if (!content) return protocol_error();
    if (!*content) break;
    const auto response = protocol::decode_response(**content);
    if (!response) return protocol_error();
    connection_->heard = true;
    std::visit([this](const auto& message) { on(message); }, *response);
  }
  flush();
}

void ClientMachine::handle_timeout(Instant now) {
  begin(now);
  if (retry_at_ && now_.boot >= *retry_at_) retry_at_.reset();
  flush();
}

std::optional<Duration> ClientMachine::next_timeout() const {
  std::optional<Duration> next;
  const auto at = [&next](Duration boot) { next = next ? std::min(*next, boot) : boot; };
  if (!grants_.empty() && deadline_.live(now_)) {
    const Duration left = deadline_.left(now_);
    at(now_.boot + left);
    if (!in_jeopardy(now_)) at(now_.boot + left - lease_ / 2);
  }
  if (retry_at_ && !disabled_ && !closing_) at(*retry_at_);
  const bool talking = open() && session_ && !connection_->hanging_up && !closing_;
  if (talking && !connection_->keepalive) at(keepalive_at_);
  return next;
}

std::optional<base::Buffer> ClientMachine::poll_transmit() {
  if (out_.empty()) return std::nullopt;
  return std::exchange(out_, {});
}

std::optional<Event> ClientMachine::poll_event() {
  if (events_.empty()) tell_jeopardy();
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void ClientMachine::hang_up() {
  connection_->hanging_up = true;
  out_.clear();
}

void ClientMachine::protocol_error() {
  hang_up();
  events_.push_back(Refused{protocol::Refusal::malformed, ""});
}

// ---- What is sent ----

void ClientMachine::send(const protocol::Request& request) {
  connection_->last_stamp = now_;
  protocol::encode(request, out_);
}

void ClientMachine::send_hello() {
  protocol::Hello hello;
  hello.instance = config_.instance;
  hello.command = config_.command.substr(0, protocol::kCommandBytesMax);
  hello.stamp = now_;
  if (config_.query_only) {
    hello.kind = protocol::HelloKind::query;
  } else if (session_) {
    hello.kind = protocol::HelloKind::resume;
    hello.resume = {session_->id, session_->secret, session_->generation};
    connection_->resuming = true;
  } else {
    hello.kind = protocol::HelloKind::open;
  }
  send(hello);
}

// Whatever is due and allowed.
void ClientMachine::flush() {
  if (!open() || connection_->hanging_up || closing_) return;
  for (auto& [id, query] : queries_) {
    if (!query.sent) send(query.question);
    query.sent = true;
  }
  if (!session_) return;
  while (const auto outgoing = requests_.send_next()) send_command(*outgoing);
  if (now_.boot >= keepalive_at_ && !connection_->keepalive) {
    send(protocol::Keepalive{requests_.acknowledged(), now_});
    connection_->keepalive = now_;
  }
}

void ClientMachine::send_command(const Requests::Outgoing& outgoing) {
  if (const auto* acquire = std::get_if<AcquireCommand>(outgoing.command)) {
    send(protocol::Acquire{outgoing.id, outgoing.acknowledged, now_, acquire->mode,
                           acquire->no_queue, acquire->lockspace, acquire->resource});
  } else if (const auto* release = std::get_if<ReleaseCommand>(outgoing.command)) {
    send(protocol::Release{outgoing.id, outgoing.acknowledged, now_, release->acquire,
                           release->token});
  } else if (const auto* cancel = std::get_if<CancelCommand>(outgoing.command)) {
    send(protocol::Cancel{outgoing.id, outgoing.acknowledged, now_, cancel->acquire});
  }
}

// ---- What is heard ----

void ClientMachine::on(const protocol::Welcome& welcome) {
  const bool fits = !connection_->welcomed &&
                    (config_.query_only || welcome.resumed == connection_->resuming) &&
                    (!welcome.resumed || (session_ && welcome.session == session_->id));
  if (!fits) return protocol_error();
  lease_ = welcome.lease;
  if (!take_note(welcome.note)) return;
  connection_->welcomed = true;
  connection_->primary = welcome.primary;
  retry_pause_ = config_.retry_first;
  if (!config_.query_only) {
    session_ = Session{welcome.session, welcome.secret, welcome.generation};
  }
  events_.push_back(Opened{welcome.resumed});
}

void ClientMachine::on(const protocol::Refused& refused) {
  switch (refused.error) {
    case protocol::Refusal::session_lost:
      if (!connection_->resuming) return protocol_error();
      lose_session();
      retry_pause_ = config_.retry_first;
      return hang_up();
    case protocol::Refusal::version:
    case protocol::Refusal::not_permitted:
      return disable(refused.error, refused.advice);
    default:
      events_.push_back(Refused{refused.error, refused.advice});
      return hang_up();
  }
}

void ClientMachine::on(const protocol::State& state) {
  if (!take_note(state.note)) return;
  connection_->primary = state.primary;
  if (session_) session_->generation = std::max(session_->generation, state.generation);
}

void ClientMachine::on(const protocol::Lost& lost) {
  // A daemon that leaves ends the connection, not the session: the deadline stands.
  if (lost.reason != protocol::LostReason::shutdown) {
    lose_session();
  }
  hang_up();
}

void ClientMachine::on(const protocol::Reply& reply) {
  if (!take_note(reply.note)) return;
  const RequestId id = reply.request;
  const Command* command = requests_.find(id);
  if (command == nullptr) return;  // Answered twice, after a retry.

  if (const auto* acquire = std::get_if<AcquireCommand>(command)) {
    on_acquire_reply(reply, *acquire);
  } else if (const auto* release = std::get_if<ReleaseCommand>(command)) {
    if (release->reported) {
      events_.push_back(Released{release->acquire, reply.answer == Answer::released});
    }
    requests_.resolve(id);
  } else if (const auto* cancel = std::get_if<CancelCommand>(command)) {
    const RequestId waiting = cancel->acquire;
    requests_.resolve(id);
    if (reply.answer == Answer::cancelled) fail(waiting, Failure::cancelled, "");
  }
}

void ClientMachine::on_acquire_reply(const protocol::Reply& reply, const AcquireCommand& command) {
  switch (reply.answer) {
    case Answer::queued:
      return requests_.on_queued(reply.request);
    case Answer::granted: {
      const bool forgotten = command.forgotten;
      requests_.resolve(reply.request);
      return on_granted(reply.request, reply.token, forgotten);
    }
    case Answer::stale:
      // It is not in the table any more. If we took it back, that is why.
      return fail(reply.request,
                  requests_.cancelling(reply.request) ? Failure::cancelled : Failure::lost, "");
    default:
      return fail(reply.request, failure_of(reply.answer), reply.advice);
  }
}

// Nobody is told of a grant unless its lease is live as we speak: the word may have waited for us
// longer than the lease was [reliability 4.4, notify rule].
void ClientMachine::on_granted(RequestId request, Token token, bool forgotten) {
  const bool live = deadline_.live(now_) || MUTANT("client_grant_without_recheck");
  if (live && !forgotten) {
    grants_.emplace(request, token);
    events_.push_back(Granted{request, token});
    return;
  }
  requests_.add(ReleaseCommand{request, token, false});
  if (!forgotten) events_.push_back(Failed{request, Failure::lost, ""});
}

void ClientMachine::on(const protocol::ListPage& page) {
  on_answer(page.query, page);
}
void ClientMachine::on(const protocol::ShowPage& page) {
  on_answer(page.query, page);
}
void ClientMachine::on(const protocol::Status& status) {
  on_answer(status.query, status);
}
void ClientMachine::on(const protocol::Members& members) {
  on_answer(members.query, members);
}
void ClientMachine::on(const protocol::RingStatus& ring) {
  on_answer(ring.query, ring);
}
void ClientMachine::on(const protocol::RingLogPage& page) {
  on_answer(page.query, page);
}
void ClientMachine::on(const protocol::Why& why) {
  on_answer(why.query, why);
}

void ClientMachine::on_answer(std::uint32_t query, protocol::Response answer) {
  if (queries_.erase(query) != 0) events_.push_back(QueryAnswered{query, std::move(answer)});
}

// ---- The lease ----

// The daemon read its clock after it had received the stamp, so what it promises from then on ends
// no earlier than stamp + remaining. The moment at which we hear of it proves nothing.
bool ClientMachine::take_note(const protocol::LeaseNote& note) {
  Connection& connection = *connection_;
  const auto from_here = [&](auto clock) {
    return note.echo.*clock >= connection.first_stamp.*clock &&
           note.echo.*clock <= connection.last_stamp.*clock;
  };
  if (!from_here(&Instant::boot) || !from_here(&Instant::raw)) {
    protocol_error();
    return false;
  }
  if (connection.keepalive && note.echo.boot >= connection.keepalive->boot) {
    connection.keepalive.reset();
  }
  keepalive_at_ = note.echo.boot + std::max(lease_ / 4, kKeepaliveMin);
  deadline_.extend(now_, MUTANT("client_deadline_from_receipt") ? now_ : note.echo, note.remaining);
  return true;
}

bool ClientMachine::in_jeopardy(Instant now) const {
  return !grants_.empty() && (!open() || !primary() || deadline_.left(now) <= lease_ / 2);
}

void ClientMachine::tell_jeopardy() {
  const bool jeopardy = in_jeopardy(now_);
  if (std::exchange(jeopardy_told_, jeopardy) == jeopardy) return;
  if (jeopardy) {
    events_.push_back(JeopardyBegan{});
  } else if (!grants_.empty()) {
    events_.push_back(JeopardyEnded{});
  }
}

// Lost is final per grant: it leaves the table of grants, and the daemon is told to take the lock
// back, in case that it still counts as ours [rule 6.23].
void ClientMachine::lose_grants() {
  if (MUTANT("client_lost_forgotten")) return;
  for (const auto& [request, token] : grants_) {
    events_.push_back(GrantLost{request, token});
    requests_.add(ReleaseCommand{request, token, false});
    lost_.insert(request);
  }
  grants_.clear();
  while (lost_.size() > kLocksMax) lost_.erase(lost_.begin());
}

// What waits is asked for again in the next session. The rest has no meaning there.
void ClientMachine::lose_session() {
  lose_grants();
  for (RequestId id : requests_.ids()) {
    const AcquireCommand* acquire = requests_.find_acquire(id);
    if (acquire == nullptr) continue;
    if (acquire->forgotten || requests_.cancelling(id)) fail(id, Failure::cancelled, "");
  }
  drop_releases_and_cancels();
  requests_.on_new_session();
  session_.reset();
  deadline_ = {};
  events_.push_back(SessionLost{});
}

void ClientMachine::drop_releases_and_cancels() {
  for (RequestId id : requests_.ids()) {
    const Command* command = requests_.find(id);
    if (std::holds_alternative<AcquireCommand>(*command)) continue;
    const auto* release = std::get_if<ReleaseCommand>(command);
    if (release != nullptr && release->reported) {
      events_.push_back(Released{release->acquire, false});
    }
    requests_.resolve(id);
  }
}

void ClientMachine::fail(RequestId acquire, Failure failure, const std::string& advice) {
  const AcquireCommand* command = requests_.find_acquire(acquire);
  if (command == nullptr) return;
  if (!command->forgotten) events_.push_back(Failed{acquire, failure, advice});
  requests_.resolve(acquire);
}

void ClientMachine::disable(protocol::Refusal refusal, const std::string& advice) {
  disabled_ = true;
  hang_up();
  events_.push_back(Disabled{refusal, advice});
  for (RequestId id : requests_.ids()) fail(id, Failure::disabled, advice);
  drop_releases_and_cancels();
}

// ---- Calls ----

base::Result<RequestId, CallError> ClientMachine::acquire(Instant now, std::string_view lockspace,
                                                          std::string_view resource,
                                                          protocol::Mode mode, bool no_queue) {
  begin(now);
  if (disabled_ || closing_) return base::error(CallError::disabled);
  if (config_.query_only || mode > protocol::Mode::ex ||
      !within(lockspace, protocol::kLockspaceBytesMax) ||
      !within(resource, protocol::kResourceBytesMax)) {
    return base::error(CallError::invalid);
  }
  if (requests_.acquires() >= kWaitingMax || grants_.size() + requests_.acquires() >= kLocksMax) {
    return base::error(CallError::limit);
  }
  const RequestId id = requests_.add(
      AcquireCommand{std::string(lockspace), std::string(resource), mode, no_queue, false});
  flush();
  return id;
}

base::Result<void, CallError> ClientMachine::release(Instant now, RequestId acquire) {
  begin(now);
  if (lost_.erase(acquire) != 0) return base::error(CallError::lost);
  const auto grant = grants_.find(acquire);
  if (grant == grants_.end()) return base::error(CallError::not_held);
  requests_.add(ReleaseCommand{acquire, grant->second, true});
  grants_.erase(grant);
  flush();
  return {};
}

base::Result<void, CallError> ClientMachine::cancel(Instant now, RequestId acquire) {
  begin(now);
  if (requests_.find_acquire(acquire) == nullptr) return base::error(CallError::not_held);
  if (requests_.cancelling(acquire)) return {};
  if (requests_.seen(acquire)) {
    requests_.add(CancelCommand{acquire});
  } else {
    fail(acquire, Failure::cancelled, "");
  }
  flush();
  return {};
}

void ClientMachine::forget(Instant now, RequestId acquire) {
  if (AcquireCommand* command = requests_.find_acquire(acquire)) {
    command->forgotten = true;
    (void)cancel(now, acquire);
    return;
  }
  if (grants_.count(acquire) != 0) (void)release(now, acquire);
  for (RequestId id : requests_.ids()) {
    auto* release = std::get_if<ReleaseCommand>(requests_.find(id));
    if (release != nullptr && release->acquire == acquire) release->reported = false;
  }
}

base::Result<std::uint32_t, CallError> ClientMachine::query(Instant now,
                                                            protocol::Request question) {
  begin(now);
  if (disabled_ || closing_) return base::error(CallError::disabled);
  if (queries_.size() >= kQueriesMax) return base::error(CallError::limit);
  const std::uint32_t id = ++last_query_;
  if (auto* list = std::get_if<protocol::List>(&question)) {
    list->query = id;
    if (list->lockspace.size() > protocol::kLockspaceBytesMax ||
        list->prefix.size() > protocol::kResourceBytesMax) {
      return base::error(CallError::invalid);
    }
  } else if (auto* show = std::get_if<protocol::Show>(&question)) {
    show->query = id;
    if (!within(show->lockspace, protocol::kLockspaceBytesMax) ||
        !within(show->resource, protocol::kResourceBytesMax)) {
      return base::error(CallError::invalid);
    }
  } else if (auto* status = std::get_if<protocol::StatusQuery>(&question)) {
    status->query = id;
  } else if (auto* members = std::get_if<protocol::MembersQuery>(&question)) {
    members->query = id;
  } else if (auto* ring = std::get_if<protocol::RingStatusQuery>(&question)) {
    ring->query = id;
  } else if (auto* log = std::get_if<protocol::RingLogQuery>(&question)) {
    log->query = id;
  } else if (auto* why = std::get_if<protocol::WhyQuery>(&question)) {
    why->query = id;
  } else {
    return base::error(CallError::invalid);
  }
  queries_.emplace(id, Query{std::move(question), false});
  flush();
  return id;
}

void ClientMachine::close(Instant now) {
  begin(now);
  if (closing_) return;
  const bool tell = open() && session_ && !connection_->hanging_up;
  if (tell) send(protocol::Close{});
  closing_ = true;
  grants_.clear();
  if (!connection_) {
    events_.push_back(Closed{});
  } else if (!tell) {
    hang_up();
  }
}

Duration ClientMachine::valid_for(Instant now, RequestId acquire) const {
  return grants_.count(acquire) != 0 ? deadline_.left(now) : Duration::zero();
}

}  // namespace liblock
