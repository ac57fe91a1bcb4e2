// The model's commands: lock, convert, adopt, unlock, cancel, time-outs and deaths.
#include "tests/model/lock_model.h"

#include <algorithm>
#include <set>

namespace model {

Outcome Lockspace::finish() {
  Outcome done = outcome_;
  outcome_ = {};
  return done;
}

Outcome Lockspace::refuse(Status status) {
  outcome_.status = status;
  return finish();
}

// 2.4, and the arguments of 1.4.
Status Lockspace::judge(const LockCall& call) const {
  const auto has = [&](Flags flag) { return (call.flags & flag) != 0; };
  const bool legal_mode = call.mode >= Mode::nl && call.mode <= Mode::ex;
  if (!legal_mode) return Status::einval;
  if (has(kQuecvt) && !has(kConvert)) return Status::einval;
  if (has(kConvdeadlk) && !has(kConvert)) return Status::einval;
  if (has(kConvdeadlk) && has(kNoqueue)) return Status::einval;
  if (has(kExpedite) && has(kConvert)) return Status::einval;
  if (has(kExpedite) && has(kQuecvt)) return Status::einval;
  if (has(kExpedite) && has(kNoqueue)) return Status::einval;
  if (has(kExpedite) && call.mode != Mode::nl) return Status::einval;
  if (has(kCancel)) return Status::einval;
  if (has(kValblk) && !call.value) return Status::einval;
  if (has(kConvert) && call.lock == 0) return Status::einval;
  if (!has(kConvert) && (call.name.empty() || call.name.size() > 255)) return Status::einval;
  if (!call.has_completion_function) return Status::einval;
  return Status::ok;
}

Outcome Lockspace::lock(const LockCall& call) {
  const Status status = judge(call);
  if (status != Status::ok) return refuse(status);
  if ((call.flags & kConvert) != 0) return convert(call);
  if ((call.flags & kOrphan) != 0) return adopt(call);
  return request(call);
}

void Lockspace::take_arguments(Lock& lock, const LockCall& call) {
  lock.flags = call.flags;
  lock.value = call.value;
  lock.completion_flags = 0;
  lock.has_blocking_function = call.has_blocking_function;
  lock.deadline = call.now + call.timeout;
}

Outcome Lockspace::request(const LockCall& call) {
  const int id = next_id_++;
  Lock& lock = locks_[id];
  lock.id = id;
  lock.owner = call.owner;
  lock.resource = call.name;
  take_arguments(lock, call);
  lock.requested = call.mode;
  outcome_.lock = id;

  Resource& resource = resources_[call.name];
  if (attempt(resource, lock, When::asked, false) == Attempt::grantable) {
    grant(resource, lock);
    notify_of_waiting(resource, lock);
  } else if ((call.flags & kNoqueue) == 0 && call.deadlocked) {
    complete(lock, Status::edeadlk, 0, {});
    locks_.erase(id);
    forget_if_empty(call.name);
  } else if ((call.flags & kNoqueue) == 0) {
    enqueue(resource.waiting, lock);
    notify_holders(resource.granted, lock);
  } else {
    // 2.2 and 1.5: the id is dead from now on. 2.7: whom it tells.
    complete(lock, Status::eagain, 0, {});
    if ((call.flags & kNoqueuebast) != 0) {
      notify_holders(resource.granted, lock);
      notify_holders(resource.converting, lock);
    }
    locks_.erase(id);
    forget_if_empty(call.name);
  }
  return finish();
}

Outcome Lockspace::convert(const LockCall& call) {
  Lock* found = find(call.owner.session, call.lock);
  if (found == nullptr) return refuse(Status::enoent);
  Lock& lock = *found;
  if (lock.requested != Mode::none) return refuse(Status::ebusy);  // 2.3
  if ((call.flags & kQuecvt) != 0 && !queue_convertible(lock.granted, call.mode)) {
    return refuse(Status::einval);  // 2.3
  }
  take_arguments(lock, call);
  lock.requested = call.mode;
  outcome_.lock = lock.id;

  Resource& resource = resources_.at(lock.resource);
  Attempt result = attempt(resource, lock, When::asked, false);
  const bool demoted = result == Attempt::demoted;
  if (demoted) {
    // 2.8: first those who were queued have the advantage of it, then this one.
    grant_converting(resource, false);
    const bool now = may_be_granted(resource, lock, lock.requested, When::asked, false);
    result = now ? Attempt::grantable : Attempt::blocked;
  }

  if (result == Attempt::grantable) {
    grant(resource, lock);
    scan(resource, false);
  } else if (result == Attempt::deadlocked && (call.flags & kNodlckwt) == 0) {
    lock.requested = Mode::none;  // 2.8: it keeps its mode.
    complete(lock, Status::edeadlk, 0, {});
  } else if ((call.flags & kNoqueue) == 0 && call.deadlocked) {
    lock.requested = Mode::none;
    complete(lock, Status::edeadlk, lock.completion_flags, {});
    if (demoted) scan(resource, false);
  } else if ((call.flags & kNoqueue) == 0) {
    leave_queues(resource, lock.id);
    enqueue(resource.converting, lock);
    notify_holders(resource.granted, lock);
    if (demoted) scan(resource, false);
  } else {
    // 1.5: it stays at its old mode.
    complete(lock, Status::eagain, 0, {});
    if ((call.flags & kNoqueuebast) != 0) {
      notify_holders(resource.granted, lock);
      notify_holders(resource.converting, lock);
    }
    lock.requested = Mode::none;
  }
  return finish();
}

// 2.9: an orphan of this node, this name and exactly this mode; no completion.
Outcome Lockspace::adopt(const LockCall& call) {
  bool in_another_mode = false;
  for (auto& [id, lock] : locks_) {
    if (!lock.orphan || lock.owner.node != call.owner.node || lock.resource != call.name) continue;
    if (call.lock != 0 && id != call.lock) continue;
    if (lock.granted != call.mode) {
      in_another_mode = true;
      continue;
    }
    lock.orphan = false;
    lock.owner = call.owner;
    take_arguments(lock, call);
    lock.notified = Mode::nl;
    outcome_.lock = id;
    scan(resources_.at(lock.resource), false);
    return finish();
  }
  return refuse(in_another_mode ? Status::eagain : Status::enoent);
}

Lock* Lockspace::find(int session, int id) {
  for (auto& [known, lock] : locks_) {
    if (known == id && lock.owner.session == session && !lock.orphan) return &lock;
  }
  return nullptr;
}

// 2.4 and 2.5.
Outcome Lockspace::unlock(const UnlockCall& call) {
  const Flags legal = kCancel | kValblk | kIvvalblk | kForceunlock;
  if ((call.flags & ~legal) != 0) return refuse(Status::einval);
  if ((call.flags & kCancel) != 0 && (call.flags & kForceunlock) != 0) {
    return refuse(Status::einval);
  }
  if (call.lock == 0) return refuse(Status::einval);
  Lock* found = find(call.session, call.lock);
  if (found == nullptr) return refuse(Status::enoent);
  outcome_.lock = call.lock;
  if ((call.flags & kCancel) != 0) {
    cancel(*found, Status::ecancel);
    return finish();
  }
  Lock ended = *found;
  ended.granted = Mode::none;
  complete(ended, Status::eunlock, 0, {});
  drop(call.lock, call.flags, call.value);
  return finish();
}

Outcome Lockspace::deadlock_cancel(int session, int lock) {
  if (lock == 0) return refuse(Status::einval);
  Lock* found = find(session, lock);
  if (found == nullptr) return refuse(Status::enoent);
  outcome_.lock = lock;
  cancel(*found, Status::edeadlk);
  return finish();
}

// 2.5: false if there was nothing to cancel. A request that waited is gone after it.
bool Lockspace::cancel(Lock& lock, Status status) {
  if (lock.requested == Mode::none) return false;
  const std::string name = lock.resource;
  Resource& resource = resources_.at(name);
  leave_queues(resource, lock.id);
  lock.requested = Mode::none;
  complete(lock, status, lock.completion_flags, {});
  if (lock.granted == Mode::none) {
    locks_.erase(lock.id);
  } else {
    enter_granted(resource, lock);
  }
  scan(resource, false);
  forget_if_empty(name);
  return true;
}

// 2.5 and 2.6: out of any queue, with what it does to the value block.
void Lockspace::drop(int id, Flags flags, const std::optional<Value>& value) {
  const Lock lock = locks_.at(id);
  Resource& resource = resources_.at(lock.resource);
  if (lock.granted >= Mode::pw) {
    if ((flags & kIvvalblk) != 0) {
      resource.value_invalid = true;
    } else if ((flags & kValblk) != 0 && value) {
      resource.value = *value;
      resource.value_invalid = false;
    }
  }
  leave_queues(resource, id);
  locks_.erase(id);
  scan(resource, false);
  forget_if_empty(lock.resource);
}

void Lockspace::forget_if_empty(const std::string& name) {
  const Resource& resource = resources_.at(name);
  if (!resource.granted.empty() || !resource.converting.empty() || !resource.waiting.empty())
    return;
  resources_.erase(name);
}

// 2.5
Outcome Lockspace::expire(std::int64_t now) {
  while (true) {
    Lock* next = nullptr;
    for (auto& [id, lock] : locks_) {
      const bool blocked = lock.requested != Mode::none;
      if (!blocked || (lock.flags & kTimeout) == 0 || lock.deadline > now) continue;
      if (next == nullptr || lock.deadline < next->deadline) next = &lock;
    }
    if (next == nullptr) return finish();
    cancel(*next, Status::etimedout);
  }
}

std::vector<int> Lockspace::locks_of_session(int session) const {
  std::vector<int> found;
  for (const auto& [id, lock] : locks_) {
    if (lock.owner.session == session && !lock.orphan) found.push_back(id);
  }
  return found;
}

// 2.9: persistent ones become orphans, the others are forced out.
void Lockspace::end_lock_of_dead(int id) {
  Lock& lock = locks_.at(id);
  if ((lock.flags & kPersistent) == 0) {
    drop(id, kIvvalblk, {});
    return;
  }
  lock.orphan = true;
  cancel(lock, Status::ecancel);
}

// Nobody is there to hear what one of the session's locks was told while another was dropped.
void Lockspace::silence(int session) {
  std::erase_if(outcome_.callbacks, [&](const Callback& it) { return it.session == session; });
}

Outcome Lockspace::end_session(int session) {
  for (int id : locks_of_session(session)) end_lock_of_dead(id);
  silence(session);
  return finish();
}

Outcome Lockspace::end_process(int node, int process) {
  std::set<int> sessions;
  for (const auto& [id, lock] : locks_) {
    if (lock.orphan || lock.owner.node != node || lock.owner.process != process) continue;
    sessions.insert(lock.owner.session);
  }
  for (int session : sessions) {
    for (int id : locks_of_session(session)) end_lock_of_dead(id);
  }
  for (int session : sessions) silence(session);
  return finish();
}

// 2.9
Outcome Lockspace::purge(const Owner& caller, int node, int process) {
  const bool own_node = node == 0 || node == caller.node;
  if (own_node && process == caller.process) {
    for (int id : locks_of_session(caller.session)) drop(id, kIvvalblk, {});
    silence(caller.session);
    return finish();
  }
  std::vector<int> orphans;
  for (const auto& [id, lock] : locks_) {
    if (!lock.orphan || lock.owner.node != (own_node ? caller.node : node)) continue;
    if (process != 0 && lock.owner.process != process) continue;
    orphans.push_back(id);
  }
  for (int id : orphans) drop(id, kIvvalblk, {});
  return finish();
}

// 2.10
Outcome Lockspace::end_node(int node) {
  std::vector<int> lost;
  for (const auto& [id, lock] : locks_) {
    if (lock.owner.node == node) lost.push_back(id);
  }
  std::set<std::string> touched;
  for (int id : lost) {
    const Lock& lock = locks_.at(id);
    Resource& resource = resources_.at(lock.resource);
    if (lock.granted >= Mode::pw && (lock.flags & kValblk) != 0) resource.value_invalid = true;
    leave_queues(resource, id);
    touched.insert(lock.resource);
    locks_.erase(id);
  }
  for (const std::string& name : touched) {
    scan(resources_.at(name), true);
    forget_if_empty(name);
  }
  return finish();
}

Outcome Lockspace::end_lock(int id, Death how) {
  const Lock& lock = locks_.at(id);
  const bool writer = lock.granted >= Mode::pw;
  if (how == Death::process) {
    end_lock_of_dead(id);
  } else {
    const bool invalid = how == Death::purge || (writer && (lock.flags & kValblk) != 0);
    drop(id, invalid ? kIvvalblk : 0, {});
  }
  return finish();
}

}  // namespace model
