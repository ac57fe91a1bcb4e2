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

using Unanswered = std::map<RequestId, Command::Body>;

// How many requests this is: each part of one for several has a number and a reply of its own.
std::size_t parts_of(const Command::Body& body) {
  const auto* all = std::get_if<AcquireAll>(&body);
  return all ? all->parts.size() : 1;
}

// What this is the reply to.
Unanswered::iterator find_unanswered(SessionSlot& slot, RequestId request) {
  auto found = slot.unanswered.upper_bound(request);
  if (found == slot.unanswered.begin()) return slot.unanswered.end();
  --found;
  const std::uint64_t behind = base::value(request) - base::value(found->first);
  return behind < parts_of(found->second) ? found : slot.unanswered.end();
}

bool is_last_part(const Unanswered::value_type& unanswered, RequestId request) {
  return base::value(request) - base::value(unanswered.first) == parts_of(unanswered.second) - 1;
}

// The lock that waits or is granted by it; none for what never waits.
RequestId lock_of(const Command::Body& body, RequestId request) {
  if (const auto* convert = std::get_if<Convert>(&body)) return convert->lock;
  const bool acquires =
      std::holds_alternative<Acquire>(body) || std::holds_alternative<AcquireAll>(body);
  return acquires ? request : RequestId{};
}

protocol::Answer answer_to(Status status, bool to_cancel) {
  switch (status) {
    case Status::granted:
      return protocol::Answer::granted;
    case Status::queued:
      return protocol::Answer::queued;
    case Status::busy:
      return protocol::Answer::busy;
    case Status::released:
      return protocol::Answer::released;
    case Status::cancelled:
      return protocol::Answer::cancelled;
    case Status::no_such_lock:
    case Status::wrong_token:
    case Status::still_waiting:
    case Status::already_granted:
      return to_cancel ? protocol::Answer::not_waiting : protocol::Answer::not_held;
    case Status::too_many_locks:
    case Status::too_many_requests:
    case Status::too_many_arrivals:
      return protocol::Answer::limit;
    case Status::timed_out:
      return protocol::Answer::timed_out;
    case Status::deadlock:
      return protocol::Answer::deadlock;
    case Status::in_progress:
      return protocol::Answer::in_progress;
    case Status::invalid:
      return protocol::Answer::invalid;
    case Status::done:
      return protocol::Answer::done;
    case Status::not_found:
      return protocol::Answer::not_found;
    case Status::exists:
      return protocol::Answer::exists;
    case Status::not_permitted:
      return protocol::Answer::not_permitted;
    case Status::arrived:
      return protocol::Answer::arrived;
    case Status::too_late:
      return protocol::Answer::too_late;
    case Status::different:
      return protocol::Answer::different;
    case Status::in_use:
      return protocol::Answer::in_use;
    case Status::not_open:
      return protocol::Answer::not_open;
    case Status::not_member:
      return protocol::Answer::not_member;
    case Status::already_arrived:
      return protocol::Answer::already_arrived;
    case Status::inside:
      return protocol::Answer::inside;
    case Status::full:
      return protocol::Answer::full;
    case Status::already_answered:
    case Status::not_attached:
    case Status::stale_generation:
    case Status::session_lost:
      break;
  }
  return protocol::Answer::stale;
}

std::string_view advice_on(Status status) {
  switch (status) {
    case Status::too_many_locks:
      return "the session, or the whole table, has as many locks or lockspaces as are allowed; "
             "release some";
    case Status::too_many_requests:
      return "too many requests are unacknowledged; wait for answers to earlier ones";
    case Status::too_many_arrivals:
      return "the session waits at too many barriers, or the cluster has too many of them, of "
             "arrivals or of values; see the limits in docs/barriers.md";
    case Status::invalid:
      return "the flags do not go together, or not with the mode; see the header of the call";
    case Status::not_permitted:
      return "the permissions of the lockspace do not let this user in";
    default:
      return {};
  }
}

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
      for (auto& [request, body] : slot->unanswered) submit_request(now, *slot, request, body);
      // What was said of patience meanwhile was said by the attachment before.
      if (!MUTANT("sessions_patience_lost_at_resume")) {
        for (const auto& [request, end] : slot->patience) {
          patience_.emplace(end, slot->id, request);
        }
      }
      tell_waiting(now, *slot);
      tell_again(now, *slot);
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

// The slot that an outcome for this attachment is to be told through, if it is there still.
SessionSlot* Sessions::find_attached(SessionId id, Generation generation) {
  SessionSlot* slot = find(id);
  const bool is_it = slot && slot->phase == Phase::attached && slot->generation == generation;
  return is_it ? slot : nullptr;
}

void Sessions::on(Instant now, const Replied& replied) {
  SessionSlot* slot = find_attached(replied.session, replied.generation);
  if (slot == nullptr) return;
  const auto found = find_unanswered(*slot, replied.reply.request);
  if (found == slot->unanswered.end()) return;
  // Not answers: the slot is about to be resumed, or another has the session.
  const Status status = replied.reply.status;
  if (status == Status::not_attached || status == Status::stale_generation) return;
  if (status == Status::session_lost) {
    slot->unanswered.erase(found);
    return lose_ended(now, slot->id);
  }
  const RequestId request = replied.reply.request;
  const RequestId lock = lock_of(found->second, request);
  const auto* cancel = std::get_if<Cancel>(&found->second);
  const bool cancels = cancel != nullptr;
  if (cancels && status == Status::cancelled) {
    const std::map<RequestId, RequestId> waiting = slot->waiting;
    for (const auto& [waits, of] : waiting) {
      if (of == cancel->lock) end_wait(*slot, waits);
    }
  }
  const std::optional<BarrierAsked> barrier = asked_of(found->second, request);
  if (is_last_part(*found, request)) slot->unanswered.erase(found);

  if (status == Status::already_answered && lock != RequestId{}) {
    return answer_from_table(now, *slot, request, lock);
  }
  if (barrier && (status == Status::arrived || status == Status::already_answered)) {
    return answer_from_barriers(now, *slot, *barrier, status);
  }
  if (status == Status::queued) wait_for(now, *slot, request, lock);
  answer(now, *slot, replied.reply, answer_to(status, cancels), advice_on(status));
}

void Sessions::on(Instant now, const Settled& settled) {
  SessionSlot* slot = find_attached(settled.session, settled.generation);
  if (slot == nullptr) return;
  if (!end_wait(*slot, settled.reply.request)) return;
  answer(now, *slot, settled.reply, answer_to(settled.reply.status, false));
}

void Sessions::on(Instant now, const Blocked& blocked) {
  const SessionSlot* slot = find_attached(blocked.session, blocked.generation);
  if (slot == nullptr || !slot->connection) return;
  send(now, *slot->connection, protocol::Blocks{blocked.lock, blocked.token, blocked.mode});
}

void Sessions::on(Instant now, const Deadlocked& deadlocked) {
  const SessionSlot* slot = find_attached(deadlocked.session, deadlocked.generation);
  if (slot == nullptr || !slot->connection) return;
  send(now, *slot->connection, queries_.describe(deadlocked.deadlock));
}

void Sessions::on(Instant now, const LockspaceChanged& changed) {
  SessionSlot* slot = find_attached(changed.session, changed.generation);
  if (slot == nullptr) return;
  tell_lockspace(now, *slot, changed.lockspace);
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
  reply.notes = outcome.notes;
  if (answer == protocol::Answer::granted) {
    reply.mode = outcome.mode;
    reply.token = MUTANT("canary_locks") ? Token{base::value(outcome.token) + 1} : outcome.token;
    if (!MUTANT("sessions_value_not_told")) reply.value = outcome.value;
    ++statistics_.granted_told;
  }
  reply.note = note(now, slot);
  reply.advice = advice;
  send(now, *slot.connection, reply);
}

// A repeated acquire or conversion that counts as answered: how does it stand now?
void Sessions::answer_from_table(Instant now, SessionSlot& slot, RequestId request,
                                 RequestId lock) {
  const auto view = replica_.table()->find_lock(slot.id, lock);
  const bool waits = view && view->waiting && view->request == request;
  if (!view || (!waits && !view->granted)) {
    return answer(now, slot, Reply{request, {}, {}, {}}, protocol::Answer::stale);
  }
  ++statistics_.told_from_table;
  Reply reply{request, {}, view->mode, view->token};
  if (waits && !MUTANT("sessions_waiting_told_granted")) {
    wait_for(now, slot, request, lock);
    return answer(now, slot, reply, protocol::Answer::queued);
  }
  if (view->flags & base::lock_flag::value_block) {
    const auto resource = replica_.table()->locks().find(view->on);
    reply.value = resource->value ? *resource->value : dlm::ValueBlock{};
    if (resource->value_invalid) reply.notes |= base::grant_note::value_invalid;
  }
  answer(now, slot, reply, protocol::Answer::granted);
}

// It stands in the queue: from now on its patience counts.
void Sessions::wait_for(Instant now, SessionSlot& slot, RequestId request, RequestId lock) {
  end_wait(slot, request);
  slot.waiting[request] = lock;
  const auto view = replica_.table()->find_lock(slot.id, lock);
  if (!view || !view->waiting || view->request != request || view->patience == 0) return;
  const base::Duration end = now.boot + std::chrono::milliseconds(view->patience);
  slot.patience[request] = end;
  patience_.emplace(end, slot.id, request);
}

// False if it did not wait.
bool Sessions::end_wait(SessionSlot& slot, RequestId request) {
  const auto patience = slot.patience.find(request);
  if (patience != slot.patience.end()) {
    patience_.erase({patience->second, slot.id, request});
    slot.patience.erase(patience);
  }
  return slot.waiting.erase(request) != 0;
}

void Sessions::end_waits(SessionSlot& slot) {
  while (!slot.waiting.empty()) end_wait(slot, slot.waiting.begin()->first);
}

// Grants whose telling was lost with an old table, or held back from the client of an orphan.
void Sessions::tell_waiting(Instant now, SessionSlot& slot) {
  const std::map<RequestId, RequestId> waiting = slot.waiting;
  for (const auto& [request, lock] : waiting) {
    const auto view = replica_.table()->find_lock(slot.id, lock);
    if (view && view->waiting && view->request == request) continue;
    end_wait(slot, request);
    answer_from_table(now, slot, request, lock);
  }
}

// After a resume: who waits for the locks of the session, and how its lockspaces are.
void Sessions::tell_again(Instant now, SessionSlot& slot) {
  const State& table = *replica_.table();
  const dlm::Table& locks = table.locks();
  // Mostly nobody waits, and the session may have many locks.
  const std::size_t shown = locks.notified_of(slot.id) > 0 ? locks.count_of(slot.id) : 0;
  for (const dlm::LockView& lock : table.locks_of(slot.id, shown)) {
    if (!slot.connection) return;
    if (!lock.granted || lock.notified == dlm::Mode::nl) continue;
    if (MUTANT("sessions_blocks_lost_at_resume")) continue;
    send(now, *slot.connection, protocol::Blocks{lock.lock.acquired_by, lock.token, lock.notified});
  }
  tell_outcomes(now, slot);
  for (const auto& [name, lockspace] : table.lockspaces().all()) {
    if (MUTANT("sessions_lockspace_untold_at_resume")) continue;
    if (lockspace.users.count(slot.id) != 0) tell_lockspace(now, slot, name);
  }
}

void Sessions::tell_lockspace(Instant now, SessionSlot& slot, const std::string& name) {
  const Lockspace* lockspace = replica_.table()->lockspaces().find(name);
  if (lockspace == nullptr || !slot.connection) return;
  send(now, *slot.connection, state_of(name, *lockspace));
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
