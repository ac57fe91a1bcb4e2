// The part of lockd/sessions.h about barriers: what a session asks becomes commands, and outcomes
// are told until their receipt is ordered. The rules are docs/barriers.md, "How a session is told".
#include <algorithm>
#include <string>
#include <utility>

#include "base/mutant.h"
#include "lockd/sessions.h"

namespace lockd {

namespace protocol = liblock::protocol;

namespace {

base::Buffer value_of(const std::string& text) {
  const base::Bytes bytes = base::bytes_of(text);
  return {bytes.begin(), bytes.end()};
}

BarrierSettings settings_of(const protocol::BarrierConfig& config) {
  return {{config.parties, config.unit, config.on_death, config.two_steps},
          config.auto_delete,
          config.patience};
}

template <typename Message>
barrier::Name name_of(const Message& message) {
  return {message.lockspace, message.barrier};
}

protocol::BarrierOutcome part_of(const barrier::Outcome& outcome, SessionId after) {
  protocol::BarrierOutcome part;
  part.ending = outcome.ending;
  part.ring = outcome.ring;
  part.membership = outcome.membership + (MUTANT("canary_barriers") ? 1 : 0);
  part.losses = outcome.losses;
  for (const barrier::Lost& lost : outcome.lost) part.lost.push_back({lost.session, lost.at});
  part.members_total = static_cast<std::uint32_t>(outcome.members.size());
  auto member = std::upper_bound(
      outcome.members.begin(), outcome.members.end(), after,
      [](SessionId session, const barrier::Member& one) { return session < one.session; });
  for (; member != outcome.members.end(); ++member) {
    if (part.members.size() == protocol::kBarrierMembersMax) break;
    part.members.push_back({member->session, member->at, base::text_of(member->value)});
  }
  return part;
}

}  // namespace

// ---- What a session asks ----

void Sessions::on(Instant now, ConnectionId id, const protocol::BarrierCreate& create) {
  SessionSlot* slot = heard(now, id, create);
  if (slot == nullptr) return;
  take(now, *slot, create.request, BarrierCreate{{}, name_of(create), settings_of(create.config)});
}

void Sessions::on(Instant now, ConnectionId id, const protocol::BarrierChange& change) {
  SessionSlot* slot = heard(now, id, change);
  if (slot == nullptr) return;
  take(now, *slot, change.request,
       BarrierChange{
           {}, name_of(change), static_cast<barrier::Attribute>(change.attribute), change.value});
}

void Sessions::on(Instant now, ConnectionId id, const protocol::BarrierArrive& arrive) {
  SessionSlot* slot = heard(now, id, arrive);
  if (slot == nullptr) return;
  BarrierArrive command{{}, name_of(arrive), {}, value_of(arrive.value)};
  if (arrive.config) command.settings = settings_of(*arrive.config);
  take(now, *slot, arrive.request, std::move(command));
}

void Sessions::on(Instant now, ConnectionId id, const protocol::BarrierLeave& leave) {
  SessionSlot* slot = heard(now, id, leave);
  if (slot == nullptr) return;
  take(now, *slot, leave.request, BarrierLeave{{}, leave.generation, value_of(leave.value)});
}

void Sessions::on(Instant now, ConnectionId id, const protocol::BarrierWithdraw& withdraw) {
  SessionSlot* slot = heard(now, id, withdraw);
  if (slot == nullptr) return;
  take(now, *slot, withdraw.request, BarrierWithdraw{{}, name_of(withdraw), withdraw.arrival});
}

void Sessions::on(Instant now, ConnectionId id, const protocol::BarrierCancel& cancel) {
  SessionSlot* slot = heard(now, id, cancel);
  if (slot == nullptr) return;
  take(now, *slot, cancel.request, BarrierCancel{{}, name_of(cancel)});
}

void Sessions::on(Instant now, ConnectionId id, const protocol::BarrierDelete& removal) {
  SessionSlot* slot = heard(now, id, removal);
  if (slot == nullptr) return;
  take(now, *slot, removal.request, BarrierDelete{{}, name_of(removal), removal.force});
}

// Whatever is not owed to this session, or not known here at present, is passed over: then it was
// confirmed before, or will be told again.
void Sessions::on(Instant now, ConnectionId id, const protocol::BarrierConfirm& confirm) {
  SessionSlot* slot = slot_of(*find(id));
  if (slot == nullptr) {
    return refuse(now, id, protocol::Refusal::malformed, "there is no session to confirm it for");
  }
  const State* table = replica_.table();
  const barrier::OutcomeKey key{confirm.generation, confirm.step};
  slot->told.erase(key);
  if (table == nullptr || !table->barriers().is_owed(slot->id, key)) return;
  receipts_.insert({slot->id, key});
  if (!receipts_due_) receipts_due_ = now.boot + config_.receipts_collected;
}

// Not while other commands wait for room: so there are no more of these than outcomes.
void Sessions::order_receipts(Instant now) {
  receipts_due_ = now.boot + config_.receipts_collected;
  if (!backlog_.empty()) return;
  BarrierAcknowledge acknowledge;
  while (!receipts_.empty()) {
    acknowledge.receipts.push_back(*receipts_.begin());
    receipts_.erase(receipts_.begin());
    if (acknowledge.receipts.size() < kReceiptsMax && !receipts_.empty()) continue;
    if (!MUTANT("sessions_outcome_kept_for_ever")) submit(now, acknowledge);
    acknowledge.receipts.clear();
  }
  receipts_due_.reset();
}

void Sessions::on(Instant now, ConnectionId id, const protocol::BarriersQuery& query) {
  send(now, id, queries_.answer(now, query));
}

// ---- What it is told ----

// An outcome whose arrival has not been answered on this attachment is told behind that answer. So
// it was told already, if this is the last arrival.
void Sessions::on(Instant now, const BarrierEnded& ended) {
  SessionSlot* slot = find_attached(ended.session, ended.generation);
  if (slot == nullptr || slot->unanswered.count(ended.request) != 0) return;
  if (slot->told.count(ended.key) != 0) return;
  tell_outcome(now, *slot, ended.key, ended.request);
}

void Sessions::on(Instant now, ConnectionId id, const protocol::BarrierMore& more) {
  const SessionSlot* slot = slot_of(*find(id));
  if (slot == nullptr) {
    return refuse(now, id, protocol::Refusal::malformed, "there is no session to tell it to");
  }
  const State* table = replica_.table();
  const barrier::OutcomeKey key{more.generation, more.step};
  // Else all of it is told again, as soon as that may be.
  if (table == nullptr || slot->phase != SessionSlot::Phase::attached) return;
  tell_outcome_part(now, *slot, key,
                    table->barriers().request_of(slot->id, key).value_or(RequestId{}), more.after);
}

void Sessions::tell_outcome(Instant now, SessionSlot& slot, barrier::OutcomeKey key,
                            RequestId request) {
  // Of a session that a later command has ended, before anything was told, nothing is kept any
  // more.
  const bool owed = replica_.table()->barriers().is_owed(slot.id, key);
  if (!slot.connection || (!owed && !MUTANT("sessions_outcome_told_of_nothing"))) return;
  slot.told.insert(key);
  tell_outcome_part(now, slot, key, request, {});
}

void Sessions::tell_outcome_part(Instant now, const SessionSlot& slot, barrier::OutcomeKey key,
                                 RequestId request, SessionId after) {
  if (!slot.connection) return;
  const barrier::Table& barriers = replica_.table()->barriers();
  protocol::BarrierOutcome part;
  if (barriers.is_owed(slot.id, key)) part = part_of(*barriers.find_outcome(key), after);
  part.request = request;
  part.generation = key.generation;
  part.step = key.step;
  send(now, *slot.connection, part);
}

// Those that were not told, or not confirmed: on another attachment, or with another table.
void Sessions::tell_outcomes(Instant now, SessionSlot& slot) {
  if (MUTANT("sessions_outcome_untold_at_resume")) return;
  slot.told.clear();
  for (const barrier::Standing& standing : replica_.table()->barriers().standing_of(slot.id)) {
    const bool answered = slot.unanswered.count(standing.request) == 0;
    if (standing.kind != barrier::Standing::Kind::owed || !answered) continue;
    tell_outcome(now, slot, standing.key, standing.request);
  }
}

std::optional<BarrierAsked> asked_of(const Command::Body& body, RequestId request) {
  if (std::holds_alternative<BarrierArrive>(body)) return BarrierAsked{request, {}};
  const auto* leave = std::get_if<BarrierLeave>(&body);
  if (leave == nullptr) return std::nullopt;
  return BarrierAsked{request, leave->generation};
}

// It has arrived, now or when it was asked before: how does it stand now? If the step has ended
// already, that is told at once.
void Sessions::answer_from_barriers(Instant now, SessionSlot& slot, const BarrierAsked& asked,
                                    Status status) {
  std::optional<barrier::Standing> found;
  for (const barrier::Standing& standing : replica_.table()->barriers().standing_of(slot.id)) {
    const bool leave =
        standing.key.step == barrier::Step::leave && standing.key.generation == asked.left;
    const bool inside = standing.kind == barrier::Standing::Kind::inside;
    if ((standing.request == asked.request || leave) && !inside) found = standing;
  }
  const bool over = !found && status == Status::already_answered;
  answer(now, slot, Reply{asked.request, {}, {}, {}},
         over || MUTANT("sessions_arrival_told_stale") ? protocol::Answer::stale
                                                       : protocol::Answer::arrived);
  if (found && found->kind == barrier::Standing::Kind::owed) {
    tell_outcome(now, slot, found->key, asked.request);
  }
}

}  // namespace lockd
