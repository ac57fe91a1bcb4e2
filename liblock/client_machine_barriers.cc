// The part of liblock/client_machine.h that takes part in barriers. An outcome is kept by the
// daemons until it is confirmed, and told anew on each connection; so nothing that was collected in
// part outlives one.
#include <utility>

#include "base/mutant.h"
#include "liblock/client_machine.h"
#include "liblock/failure.h"

namespace liblock {
namespace {

using protocol::Answer;
using protocol::BarrierConfig;
using protocol::BarrierEnding;
using protocol::BarrierGeneration;
using protocol::BarrierOutcome;
using protocol::BarrierStep;

bool within(std::string_view name, std::size_t most) {
  return !name.empty() && name.size() <= most;
}

bool named(std::string_view lockspace, std::string_view barrier) {
  return within(lockspace, protocol::kLockspaceBytesMax) &&
         within(barrier, protocol::kBarrierNameBytesMax);
}

bool legal(const BarrierConfig& config) {
  const bool shrinks = config.on_death == protocol::BarrierOnDeath::shrink;
  return config.parties <= kParticipantsMax && config.unit <= protocol::BarrierUnit::node &&
         config.on_death <= protocol::BarrierOnDeath::wait && (!shrinks || config.parties == 0);
}

bool legal(protocol::BarrierAttribute attribute, std::uint32_t value) {
  switch (attribute) {
    case protocol::BarrierAttribute::auto_delete:
      return value <= 1;
    case protocol::BarrierAttribute::parties:
      return value <= kParticipantsMax;
    case protocol::BarrierAttribute::patience:
      return true;
  }
  return false;
}

}  // namespace

// ---- Calls ----

base::Result<RequestId, CallError> ClientMachine::arrive(Instant now,
                                                         const BarrierArrival& arrival) {
  begin(now);
  if (disabled_ || closing_) return base::error(CallError::disabled);
  if (config_.query_only || !named(arrival.lockspace, arrival.barrier) || !legal(arrival.config) ||
      arrival.value.size() > protocol::kBarrierValueBytesMax) {
    return base::error(CallError::invalid);
  }
  const std::size_t more = arrival.config.two_steps ? 2 : 1;
  if (outcomes() + more > kOutcomesMax && !MUTANT("barriers_outcomes_without_limit")) {
    return base::error(CallError::limit);
  }
  const RequestId id = requests_.add(
      BarrierArriveCommand{std::string(arrival.lockspace), std::string(arrival.barrier),
                           arrival.config, std::string(arrival.value)});
  flush();
  return id;
}

base::Result<RequestId, CallError> ClientMachine::leave_barrier(Instant now,
                                                                BarrierGeneration generation,
                                                                std::string_view value) {
  begin(now);
  if (disabled_ || closing_) return base::error(CallError::disabled);
  if (config_.query_only || value.size() > protocol::kBarrierValueBytesMax) {
    return base::error(CallError::invalid);
  }
  Participation* inside = participations_.find(generation);
  if (inside == nullptr || !inside->entered) {
    const bool lost = participations_.take_lost(generation);
    return base::error(lost ? CallError::lost : CallError::not_found);
  }
  if (inside->leave) {
    Caller& caller = requests_.find<BarrierLeaveCommand>(*inside->leave)->caller;
    if (caller == Caller::waits) return base::error(CallError::in_progress);
    caller = Caller::waits;
    return *inside->leave;
  }
  const RequestId id = requests_.add(BarrierLeaveCommand{generation, std::string(value)});
  if (inside->end && !MUTANT("barriers_known_end_asked_again")) {
    requests_.resolve(id);
    events_.push_back(BarrierEnded{id, std::move(*inside->end)});
    participations_.end(generation);
    return id;
  }
  inside->leave = id;
  flush();
  return id;
}

base::Result<void, CallError> ClientMachine::withdraw(Instant now, RequestId arrival) {
  begin(now);
  const auto* arrive = requests_.find<BarrierArriveCommand>(arrival);
  if (arrive == nullptr) return base::error(CallError::not_held);
  if (requests_.cancelling(arrival)) return {};
  if (requests_.seen(arrival)) {
    requests_.add(BarrierWithdrawCommand{arrive->lockspace, arrive->barrier, arrival});
  } else {
    fail_arrival(arrival, Failure::cancelled, "");
  }
  flush();
  return {};
}

base::Result<RequestId, CallError> ClientMachine::operate_barrier(Instant now, bool valid,
                                                                  BarrierCommand command) {
  begin(now);
  if (disabled_ || closing_) return base::error(CallError::disabled);
  if (config_.query_only || !valid) return base::error(CallError::invalid);
  if (requests_.barrier_operations() >= kBarrierOperationsMax) {
    return base::error(CallError::limit);
  }
  const RequestId id = requests_.add(std::move(command));
  flush();
  return id;
}

base::Result<RequestId, CallError> ClientMachine::create_barrier(Instant now,
                                                                 std::string_view lockspace,
                                                                 std::string_view barrier,
                                                                 const BarrierConfig& config) {
  protocol::BarrierCreate create;
  create.lockspace = lockspace;
  create.barrier = barrier;
  create.config = config;
  return operate_barrier(now, named(lockspace, barrier) && legal(config), {std::move(create)});
}

base::Result<RequestId, CallError> ClientMachine::change_barrier(
    Instant now, std::string_view lockspace, std::string_view barrier,
    protocol::BarrierAttribute attribute, std::uint32_t value) {
  protocol::BarrierChange change;
  change.lockspace = lockspace;
  change.barrier = barrier;
  change.attribute = attribute;
  change.value = value;
  return operate_barrier(now, named(lockspace, barrier) && legal(attribute, value),
                         {std::move(change)});
}

base::Result<RequestId, CallError> ClientMachine::cancel_barrier(Instant now,
                                                                 std::string_view lockspace,
                                                                 std::string_view barrier) {
  protocol::BarrierCancel cancel;
  cancel.lockspace = lockspace;
  cancel.barrier = barrier;
  return operate_barrier(now, named(lockspace, barrier), {std::move(cancel)});
}

base::Result<RequestId, CallError> ClientMachine::delete_barrier(Instant now,
                                                                 std::string_view lockspace,
                                                                 std::string_view barrier,
                                                                 bool force) {
  protocol::BarrierDelete end;
  end.lockspace = lockspace;
  end.barrier = barrier;
  end.force = force;
  return operate_barrier(now, named(lockspace, barrier), {std::move(end)});
}

// ---- Answers ----

void ClientMachine::on_outcome(const protocol::Reply& reply, BarrierArriveCommand&) {
  const RequestId id = reply.request;
  if (reply.answer == Answer::arrived) {
    if (!MUTANT("barriers_arrived_is_no_answer")) requests_.on_answered(id);
    return;
  }
  // Not in the table any more, and no outcome that is kept for us: it was taken back.
  const bool withdrawn = reply.answer == Answer::stale && requests_.cancelling(id);
  fail_arrival(id, withdrawn ? Failure::cancelled : failure_of(reply.answer), reply.advice);
}

void ClientMachine::on_outcome(const protocol::Reply& reply, BarrierLeaveCommand& command) {
  if (reply.answer == Answer::arrived) return requests_.on_answered(reply.request);
  const BarrierLeaveCommand leave = std::move(command);
  requests_.resolve(reply.request);
  const Failure failure = failure_of(reply.answer);
  const bool inside = failure != Failure::not_found && failure != Failure::lost;
  Participation* participation = participations_.find(leave.generation);
  if (participation != nullptr) participation->leave.reset();
  if (!inside) participations_.end(leave.generation);
  if (leave.caller == Caller::waits) {
    events_.push_back(BarrierFailed{reply.request, failure, reply.advice});
  }
}

void ClientMachine::on_outcome(const protocol::Reply& reply, BarrierWithdrawCommand& command) {
  const RequestId arrival = command.arrival;
  requests_.resolve(reply.request);
  const bool cancelled = reply.answer == Answer::cancelled ||
                         (reply.answer == Answer::too_late && MUTANT("barriers_too_late_ignored"));
  if (cancelled && requests_.find<BarrierArriveCommand>(arrival) != nullptr) {
    fail_arrival(arrival, Failure::cancelled, "");
  }
}

void ClientMachine::on_outcome(const protocol::Reply& reply, BarrierCommand& command) {
  const bool reported = command.reported;
  done(reply.request, reported,
       reply.answer == Answer::done ? std::nullopt : std::optional(failure_of(reply.answer)),
       reply.advice);
}

void ClientMachine::fail_arrival(RequestId arrival, Failure failure, const std::string& advice) {
  const Caller caller = requests_.find<BarrierArriveCommand>(arrival)->caller;
  requests_.resolve(arrival);
  arrival_over();
  if (caller == Caller::waits) events_.push_back(BarrierFailed{arrival, failure, advice});
}

// ---- Outcomes ----

void ClientMachine::on(const BarrierOutcome& part) {
  if (!open() || !session_) return protocol_error();
  part.step == BarrierStep::enter ? on_entered(part) : on_left(part);
}

void ClientMachine::on_entered(const BarrierOutcome& part) {
  const RequestId arrival = part.request;
  auto* arrive = requests_.find<BarrierArriveCommand>(arrival);
  if (arrive == nullptr) {
    // Told again: that we have it, the daemon has yet to hear.
    if (!MUTANT("barriers_told_again_unconfirmed")) confirm(part);
    return;
  }
  if (!collect(arrive->outcome, part)) return;
  const BarrierArriveCommand ended = std::move(*arrive);
  const BarrierOutcome& outcome = *ended.outcome.outcome();
  requests_.resolve(arrival);
  confirm(outcome);
  const bool told = ended.caller == Caller::waits || MUTANT("barriers_forgotten_told");
  if (told) events_.push_back(BarrierEnded{arrival, {session_->id, outcome}});
  if (outcome.ending == BarrierEnding::released && ended.config.two_steps) {
    Participation& inside = participations_.enter(outcome.generation);
    inside.abandoned = !told;
    if (inside.end) end_left(outcome.generation, std::move(*inside.end));
  }
  arrival_over();
}

void ClientMachine::on_left(const BarrierOutcome& part) {
  Participation* inside = participation_of(part.generation);
  if (inside == nullptr || inside->end) return confirm(part);
  if (!collect(inside->parts, part)) return;
  BarrierEnd end{session_->id, *inside->parts.outcome()};
  inside->parts = {};
  confirm(end.outcome);
  end_left(part.generation, std::move(end));
}

// One that we do not know can be of an arrival whose outcome has yet to be told.
Participation* ClientMachine::participation_of(BarrierGeneration generation) {
  Participation* known = participations_.find(generation);
  const bool ended = participations_.ended(generation) && !MUTANT("barriers_ended_expected");
  if (known != nullptr || ended) return known;
  const bool expected = participations_.expected() < requests_.two_step_arrivals() &&
                        !MUTANT("barriers_second_step_before_first_dropped");
  return expected ? &participations_.expect(generation) : nullptr;
}

// The second step has ended: for who asked to leave, or for who can ask from now on.
void ClientMachine::end_left(BarrierGeneration generation, BarrierEnd end) {
  Participation& inside = *participations_.find(generation);
  const std::optional<RequestId> leave = std::exchange(inside.leave, std::nullopt);
  if (leave) {
    const Caller caller = requests_.find<BarrierLeaveCommand>(*leave)->caller;
    requests_.resolve(*leave);
    if (caller == Caller::waits) {
      events_.push_back(BarrierEnded{*leave, std::move(end)});
      return participations_.end(generation);
    }
  }
  const bool untold = leave && MUTANT("barriers_forgotten_leave_untold");
  if (inside.abandoned || untold) return participations_.end(generation);
  const bool broken = end.outcome.ending != BarrierEnding::released;
  if (inside.entered && !leave && broken && !MUTANT("barriers_broken_inside_not_told")) {
    events_.push_back(BarrierBroken{end});
  }
  inside.end = std::move(end);
}

bool ClientMachine::collect(OutcomeParts& parts, const BarrierOutcome& part) {
  switch (parts.add(part)) {
    case OutcomeParts::Added::whole:
      return true;
    case OutcomeParts::Added::more:
      send(protocol::BarrierMore{part.generation, part.step, parts.last()});
      return false;
    case OutcomeParts::Added::again:
      return false;
    case OutcomeParts::Added::wrong:
      break;
  }
  protocol_error();
  return false;
}

void ClientMachine::confirm(const BarrierOutcome& outcome) {
  if (MUTANT("barriers_unconfirmed")) return;
  send(protocol::BarrierConfirm{outcome.generation, outcome.step});
}

void ClientMachine::arrival_over() {
  if (requests_.two_step_arrivals() == 0) participations_.drop_expected();
}

// ---- Losses ----

void ClientMachine::collect_anew() {
  if (MUTANT("barriers_parts_kept_across_connections")) return;
  participations_.on_disconnected();
  for (RequestId id : requests_.ids()) {
    auto* arrive = requests_.find<BarrierArriveCommand>(id);
    if (arrive != nullptr) arrive->outcome = {};
  }
}

// A daemon that has seen an arrival may have counted it, and others were released with us or saw us
// die. What none has seen goes on in the next session.
void ClientMachine::end_barriers(Failure failure) {
  for (RequestId id : requests_.ids()) {
    const bool unseen = !requests_.seen(id) && !MUTANT("barriers_unseen_lost");
    const bool goes_on =
        failure == Failure::lost && (unseen || MUTANT("barriers_go_on_in_next_session"));
    if (requests_.find<BarrierArriveCommand>(id) != nullptr) {
      if (!goes_on) fail_arrival(id, failure, "");
    } else if (const auto* leave = requests_.find<BarrierLeaveCommand>(id)) {
      if (leave->caller == Caller::waits) {
        events_.push_back(BarrierFailed{id, failure, ""});
        participations_.end(leave->generation);
      }
      requests_.resolve(id);
    } else if (requests_.find<BarrierWithdrawCommand>(id) != nullptr) {
      requests_.resolve(id);
    } else if (const auto* command = requests_.find<BarrierCommand>(id)) {
      if (!goes_on) done(id, command->reported, failure, "");
    }
  }
  participations_.lose();
}

}  // namespace liblock
