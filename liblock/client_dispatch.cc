// The part of liblock/client.h that runs callbacks, in the order that liblock/due.h says. Nothing
// is held meanwhile: a callback may call whatever it likes.
#include <utility>

#include "liblock/barrier_outcome.h"
#include "liblock/client.h"

namespace liblock {
namespace {

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

std::vector<lock_lockspace_member> members_of(const std::vector<protocol::LockspaceMember>& from) {
  std::vector<lock_lockspace_member> members;
  for (const protocol::LockspaceMember& member : from) {
    members.push_back({base::value(member.node), member.slot});
  }
  return members;
}

}  // namespace

int Client::dispatch() {
  Due due;
  Listeners listeners;
  {
    Lock lock(mutex_);
    work();
    due = std::exchange(due_, {});
    listeners = listeners_;
    link_.notify(false);
  }
  for (const std::optional<lock_grant>& lost : due.losses) {
    if (listeners.lost == nullptr) break;
    listeners.lost(handle_, lost ? &*lost : nullptr, listeners.lost_arg);
  }
  if (due.jeopardy && listeners.jeopardy != nullptr) {
    listeners.jeopardy(handle_, *due.jeopardy ? 1 : 0, listeners.jeopardy_arg);
  }
  tell_lockspaces(due, listeners);

  // What a completion has granted can only be in the way afterwards.
  const std::set<std::uint64_t> later = due.locks_with_completions();
  for (const auto& [lock, notices] : due.notices) {
    if (later.count(lock) == 0) tell_blocked(lock, notices);
  }
  for (const Completion& completion : due.completions) {
    tell(completion);
    for (const lock_outcome& outcome : completion.outcomes) {
      const auto notices = due.notices.find(outcome.grant.id);
      if (notices != due.notices.end()) tell_blocked(notices->first, notices->second);
    }
  }
  for (const BarrierCompletion& completion : due.barriers) tell(completion, listeners);
  Lock lock(mutex_);
  return disabled_;
}

void Client::tell_lockspaces(const Due& due, const Listeners& listeners) {
  if (listeners.lockspace == nullptr) return;
  for (const auto& [name, lockspace] : due.lockspaces) {
    const auto members = members_of(lockspace.state.members);
    const auto failed = members_of(lockspace.state.failed);
    lock_lockspace_info info{};
    info.size = sizeof info;
    info.lockspace = name.c_str();
    info.error = lockspace.error;
    info.generation = lockspace.state.generation;
    info.recovered = lockspace.state.recovered ? 1 : 0;
    info.members = members.data();
    info.members_len = members.size();
    info.failed = failed.data();
    info.failed_len = failed.size();
    listeners.lockspace(handle_, &info, listeners.lockspace_arg);
  }
}

// Each is looked at anew: the callback before it may have given the lock back. It is in nobody's
// way any more if it has been converted, which shows by its token, or lost its mode.
void Client::tell_blocked(std::uint64_t lock, const Due::Notices& notices) {
  for (const protocol::Mode mode : notices.modes) {
    Notify notify;
    {
      Lock guard(mutex_);
      const Grant* grant = machine_.grant(RequestId{lock});
      const auto wish = notify_.find(RequestId{lock});
      if (grant == nullptr || grant->token() != notices.token ||
          grant->mode() == protocol::Mode::nl || wish == notify_.end()) {
        return;
      }
      notify = wish->second;
    }
    const lock_grant told{lock, base::value(notices.token)};
    notify.callback(handle_, &told, static_cast<lock_mode>(mode), notify.arg);
  }
}

void Client::tell(const Completion& completion) {
  const Callback& callback = completion.callback;
  const std::vector<lock_outcome>& outcomes = completion.outcomes;
  const lock_outcome& first = outcomes.front();
  std::visit(Overloaded{[](std::monostate) {},
                        [&](lock_done_fn* function) {
                          const bool granted = first.error == 0 && first.grant.token != 0;
                          function(handle_, first.error, granted ? &first.grant : nullptr,
                                   callback.arg);
                        },
                        [&](lock_outcome_fn* function) { function(handle_, &first, callback.arg); },
                        [&](lock_outcomes_fn* function) {
                          function(handle_, outcomes.data(), outcomes.size(), callback.arg);
                        }},
             callback.function);
}

void Client::tell(const BarrierCompletion& completion, const Listeners& listeners) {
  std::optional<COutcome> outcome;
  if (completion.end) outcome.emplace(*completion.end);
  if (completion.callback != nullptr) {
    completion.callback(handle_, completion.arrival, completion.error,
                        outcome ? &*outcome : nullptr, completion.arg);
  } else if (listeners.broken != nullptr) {
    listeners.broken(handle_, &*outcome, listeners.broken_arg);
  }
}

void Client::on_lost(lock_lost_fn* callback, void* arg) {
  Lock lock(mutex_);
  listeners_.lost = callback;
  listeners_.lost_arg = arg;
}

void Client::on_jeopardy(lock_jeopardy_fn* callback, void* arg) {
  Lock lock(mutex_);
  listeners_.jeopardy = callback;
  listeners_.jeopardy_arg = arg;
}

void Client::on_lockspace(lock_lockspace_fn* callback, void* arg) {
  Lock lock(mutex_);
  listeners_.lockspace = callback;
  listeners_.lockspace_arg = arg;
}

}  // namespace liblock
