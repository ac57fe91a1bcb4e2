// The second part of lockd/sessions.h: what the order makes of sessions and requests, and how it is
// told.
#include <utility>
#include <vector>

#include "base/mutant.h"
#include "lockd/sessions.h"

namespace lockd {

namespace protocol = liblock::protocol;

namespace {

using Phase = SessionSlot::Phase;

// A RESUME whose generation was too low is tried again with a higher one, but not for ever.
constexpr unsigned kOvertakenMax = 8;

}  // namespace

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
      return lose_ended(now, slot->id);
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
      return lose_ended(now, slot->id);
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
  if (slot->phase != Phase::closing) return lose_ended(now, slot->id);
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
    reply.token = MUTANT("canary_locks") ? Token{base::value(outcome.token) + 1} : outcome.token;
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

}  // namespace lockd
