// The third part of lockd/sessions.h: the slots, what is promised to their clients, and how they
// end.
#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/mutant.h"
#include "lockd/sessions.h"

namespace lockd {

namespace protocol = liblock::protocol;

namespace {

using Phase = SessionSlot::Phase;

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

// ---- Slots ----

void SessionSlot::hear(Instant now, base::RequestId client_acknowledged) {
  heard = now;
  silent = false;
  acknowledged = std::max(acknowledged, client_acknowledged);
  if (repeats_up_to) return;
  repeats_up_to = RequestId{base::value(client_acknowledged) + protocol::kRequestWindow};
}

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
  const bool gone = session == nullptr || session->ended();
  const bool ours = !gone && session->at == self_ && session->generation == slot.generation;
  switch (slot.phase) {
    case Phase::attached:
      if (shown_attached(slot)) return;
      if (gone) return lose_ended(now, slot.id);
      if (!session->orphaned()) return lose(now, slot.id, "it was resumed elsewhere");
      if (slot.connection) return order_resume(now, slot);
      return release(slot.id);
    case Phase::resuming:
      if (gone) lose_ended(now, slot.id);
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
  end_waits(slot);
  submit(now, Close{slot.id, slot.generation});
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

// The order knows the session no more.
void Sessions::lose_ended(Instant now, SessionId id) {
  if (replica_.table()->cold()) {
    lose(now, id, "nobody holds the table any more", protocol::LostReason::table_lost);
  } else {
    lose(now, id, "its lease ran out");
  }
}

void Sessions::lose(Instant now, SessionId id, std::string_view why, protocol::LostReason reason) {
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
  send(now, *connection, protocol::Lost{reason});
  close(*connection);
}

void Sessions::release(SessionId id) {
  const auto found = slots_.find(id);
  CHECK(found != slots_.end());
  const auto count = sessions_of_.find(found->second.uid);
  if (--count->second == 0) sessions_of_.erase(count);
  discard_backlog(id);
  end_waits(found->second);
  slots_.erase(found);
}

// ---- Time ----

void Sessions::advance(Instant now) {
  while (!backlog_.empty()) {
    const auto taken = replica_.submit(now, backlog_.front());
    if (!taken && taken.error() == SubmitError::try_again) break;
    backlog_.pop_front();
  }
  if (receipts_.size() >= kReceiptsMax) order_receipts(now);
  const bool serving = may_tell(now);
  if (serving != told_serving_) {
    told_serving_ = serving;
    tell_states(now);
  }
  if (!serving || !std::exchange(recheck_waiting_, false)) return;
  for (auto& [id, slot] : slots_) {
    if (slot.phase != Phase::attached) continue;
    tell_waiting(now, slot);
    tell_outcomes(now, slot);
  }
}

std::optional<base::Duration> Sessions::next_timeout() const {
  std::optional<base::Duration> next = next_sweep_;
  const auto no_later_than = [&](base::Duration when) {
    next = next ? std::min(*next, when) : when;
  };
  if (!patience_.empty()) no_later_than(std::get<base::Duration>(*patience_.begin()));
  if (receipts_due_) no_later_than(*receipts_due_);
  return next;
}

void Sessions::end_patience(Instant now) {
  while (!patience_.empty() && std::get<base::Duration>(*patience_.begin()) <= now.boot) {
    const auto [end, session, request] = *patience_.begin();
    patience_.erase(patience_.begin());
    const SessionSlot& slot = slots_.at(session);
    if (slot.phase != Phase::attached || MUTANT("sessions_patience_without_end")) continue;
    submit(now, TimeOut{session, slot.generation, slot.waiting.at(request), request});
  }
}

void Sessions::handle_timeout(Instant now) {
  end_patience(now);
  if (receipts_due_ && *receipts_due_ <= now.boot) order_receipts(now);
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
    const bool quiet =
        renewing && slot.phase == Phase::attached &&
        base::elapsed_at_least(slot.heard, now) > config_.lease &&
        (replica_.table()->locks().count_of(id) > 0 || replica_.table()->barriers().takes_part(id));
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
  std::size_t impatient = 0;
  for (const auto& [id, slot] : slots_) {
    CHECK(slot.id == id);
    ++sessions_of[slot.uid];
    CHECK(slot.unanswered.size() <= protocol::kInFlightMax);
    for (const auto& [request, end] : slot.patience) {
      CHECK(slot.waiting.count(request) == 1);
      impatient += patience_.count({end, id, request});
    }
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
  CHECK(patience_.size() == impatient);
}

}  // namespace lockd
