// The part of liblock/client_machine.h that asks for locks, is granted them, and gives them back.
#include <algorithm>
#include <utility>

#include "base/mutant.h"
#include "liblock/client_machine.h"
#include "liblock/failure.h"

namespace liblock {
namespace {

using protocol::Answer;

bool within(std::string_view name, std::size_t most) {
  return !name.empty() && name.size() <= most;
}

bool named(std::string_view lockspace, std::string_view resource) {
  return within(lockspace, protocol::kLockspaceBytesMax) &&
         within(resource, protocol::kResourceBytesMax);
}

// The flags of a request that is granted on several resources at once: nothing about queues.
constexpr LockFlags kForAll = base::lock_flag::no_queue | base::lock_flag::value_block |
                              base::lock_flag::persistent | base::lock_flag::notify |
                              base::lock_flag::no_deadlock_wait |
                              base::lock_flag::no_deadlock_block;

}  // namespace

// ---- Calls ----

base::Result<RequestId, CallError> ClientMachine::acquire(Instant now, const LockRequest& request) {
  begin(now);
  if (disabled_ || closing_) return base::error(CallError::disabled);
  if (config_.query_only || request.mode > protocol::Mode::ex ||
      !named(request.lockspace, request.resource) ||
      !base::legal_request(request.mode, request.flags)) {
    return base::error(CallError::invalid);
  }
  if (full(1)) return base::error(CallError::limit);
  AcquireCommand command{std::string(request.lockspace), std::string(request.resource)};
  command.mode = request.mode;
  command.flags = request.flags;
  command.owner = request.owner;
  command.patience = request.patience;
  const RequestId id = requests_.add(std::move(command));
  flush();
  return id;
}

base::Result<RequestId, CallError> ClientMachine::acquire_all(Instant now,
                                                              const AllRequest& request) {
  begin(now);
  if (disabled_ || closing_) return base::error(CallError::disabled);
  const bool parts = !request.parts.empty() && request.parts.size() <= protocol::kPartsMax;
  if (config_.query_only || !parts || (request.flags & ~kForAll) != 0) {
    return base::error(CallError::invalid);
  }
  for (const protocol::AcquirePart& part : request.parts) {
    const auto same = [&part](const protocol::AcquirePart& other) {
      return part.resource == other.resource && part.lockspace == other.lockspace;
    };
    if (part.mode > protocol::Mode::ex || !named(part.lockspace, part.resource) ||
        std::count_if(request.parts.begin(), request.parts.end(), same) > 1) {
      return base::error(CallError::invalid);
    }
  }
  if (full(request.parts.size())) return base::error(CallError::limit);
  AcquireAllCommand command{request.parts, request.flags, request.owner, request.patience};
  command.outcomes.resize(request.parts.size());
  const RequestId id = requests_.add(std::move(command));
  flush();
  return id;
}

bool ClientMachine::full(std::size_t more) const {
  const std::size_t waiting = requests_.acquires() + requests_.conversions();
  return waiting + more > kWaitingMax || grants_.size() + requests_.acquires() + more > kLocksMax;
}

base::Result<RequestId, CallError> ClientMachine::release(Instant now, RequestId acquire,
                                                          LockFlags flags,
                                                          const std::optional<ValueBlock>& value) {
  begin(now);
  if (!base::legal_release(flags)) return base::error(CallError::invalid);
  if (lost_.erase(acquire) != 0) return base::error(CallError::lost);
  const bool force = (flags & base::lock_flag::force) != 0;
  ReleaseCommand release{acquire, Token{}, flags, value, false, true};
  if (const auto grant = grants_.find(acquire); grant != grants_.end()) {
    if (grant->second.conversion && !force) return base::error(CallError::in_progress);
    if (grant->second.conversion) end_conversion(grant->second, Failure::cancelled);
    release.token = grant->second.token();
    grants_.erase(grant);
  } else {
    Caller* caller = caller_of(acquire);
    if (!force || caller == nullptr || *caller != Caller::waits) {
      return base::error(CallError::not_held);
    }
    *caller = Caller::released;
    events_.push_back(Failed{requests_.first_id(acquire), Failure::cancelled, "", {}});
    if (!requests_.seen(acquire)) requests_.resolve(acquire);
    release.waited = true;
  }
  const RequestId id = requests_.add(std::move(release));
  flush();
  return id;
}

base::Result<void, CallError> ClientMachine::cancel(Instant now, RequestId acquire) {
  begin(now);
  std::optional<RequestId> target;
  if (caller_of(acquire) != nullptr) {
    target = requests_.first_id(acquire);
  } else if (const auto grant = grants_.find(acquire); grant != grants_.end()) {
    target = grant->second.conversion;
  }
  if (!target) return base::error(CallError::not_held);
  if (requests_.cancelling(*target)) return {};
  if (requests_.seen(*target)) {
    requests_.add(CancelCommand{caller_of(acquire) != nullptr ? *target : acquire, *target});
  } else if (caller_of(*target) != nullptr) {
    fail(*target, Failure::cancelled, "");
  } else {
    fail_conversion(*target, Failure::cancelled, 0, "");
  }
  flush();
  return {};
}

void ClientMachine::forget(Instant now, RequestId acquire) {
  if (Caller* caller = caller_of(acquire)) {
    if (*caller == Caller::waits) *caller = Caller::gone;
    (void)cancel(now, acquire);
    return;
  }
  if (const Grant* held = grant(acquire)) {
    (void)release(now, acquire, held->conversion ? base::lock_flag::force : 0);
  }
  for (RequestId id : requests_.ids()) {
    auto* release = requests_.find<ReleaseCommand>(id);
    if (release != nullptr && release->acquire == acquire) release->reported = false;
  }
}

Duration ClientMachine::valid_for(Instant now, RequestId acquire) const {
  return grants_.count(acquire) != 0 ? deadline_.left(now) : Duration::zero();
}

const Grant* ClientMachine::grant(RequestId acquire) const {
  const auto found = grants_.find(acquire);
  return found == grants_.end() ? nullptr : &found->second;
}

// ---- Answers ----

void ClientMachine::on(const protocol::Reply& reply) {
  if (!take_note(reply.note)) return;
  Command* command = requests_.find(reply.request);
  if (command == nullptr) return;  // Answered twice, after a retry.
  std::visit([&](auto& asked) { on_outcome(reply, asked); }, *command);
}

void ClientMachine::on_outcome(const protocol::Reply& reply, AcquireCommand& command) {
  const RequestId id = reply.request;
  if (reply.answer == Answer::queued) return requests_.on_answered(id);
  if (reply.answer == Answer::granted) {
    const Caller caller = command.caller;
    requests_.resolve(id);
    // Nobody is told of a grant unless its lease is live as we speak: the word may have waited for
    // us longer than the lease was [reliability 4.4, notify rule].
    const bool live = deadline_.live(now_) || MUTANT("client_grant_without_recheck");
    if (live && caller == Caller::waits) {
      events_.push_back(take(reply));
      return take_early_blocks(id);
    }
    if (caller != Caller::released) give_back(reply);
    if (caller == Caller::waits) events_.push_back(Failed{id, Failure::lost, "", {}});
    return;
  }
  // Not in the table any more: it was ended by us, or by what else can end a wait.
  const bool ended = reply.answer == Answer::stale;
  if (ended && requests_.cancelling(id)) return fail(id, Failure::cancelled, "");
  if (ended && command.patience != 0) return fail(id, Failure::timed_out, "");
  fail(id, failure_of(reply.answer), reply.advice);
}

// All parts have the same outcome, but each is told of its own; after a retry, what is not in the
// table any more may have ended in different ways.
void ClientMachine::on_outcome(const protocol::Reply& reply, AcquireAllCommand& command) {
  const RequestId first = requests_.first_id(reply.request);
  requests_.on_answered(reply.request);
  if (reply.answer == Answer::queued) return;
  if (reply.answer != Answer::granted && reply.answer != Answer::stale) {
    for (const auto& outcome : command.outcomes) {
      if (outcome && outcome->answer == Answer::granted) give_back(*outcome);
    }
    return fail(first, failure_of(reply.answer), reply.advice);
  }
  std::optional<protocol::Reply>& own =
      command.outcomes[base::value(reply.request) - base::value(first)];
  if (!own) own = reply;
  const auto known = [](const auto& outcome) { return outcome.has_value(); };
  if (std::all_of(command.outcomes.begin(), command.outcomes.end(), known)) finish_all(first);
}

void ClientMachine::finish_all(RequestId first) {
  const AcquireAllCommand command = *requests_.find<AcquireAllCommand>(first);
  const bool cancelled = requests_.cancelling(first);
  requests_.resolve(first);
  const auto granted = [](const auto& outcome) { return outcome->answer == Answer::granted; };
  const bool all = std::all_of(command.outcomes.begin(), command.outcomes.end(), granted);
  if (all && deadline_.live(now_) && command.caller == Caller::waits) {
    GrantedAll told;
    for (const auto& outcome : command.outcomes) told.parts.push_back(take(*outcome));
    events_.push_back(std::move(told));
    for (const auto& outcome : command.outcomes) take_early_blocks(outcome->request);
    return;
  }
  for (const auto& outcome : command.outcomes) {
    if (granted(outcome)) give_back(*outcome);
  }
  if (command.caller != Caller::waits) return;
  const Failure failure = !all && cancelled               ? Failure::cancelled
                          : !all && command.patience != 0 ? Failure::timed_out
                                                          : Failure::lost;
  events_.push_back(Failed{first, failure, "", {}});
}

void ClientMachine::on_outcome(const protocol::Reply& reply, ReleaseCommand& command) {
  const ReleaseCommand release = command;
  requests_.resolve(reply.request);
  if (release.waited) end_wait(release);
  const bool gone = reply.answer == Answer::not_held || reply.answer == Answer::stale;
  const bool in_time = reply.answer == Answer::released || (release.waited && gone);
  if (release.reported) {
    events_.push_back(Released{release.acquire, in_time, reply.request});
  }
}

// What was released while it waited has no answer of its own to come. If several were asked for at
// once, and granted before, the release has ended one of them.
void ClientMachine::end_wait(const ReleaseCommand& release) {
  const Caller* caller = caller_of(release.acquire);
  if (caller == nullptr || *caller != Caller::released) return;
  if (const auto* all = requests_.find<AcquireAllCommand>(release.acquire)) {
    for (const auto& outcome : all->outcomes) {
      if (outcome && outcome->answer == Answer::granted) give_back(*outcome);
    }
  }
  requests_.resolve(release.acquire);
}

void ClientMachine::on_outcome(const protocol::Reply& reply, CancelCommand& command) {
  const RequestId target = command.target;
  requests_.resolve(reply.request);
  if (reply.answer != Answer::cancelled) return;
  if (caller_of(target) != nullptr) {
    fail(target, Failure::cancelled, "");
  } else if (requests_.find<ConvertCommand>(target) != nullptr) {
    fail_conversion(target, Failure::cancelled, reply.notes, "");
  }
}

// ---- Grants ----

Granted ClientMachine::take(const protocol::Reply& granted) {
  grants_.emplace(granted.request, Grant(granted.token, granted.mode));
  return {granted.request, granted.token, granted.mode, granted.notes, granted.value};
}

void ClientMachine::give_back(const protocol::Reply& granted) {
  requests_.add(ReleaseCommand{granted.request, granted.token, 0, std::nullopt, false, false});
}

// Of a request for locks that has no final answer; null if it is none.
Caller* ClientMachine::caller_of(RequestId waiting) {
  if (auto* acquire = requests_.find<AcquireCommand>(waiting)) return &acquire->caller;
  if (auto* all = requests_.find<AcquireAllCommand>(waiting)) return &all->caller;
  return nullptr;
}

void ClientMachine::fail(RequestId waiting, Failure failure, const std::string& advice) {
  const Caller* caller = caller_of(waiting);
  if (caller == nullptr) return;
  const RequestId first = requests_.first_id(waiting);
  DeadlockSteps deadlock;
  if (failure == Failure::deadlock) deadlock = take_deadlock(first, first);
  if (*caller == Caller::waits) {
    events_.push_back(Failed{first, failure, advice, std::move(deadlock)});
  }
  requests_.resolve(first);
}

void ClientMachine::on(const protocol::Deadlock& deadlock) {
  deadlock_ = deadlock;
}

DeadlockSteps ClientMachine::take_deadlock(RequestId lock, RequestId operation) {
  if (!deadlock_ || (deadlock_->request != lock && deadlock_->request != operation)) return {};
  return std::exchange(deadlock_, std::nullopt)->steps;
}

}  // namespace liblock
