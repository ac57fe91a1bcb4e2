// The part of liblock/client_machine.h that takes a grant from mode to mode, and hears that it
// stands in somebody's way. While a conversion waits, the grant is what it was.
#include <utility>

#include "base/mutant.h"
#include "liblock/client_machine.h"
#include "liblock/failure.h"

namespace liblock {

using protocol::Answer;

base::Result<RequestId, CallError> ClientMachine::convert(Instant now, RequestId acquire,
                                                          const LockConversion& conversion) {
  begin(now);
  if (disabled_ || closing_) return base::error(CallError::disabled);
  if (lost_.count(acquire) != 0) return base::error(CallError::lost);
  const auto found = grants_.find(acquire);
  if (found == grants_.end()) return base::error(CallError::not_held);
  Grant& grant = found->second;
  if (conversion.mode > protocol::Mode::ex) return base::error(CallError::invalid);
  if (grant.conversion) return base::error(CallError::in_progress);
  if (!base::legal_conversion(grant.mode(), conversion.mode, conversion.flags)) {
    return base::error(CallError::invalid);
  }
  if (requests_.acquires() + requests_.conversions() >= kWaitingMax) {
    return base::error(CallError::limit);
  }
  const RequestId id = requests_.add(ConvertCommand{acquire, conversion.mode, conversion.flags,
                                                    conversion.patience, conversion.value});
  grant.conversion = id;
  flush();
  return id;
}

void ClientMachine::on_outcome(const protocol::Reply& reply, ConvertCommand& command) {
  const RequestId id = reply.request;
  const auto found = grants_.find(command.acquire);
  switch (reply.answer) {
    case Answer::queued:
      return requests_.on_answered(id);
    case Answer::granted:
      // The token that it had: of a conversion that has ended, we hear how the lock is now.
      if (found != grants_.end() && found->second.token() == reply.token) {
        const bool demoted =
            reply.mode == protocol::Mode::nl && found->second.mode() != protocol::Mode::nl;
        const Failure failure = requests_.cancelling(id) ? Failure::cancelled
                                : command.patience != 0  ? Failure::timed_out
                                                         : Failure::deadlock;
        return fail_conversion(id, failure, demoted ? base::grant_note::demoted : 0, "");
      }
      return take_converted(reply, command);
    case Answer::not_held:
    case Answer::stale:
      return lose_converting(id);
    default:
      return fail_conversion(id, failure_of(reply.answer), reply.notes, reply.advice);
  }
}

void ClientMachine::take_converted(const protocol::Reply& granted, const ConvertCommand& command) {
  const RequestId acquire = command.acquire;
  const bool reported = command.reported;
  requests_.resolve(granted.request);
  const auto found = grants_.find(acquire);
  if (found == grants_.end()) return;  // Lost or released meanwhile: that ends it, by force.
  found->second.convert(granted.token, granted.mode);
  if (reported && !MUTANT("client_conversion_not_told")) {
    events_.push_back(Converted{
        granted.request, {acquire, granted.token, granted.mode, granted.notes, granted.value}});
  }
  take_early_blocks(acquire);
}

// The daemon knows nothing of the lock: we believed to have it.
void ClientMachine::lose_converting(RequestId operation) {
  const RequestId acquire = requests_.find<ConvertCommand>(operation)->acquire;
  if (const auto found = grants_.find(acquire); found != grants_.end()) {
    events_.push_back(GrantLost{acquire, found->second.token()});
    lost_.insert(acquire);
    end_conversion(found->second, Failure::lost);
    grants_.erase(found);
  }
  if (requests_.find(operation) != nullptr) requests_.resolve(operation);
}

// The lock ends, and the conversion with it. What was sent is asked until its answer is known: the
// release that ends it follows behind.
void ClientMachine::end_conversion(Grant& grant, Failure failure) {
  const RequestId operation = *grant.conversion;
  auto& command = *requests_.find<ConvertCommand>(operation);
  if (std::exchange(command.reported, false)) {
    events_.push_back(ConversionFailed{operation, failure, {command.acquire}, "", {}});
  }
  if (!requests_.seen(operation)) requests_.resolve(operation);
}

// The lock is held on, as it was but for a demotion.
void ClientMachine::fail_conversion(RequestId operation, Failure failure,
                                    protocol::GrantNotes notes, const std::string& advice) {
  const ConvertCommand command = *requests_.find<ConvertCommand>(operation);
  requests_.resolve(operation);
  DeadlockSteps deadlock;
  if (failure == Failure::deadlock) deadlock = take_deadlock(command.acquire, operation);
  Granted lock{command.acquire};
  if (const auto found = grants_.find(command.acquire); found != grants_.end()) {
    found->second.conversion.reset();
    const bool demoted = (notes & base::grant_note::demoted) != 0;
    if (demoted && !MUTANT("client_demotion_unseen")) found->second.demote();
    lock = {command.acquire, found->second.token(), found->second.mode(), notes, std::nullopt};
  }
  if (command.reported) {
    events_.push_back(ConversionFailed{operation, failure, lock, advice, std::move(deadlock)});
  }
}

void ClientMachine::forget_operation(Instant now, RequestId operation) {
  begin(now);
  if (auto* convert = requests_.find<ConvertCommand>(operation)) {
    convert->reported = false;
    (void)cancel(now, convert->acquire);
  } else if (auto* release = requests_.find<ReleaseCommand>(operation)) {
    release->reported = false;
  } else if (auto* drop = requests_.find<DropOrphansCommand>(operation)) {
    drop->reported = false;
  } else if (auto* join = requests_.find<JoinCommand>(operation)) {
    join->reported = false;
  } else if (auto* leave = requests_.find<LeaveCommand>(operation)) {
    leave->reported = false;
  } else if (auto* arrive = requests_.find<BarrierArriveCommand>(operation)) {
    arrive->caller = Caller::gone;
    if (!MUTANT("barriers_forgotten_not_withdrawn")) (void)withdraw(now, operation);
  } else if (auto* leave_barrier = requests_.find<BarrierLeaveCommand>(operation)) {
    leave_barrier->caller = Caller::gone;
  } else if (auto* barrier = requests_.find<BarrierCommand>(operation)) {
    barrier->reported = false;
  }
}

// ---- Notifications ----

// What is told of another token is of a grant that is over, or one that we are yet to hear of.
void ClientMachine::on(const protocol::Blocks& blocks) {
  const auto found = grants_.find(blocks.acquire);
  const bool held = found != grants_.end();
  if (held && found->second.token() == blocks.token) {
    if (found->second.hears_of(blocks.mode)) {
      events_.push_back(Blocked{blocks.acquire, blocks.token, blocks.mode});
    }
    return;
  }
  const bool awaited =
      held ? found->second.conversion.has_value() : caller_of(blocks.acquire) != nullptr;
  if (awaited && early_blocks_.size() < kWaitingMax) {
    early_blocks_.insert_or_assign(blocks.acquire, blocks);
  }
}

void ClientMachine::take_early_blocks(RequestId acquire) {
  const auto found = early_blocks_.find(acquire);
  if (found == early_blocks_.end()) return;
  const protocol::Blocks blocks = found->second;
  early_blocks_.erase(found);
  on(blocks);
}

}  // namespace liblock
