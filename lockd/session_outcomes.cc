// The second half of lockd/sessions.h: what the order makes of sessions and requests, and what may
// be told of it.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "lockd/sessions.h"

namespace lockd {

namespace protocol = liblock::protocol;

namespace {

using Phase = SessionSlot::Phase;

// A RESUME whose generation was too low is tried again with a higher one, but not for ever.
constexpr unsigned kOvertakenMax = 8;

constexpr std::string_view kExpired = "its lease ran out";
constexpr std::string_view kTableLost = "nobody holds the table any more";
constexpr std::string_view kSilent = "its client was not heard of for a whole lease";

}  // namespace

// ---- What is promised ----

bool Sessions::may_tell(Instant now) const {
  const bool live =
      replica_.lease_left(now) >= config_.remaining_min || MUTANT("grant_on_lapsed_lease");
  return replica_.table() != nullptr && live;
}

// Whether the table shows the session as this slot has it.
bool Sessions::shown_attached(const SessionSlot& slot) const {
  if (MUTANT("slot_extended_for_lost_session")) return true;
  const Session* session = replica_.table()->find(slot.id);
  return session != nullptr && session->attached() && session->at == self_ &&
         session->generation == slot.generation;
}

protocol::LeaseNote Sessions::note(Instant now, SessionSlot& slot) {
  protocol::LeaseNote note;
  if (slot.connection) note.echo = connections_.at(*slot.connection).stamp;
  if (MUTANT("reply_told_without_live_lease")) {
    note.remaining = config_.lease;
    return note;
  }
  if (slot.phase != Phase::attached) return note;
  note.remaining = MUTANT("slot_extended_for_lost_session")
                       ? replica_.lease_left(now)
                       : replica_.lease_left(now, slot.id, slot.generation);
  if (note.remaining == base::Duration{0}) return note;
  const Instant until = *replica_.lease_deadline();
  slot.promised = slot.promised ? Instant{std::max(slot.promised->boot, until.boot),
                                          std::max(slot.promised->raw, until.raw)}
                                : until;
  return note;
}

// Whether the client can not rely on anything any more that it was ever told [rule 6.7].
bool Sessions::has_run_out(Instant now, const SessionSlot& slot) const {
  return !slot.promised || (now.boot >= slot.promised->boot && now.raw >= slot.promised->raw);
}

// ---- Outcomes ----

void Sessions::tell(Instant now, const Effect& outcome) {
  std::visit([&](const auto& one) { on(now, one); }, outcome);
}

void Sessions::on(Instant now, const Opened& opened) {
  const auto found = opens_.find(opened.number);
  if (found == opens_.end()) return;
  if (opened.outcome == Opened::Outcome::too_many_sessions) {
    const std::optional<ConnectionId> connection = found->second.connection;
    const std::uint32_t uid = found->second.command.uid;
    opens_.erase(found);
    if (--sessions_of_[uid] == 0) sessions_of_.erase(uid);
    ++statistics_.sessions_refused;
    if (connection) {
      refuse(
          now, *connection, protocol::Refusal::limit,
          "user " + std::to_string(uid) +
              " has as many sessions at this node as are allowed, or the cluster has; close some");
    }
    return;
  }
  const Session* session = replica_.table()->find_opened(self_, opened.number);
  if (session != nullptr && !session->dead()) return adopt(now, opened.number, *session);
  // Its session has ended before anybody was told of it: once more, under a number of its own.
  PendingOpen again = std::move(found->second);
  opens_.erase(found);
  last_open_ = OpenNumber{base::value(last_open_) + 1};
  again.command.number = last_open_;
  if (again.connection) connections_.at(*again.connection).stage = Opening{last_open_};
  submit(now, again.command);
  opens_.emplace(last_open_, std::move(again));
}

// The session of an OPEN is known: gives it a slot, and the client its Welcome.
void Sessions::adopt(Instant now, OpenNumber number, const Session& session) {
  const auto found = opens_.find(number);
  const PendingOpen open = std::move(found->second);
  opens_.erase(found);
  SessionSlot& slot = slots_[session.id];
  slot.id = session.id;
  slot.generation = session.generation;
  slot.secret = session.secret;
  slot.instance = session.instance;
  slot.uid = session.uid;
  slot.connection = open.connection;
  slot.heard = now;
  slot.repeats_up_to = RequestId{0};
  ++statistics_.sessions_opened;
  if (!slot.connection) return order_close(now, slot);
  slot.welcome_due = SessionSlot::Welcome::opened;
  connections_.at(*slot.connection).stage = Serving{slot.id};
  review_slot(now, slot);
  if (SessionSlot* still = find(session.id)) welcome(now, *still);
}

void Sessions::welcome(Instant now, SessionSlot& slot) {
  if (slot.phase != Phase::attached || !slot.connection) return;
  const SessionSlot::Welcome due = std::exchange(slot.welcome_due, SessionSlot::Welcome::none);
  if (due == SessionSlot::Welcome::none) return;
  protocol::Welcome welcome;
  welcome.node = self_.node;
  welcome.resumed = due == SessionSlot::Welcome::resumed;
  welcome.session = slot.id;
  welcome.secret = slot.secret.bits;
  welcome.generation = base::value(slot.generation);
  welcome.lease = config_.lease;
  welcome.primary = replica_.table() != nullptr;
  welcome.note = note(now, slot);
  send(now, *slot.connection, welcome);
}

void Sessions::on(Instant now, const Resumed& resumed) {
  SessionSlot* slot = find(resumed.session);
  if (slot == nullptr || slot->generation != resumed.generation) return;
  if (slot->phase == Phase::closing && resumed.outcome != Resumed::Outcome::resumed) {
    return release(slot->id);
  }
  if (slot->phase != Phase::resuming) return;
  switch (resumed.outcome) {
    case Resumed::Outcome::resumed:
      slot->phase = Phase::attached;
      slot->overtaken = 0;
      ++statistics_.sessions_resumed;
      if (!slot->connection) return;
      if (slot->welcome_due == SessionSlot::Welcome::none) {
        tell_state(now, *slot->connection);
      } else {
        welcome(now, *slot);
      }
      for (const auto& [request, body] : slot->unanswered)
        submit_request(now, *slot, request, body);
      tell_waiting(now, *slot);
      return;
    case Resumed::Outcome::overtaken:
      if (++slot->overtaken <= kOvertakenMax) return order_resume(now, *slot);
      return lose(now, slot->id, "it was resumed elsewhere");
    case Resumed::Outcome::another_process:
      return lose(now, slot->id, "it belongs to another process, whose wait is not over");
    case Resumed::Outcome::wrong_secret:
      return lose(now, slot->id, "the secret is not the session's");
    case Resumed::Outcome::lost:
      return lose(now, slot->id, replica_.table()->cold() ? kTableLost : kExpired);
  }
}

void Sessions::on(Instant now, const Replied& replied) {
  SessionSlot* slot = find(replied.session);
  if (slot == nullptr || slot->phase != Phase::attached || slot->generation != replied.generation)
    return;
  const auto found = slot->unanswered.find(replied.reply.request);
  if (found == slot->unanswered.end()) return;
  // Not answers: the slot is about to be resumed, or another has the session.
  const Status status = replied.reply.status;
  if (status == Status::not_attached || status == Status::stale_generation) return;
  const Command::Body body = std::move(found->second);
  slot->unanswered.erase(found);

  switch (status) {
    case Status::granted:
      return answer(now, *slot, replied.reply, protocol::Answer::granted);
    case Status::queued:
      slot->waiting.insert(replied.reply.request);
      return answer(now, *slot, replied.reply, protocol::Answer::queued);
    case Status::busy:
      return answer(now, *slot, replied.reply, protocol::Answer::busy);
    case Status::released:
      return answer(now, *slot, replied.reply, protocol::Answer::released);
    case Status::cancelled:
      if (const auto* cancel = std::get_if<Cancel>(&body)) slot->waiting.erase(cancel->lock);
      return answer(now, *slot, replied.reply, protocol::Answer::cancelled);
    case Status::no_such_lock:
    case Status::wrong_token:
    case Status::still_waiting:
    case Status::already_granted:
      return answer(now, *slot, replied.reply,
                    std::holds_alternative<Cancel>(body) ? protocol::Answer::not_waiting
                                                         : protocol::Answer::not_held);
    case Status::too_many_locks:
      return answer(
          now, *slot, replied.reply, protocol::Answer::limit,
          "the session, or the whole table, has as many locks as are allowed; release some");
    case Status::too_many_requests:
      return answer(now, *slot, replied.reply, protocol::Answer::limit,
                    "too many requests are unacknowledged; wait for answers to earlier ones");
    case Status::already_answered:
      if (std::holds_alternative<Acquire>(body))
        return answer_from_table(now, *slot, replied.reply.request);
      return answer(now, *slot, replied.reply, protocol::Answer::stale);
    case Status::session_lost:
      return lose(now, slot->id, kExpired);
    case Status::not_attached:
    case Status::stale_generation:
      return;
  }
}

void Sessions::on(Instant now, const Granted& granted) {
  SessionSlot* slot = find(granted.session);
  if (slot == nullptr || slot->phase != Phase::attached || slot->generation != granted.generation)
    return;
  if (slot->waiting.erase(granted.lock) == 0) return;
  answer(now, *slot, Reply{granted.lock, Status::granted, granted.mode, granted.token},
         protocol::Answer::granted);
}

void Sessions::on(Instant now, const Superseded& superseded) {
  SessionSlot* slot = find(superseded.session);
  if (slot == nullptr || slot->generation != superseded.generation) return;
  if (slot->phase == Phase::resuming) return;
  // The client has gone on over another connection; this one is of no use.
  if (slot->connection) close(*slot->connection);
  release(slot->id);
  static_cast<void>(now);
}

// Our own DETACHED; departures are seen by review().
void Sessions::on(Instant, const BecameOrphan&) {}

void Sessions::on(Instant now, const SessionEnded& ended) {
  SessionSlot* slot = find(ended.session);
  if (slot == nullptr || ended.generation > slot->generation) return;
  if (slot->phase != Phase::closing) return lose(now, slot->id, kExpired);
  ++statistics_.sessions_closed;
  if (slot->connection) close(*slot->connection);
  release(slot->id);
}

void Sessions::answer(Instant now, SessionSlot& slot, const Reply& outcome, protocol::Answer answer,
                      std::string_view advice) {
  if (!slot.connection) return;
  protocol::Reply reply;
  reply.request = outcome.request;
  reply.answer = answer;
  if (answer == protocol::Answer::granted) {
    reply.mode = static_cast<protocol::Mode>(outcome.mode);
    reply.token = outcome.token;
    ++statistics_.granted_told;
  }
  reply.note = note(now, slot);
  reply.advice = advice;
  send(now, *slot.connection, reply);
}

// A repeated acquire that counts as answered: how does it stand now?
void Sessions::answer_from_table(Instant now, SessionSlot& slot, RequestId request) {
  const auto lock = replica_.table()->find_lock(slot.id, request);
  if (!lock) return answer(now, slot, Reply{request, {}, {}, {}}, protocol::Answer::stale);
  ++statistics_.told_from_table;
  if (!lock->granted) slot.waiting.insert(request);
  answer(now, slot, Reply{request, {}, lock->mode, lock->token},
         lock->granted ? protocol::Answer::granted : protocol::Answer::queued);
}

// Grants whose telling was lost with an old table, or held back from the client of an orphan.
void Sessions::tell_waiting(Instant now, SessionSlot& slot) {
  const std::vector<RequestId> waiting(slot.waiting.begin(), slot.waiting.end());
  for (const RequestId request : waiting) {
    const auto lock = replica_.table()->find_lock(slot.id, request);
    if (lock && !lock->granted) continue;
    slot.waiting.erase(request);
    answer_from_table(now, slot, request);
  }
}

void Sessions::tell_state(Instant now, ConnectionId id) {
  Connection* connection = find(id);
  if (connection == nullptr) return;
  protocol::State state;
  state.primary = replica_.table() != nullptr;
  state.note.echo = connection->stamp;
  if (SessionSlot* slot = slot_of(*connection)) {
    state.generation = base::value(slot->generation);
    state.note = note(now, *slot);
  }
  send(now, id, state);
}

void Sessions::tell_states(Instant now) {
  std::vector<ConnectionId> concerned;
  for (const auto& [id, connection] : connections_) {
    const bool session = std::holds_alternative<Opening>(connection.stage) ||
                         std::holds_alternative<Serving>(connection.stage);
    if (session) concerned.push_back(id);
  }
  for (const ConnectionId id : concerned) tell_state(now, id);
}

// ---- Slots ----

void Sessions::review(Instant now) {
  const State* table = replica_.table();
  if (table == nullptr || replica_.table_version() == reviewed_version_) return;
  reviewed_version_ = replica_.table_version();
  recheck_waiting_ = true;
  std::vector<SessionId> all;
  for (const auto& [id, slot] : slots_) all.push_back(id);
  for (const SessionId id : all) review_slot(now, slots_.at(id));
  detach_ghosts(now);
}

// A slot that may have lost its session loses it for ever [rule 6.7]; one whose session is an
// orphan re-attaches it, if the client is still there.
void Sessions::review_slot(Instant now, SessionSlot& slot) {
  const State& table = *replica_.table();
  const Session* session = table.find(slot.id);
  const bool gone = session == nullptr || session->dead();
  const bool ours = !gone && session->at == self_ && session->generation == slot.generation;
  switch (slot.phase) {
    case Phase::attached:
      if (shown_attached(slot)) return;
      if (gone) return lose(now, slot.id, table.cold() ? kTableLost : kExpired);
      if (!session->orphaned()) return lose(now, slot.id, "it was resumed elsewhere");
      if (slot.connection) return order_resume(now, slot);
      return release(slot.id);
    case Phase::resuming:
      if (gone) lose(now, slot.id, table.cold() ? kTableLost : kExpired);
      return;
    case Phase::closing:
      if (ours) return;
      if (slot.connection) close(*slot.connection);
      return release(slot.id);
  }
}

// What the table shows attached here without a client is of nobody's use: an orphan, so that it
// ends.
void Sessions::detach_ghosts(Instant now) {
  const State& table = *replica_.table();
  for (const SessionId id : table.attached_to(self_)) {
    const Session& session = *table.find(id);
    if (slots_.count(id) != 0) continue;
    if (session.opened_by == self_ && opens_.count(session.number) != 0) continue;
    ++statistics_.ghosts_detached;
    submit(now, Detached{id, session.generation});
  }
}

void Sessions::order_resume(Instant now, SessionSlot& slot) {
  Generation newest = slot.generation;
  if (const State* table = replica_.table()) {
    if (const Session* session = table->find(slot.id))
      newest = std::max(newest, session->generation);
  }
  discard_backlog(slot.id);
  slot.phase = Phase::resuming;
  slot.generation = Generation{base::value(newest) + 1};
  submit(now, Resume{slot.id, slot.generation, slot.secret, slot.instance});
}

void Sessions::order_close(Instant now, SessionSlot& slot) {
  slot.phase = Phase::closing;
  slot.unanswered.clear();
  slot.waiting.clear();
  submit(now, Close{slot.id, slot.generation});
}

void Sessions::submit_request(Instant now, const SessionSlot& slot, RequestId request,
                              Command::Body body) {
  const Request header{slot.id, slot.generation, request, slot.acknowledged};
  if (auto* acquire = std::get_if<Acquire>(&body)) acquire->request = header;
  if (auto* release = std::get_if<Release>(&body)) release->request = header;
  if (auto* cancel = std::get_if<Cancel>(&body)) cancel->request = header;
  submit(now, std::move(body));
}

// This daemon hung up, or the connection broke: the client may still run and rely on what it was
// told. Nothing more is promised to it, and it may resume; when the last promise has run out, the
// session is closed [rule 7.A5].
void Sessions::abandon(Instant now, SessionSlot& slot) {
  slot.connection.reset();
  slot.welcome_due = SessionSlot::Welcome::none;
  if (slot.phase == Phase::closing) return;
  ++statistics_.sessions_abandoned;
  if (MUTANT("hangup_by_daemon_frees_at_once")) order_close(now, slot);
}

void Sessions::lose(Instant now, SessionId id, std::string_view why) {
  SessionSlot& slot = slots_.at(id);
  const std::optional<ConnectionId> connection = std::exchange(slot.connection, std::nullopt);
  const bool resumes = slot.welcome_due == SessionSlot::Welcome::resumed;
  ++statistics_.sessions_lost;
  report(SessionLost{id, slot.uid, why});
  release(id);
  if (!connection) return;
  if (resumes) {
    return refuse(now, *connection, protocol::Refusal::session_lost,
                  "the session is lost: " + std::string(why));
  }
  send(now, *connection,
       protocol::Lost{why == kTableLost ? protocol::LostReason::table_lost
                                        : protocol::LostReason::expired});
  close(*connection);
}

void Sessions::release(SessionId id) {
  const auto found = slots_.find(id);
  CHECK(found != slots_.end());
  const auto count = sessions_of_.find(found->second.uid);
  if (--count->second == 0) sessions_of_.erase(count);
  discard_backlog(id);
  slots_.erase(found);
}

// ---- Time ----

void Sessions::advance(Instant now) {
  while (!backlog_.empty()) {
    const auto taken = replica_.submit(now, Command{{}, backlog_.front()});
    if (!taken && taken.error() == SubmitError::try_again) break;
    backlog_.pop_front();
  }
  const bool serving = may_tell(now);
  if (serving != told_serving_) {
    told_serving_ = serving;
    tell_states(now);
  }
  if (!serving || !std::exchange(recheck_waiting_, false)) return;
  for (auto& [id, slot] : slots_) {
    if (slot.phase == Phase::attached) tell_waiting(now, slot);
  }
}

std::optional<base::Duration> Sessions::next_timeout() const {
  return next_sweep_;
}

void Sessions::handle_timeout(Instant now) {
  if (!next_sweep_ || now.boot < *next_sweep_) return;
  sweep(now);
  next_sweep_.reset();
  if (!connections_.empty() || !slots_.empty()) next_sweep_ = now.boot + config_.lease / 8;
}

void Sessions::sweep(Instant now) {
  std::vector<ConnectionId> speechless;
  for (const auto& [id, connection] : connections_) {
    const bool greeting = std::holds_alternative<Greeting>(connection.stage) && !connection.closing;
    if (greeting && now.boot - connection.since.boot >= config_.hello_timeout)
      speechless.push_back(id);
  }
  for (const ConnectionId id : speechless) {
    ++statistics_.hello_timeouts;
    drop(now, id, "it did not say Hello in time");
  }

  const bool renewing = may_tell(now);
  std::vector<SessionId> silent;
  for (auto& [id, slot] : slots_) {
    if (shut_down_ || slot.phase == Phase::closing || !has_run_out(now, slot)) continue;
    if (!slot.connection) {
      order_close(now, slot);
      continue;
    }
    // This daemon may be the one that stood still: what the client sent meanwhile is read before
    // the next look. Who holds nothing and waits for nothing may be silent as long as he likes.
    const bool quiet = renewing && slot.phase == Phase::attached &&
                       base::elapsed_at_least(slot.heard, now) > config_.lease &&
                       replica_.table()->locks().count_of(id) > 0;
    if (quiet && slot.silent) silent.push_back(id);
    slot.silent = quiet;
  }
  for (const SessionId id : silent) {
    SessionSlot& slot = slots_.at(id);
    ++statistics_.sessions_silent;
    report(SessionLost{id, slot.uid, kSilent});
    const ConnectionId connection = *slot.connection;
    slot.connection.reset();
    order_close(now, slot);
    send(now, connection, protocol::Lost{protocol::LostReason::expired});
    close(connection);
  }
}

void Sessions::shut_down(Instant now) {
  shut_down_ = true;
  std::vector<ConnectionId> all;
  for (const auto& [id, connection] : connections_) all.push_back(id);
  for (const ConnectionId id : all) {
    Connection* connection = find(id);
    if (connection == nullptr) continue;
    if (slot_of(*connection) != nullptr) {
      send(now, id, protocol::Lost{protocol::LostReason::shutdown});
    } else {
      send(now, id,
           protocol::Refused{protocol::Refusal::no_clients,
                             "this daemon is leaving; try another one, or later"});
    }
    if ((connection = find(id)) != nullptr) part(now, *connection);
    close(id);
  }
}

void Sessions::check_invariants() const {
  std::map<std::uint32_t, std::size_t> sessions_of;
  for (const auto& [id, slot] : slots_) {
    CHECK(slot.id == id);
    ++sessions_of[slot.uid];
    CHECK(slot.unanswered.size() <= protocol::kInFlightMax);
    if (!slot.connection) continue;
    const auto found = connections_.find(*slot.connection);
    CHECK(found != connections_.end());
    const auto* serving = std::get_if<Serving>(&found->second.stage);
    CHECK(serving != nullptr && serving->session == id);
  }
  for (const auto& [number, open] : opens_) {
    ++sessions_of[open.command.uid];
    if (!open.connection) continue;
    const auto* opening = std::get_if<Opening>(&connections_.at(*open.connection).stage);
    CHECK(opening != nullptr && opening->number == number);
  }
  CHECK(sessions_of == sessions_of_);
}

}  // namespace lockd
