// The part of liblock/compat/dlm_handle.h that asks for locks, and hears what became of them. Where
// liblock tells something, the argument is the lock's number, and the handle is the one that the
// thread serves.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "liblock/compat/dlm_handle.h"
#include "liblock/compat/dlm_status.h"

namespace compat {
namespace {

thread_local Handle* served = nullptr;

void* as_argument(std::uint32_t lkid) {
  return reinterpret_cast<void*>(static_cast<std::uintptr_t>(lkid));
}

std::uint32_t as_lkid(void* arg) {
  return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(arg));
}

bool goes_on_when_lost() {
  const char* wanted = std::getenv("LIBDLM_ON_LOST");
  return wanted != nullptr && std::strcmp(wanted, "ignore") == 0;
}

}  // namespace

void Handle::serve_here() {
  served = this;
}

void Handle::on_requested(lock_client*, const lock_outcome* outcome, void* arg) {
  served->requested(as_lkid(arg), *outcome);
}
void Handle::on_converted(lock_client*, const lock_outcome* outcome, void* arg) {
  served->converted(as_lkid(arg), *outcome);
}
void Handle::on_released(lock_client*, int, const lock_grant*, void* arg) {
  served->released(as_lkid(arg));
}
void Handle::on_notified(lock_client*, const lock_grant* grant, lock_mode, void* arg) {
  served->notified(as_lkid(arg), *grant);
}
void Handle::on_lost(lock_client*, const lock_grant* grant, void* arg) {
  if (grant != nullptr) static_cast<Handle*>(arg)->lost(*grant);
}

Handle::Lock* Handle::find(std::uint32_t lkid) {
  const auto found = locks_.find(lkid);
  return found == locks_.end() ? nullptr : &found->second;
}

// From 1, and positive as an int; none that is in use.
std::uint32_t Handle::next_lkid() {
  constexpr std::uint32_t kLast = 0x7fffffff;
  do {
    last_lkid_ = last_lkid_ == kLast ? 1 : last_lkid_ + 1;
  } while (locks_.count(last_lkid_) != 0);
  return last_lkid_;
}

// ---- Requests ----

int Handle::lock(const LockCall& call, Waiter* waiter) {
  const Guard guard(mutex_);
  if (closed_) return ENOTCONN;
  if ((call.flags & LKF_CONVERT) != 0) return convert(call, waiter);
  const std::uint32_t lkid = next_lkid();
  Lock& lock = locks_[lkid];
  if (const int error = request(lkid, lock, call)) {
    locks_.erase(lkid);
    return error;
  }
  call.lksb->sb_status = EINPROG;
  call.lksb->sb_lkid = lkid;
  if (waiter != nullptr) lock.waiters.push_back(waiter);
  return 0;
}

int Handle::adopt(const LockCall& call) {
  Waiter waiter;
  Guard guard(mutex_);
  if (closed_) return ENOTCONN;
  const std::uint32_t lkid = next_lkid();
  Lock& lock = locks_[lkid];
  if (const int error = request(lkid, lock, call)) {
    locks_.erase(lkid);
    return error;
  }
  lock.silent = true;
  lock.waiters.push_back(&waiter);
  changed_.wait(guard, [&] { return waiter.done || closed_; });
  if (!waiter.done) return ENOTCONN;
  if (waiter.status != 0) return waiter.status;
  call.lksb->sb_lkid = lkid;
  call.lksb->sb_status = 0;
  return 0;
}

int Handle::request(std::uint32_t lkid, Lock& lock, const LockCall& call) {
  const auto flags = request_flags(call.mode, call.flags);
  if (!flags) return EINVAL;
  lock.name.assign(static_cast<const char*>(call.name), call.name_len);
  lock.flags = *flags;
  lock.lksb = call.lksb;
  lock.ast = call.ast;
  lock.astarg = call.astarg;
  lock.bast = call.bast;
  lock_request wanted{};
  wanted.size = sizeof wanted;
  wanted.lockspace = name_.c_str();
  wanted.name = lock.name.data();
  wanted.name_len = lock.name.size();
  wanted.mode = static_cast<lock_mode>(call.mode);
  wanted.flags = *flags;
  wanted.owner = call.transaction == 0 ? LOCK_OWNER_NONE : call.transaction;
  wanted.patience_ms = call.patience_ms;
  wanted.notify = lock.bast == nullptr ? nullptr : &Handle::on_notified;
  wanted.notify_arg = as_argument(lkid);
  const int error = lock_acquire_with_async(client_, &wanted, &Handle::on_requested,
                                            as_argument(lkid), &lock.grant.id);
  if (error != 0) return errno_of(error);
  lkids_[lock.grant.id] = lkid;
  ++lock.operations;
  asked();
  return 0;
}

void Handle::requested(std::uint32_t lkid, const lock_outcome& outcome) {
  const Guard guard(mutex_);
  Lock* lock = find(lkid);
  if (lock == nullptr || lock->unlocking) return;  // The end of the lock is told.
  const bool restored = lock->state == State::restoring;
  if (outcome.error == 0) {
    lock->grant = outcome.grant;
    lock->mode = static_cast<std::uint32_t>(outcome.mode);
    lock->state = State::granted;
    if (!restored) return complete(lkid, *lock, 0, &outcome);
    if (lock->conversion && ask_conversion(lkid, *lock) != 0) {
      complete(lkid, *lock, ECANCEL, nullptr);
    }
    return;
  }
  if (!restored || lock->conversion) {
    complete(lkid, *lock, lock->deadlock ? EDEADLK : status_of(outcome.error), &outcome);
  }
  end(lkid);
}

// ---- Conversions ----

int Handle::convert(const LockCall& call, Waiter* waiter) {
  if (call.lksb->sb_lkid == 0) return EINVAL;
  Lock* lock = find(call.lksb->sb_lkid);
  if (lock == nullptr) return ENOENT;
  const bool restoring = lock->state == State::restoring && !lock->conversion;
  if (lock->unlocking || (lock->state != State::granted && !restoring)) return EBUSY;
  const auto flags = conversion_flags(lock->mode, call.mode, call.flags);
  if (!flags) return EINVAL;
  Conversion conversion{call.mode, *flags, call.patience_ms, std::nullopt};
  if ((*flags & LKF_VALBLK) != 0 && call.lksb->sb_lvbptr != nullptr) {
    conversion.value.emplace();
    std::memcpy(conversion.value->data(), call.lksb->sb_lvbptr, conversion.value->size());
  }
  Lock old = *lock;
  lock->conversion = conversion;
  lock->lksb = call.lksb;
  lock->ast = call.ast;
  lock->astarg = call.astarg;
  lock->bast = call.bast;
  ++lock->operations;
  if (const int error = restoring ? 0 : ask_conversion(call.lksb->sb_lkid, *lock)) {
    *lock = std::move(old);
    return error;
  }
  call.lksb->sb_status = EINPROG;
  if (waiter != nullptr) lock->waiters.push_back(waiter);
  return 0;
}

int Handle::ask_conversion(std::uint32_t lkid, Lock& lock) {
  lock_conversion wanted{};
  wanted.size = sizeof wanted;
  wanted.mode = static_cast<lock_mode>(lock.conversion->mode);
  wanted.flags = lock.conversion->flags;
  wanted.patience_ms = lock.conversion->patience_ms;
  wanted.value = lock.conversion->value ? lock.conversion->value->data() : nullptr;
  wanted.notify = lock.bast == nullptr ? nullptr : &Handle::on_notified;
  wanted.notify_arg = as_argument(lkid);
  const int error =
      lock_convert_async(client_, &lock.grant, &wanted, &Handle::on_converted, as_argument(lkid));
  if (error != 0) return errno_of(error);
  lock.flags = lock.conversion->flags;
  lock.state = State::converting;
  asked();
  return 0;
}

void Handle::converted(std::uint32_t lkid, const lock_outcome& outcome) {
  const Guard guard(mutex_);
  Lock* lock = find(lkid);
  if (lock == nullptr || lock->unlocking) return;
  if (lock->state == State::restoring) return;  // It was lost meanwhile, and is asked for again.
  lock->state = State::granted;
  lock->mode = static_cast<std::uint32_t>(outcome.mode);
  if (outcome.error == 0) lock->grant = outcome.grant;
  complete(lkid, *lock, lock->deadlock ? EDEADLK : status_of(outcome.error), &outcome);
}

// ---- The end of locks ----

int Handle::unlock(std::uint32_t lkid, std::uint32_t flags, dlm_lksb* lksb, void* astarg,
                   Waiter* waiter) {
  const Guard guard(mutex_);
  if (closed_) return ENOTCONN;
  if (lkid == 0 || !legal_unlock(flags)) return EINVAL;
  Lock* lock = find(lkid);
  if (lock == nullptr) return ENOENT;
  const bool force = (flags & LKF_FORCEUNLOCK) != 0;
  if (lock->unlocking) return force ? EINVAL : EBUSY;
  if ((flags & LKF_CANCEL) != 0) {
    if (lock->cancelling) return EINVAL;
    if (lksb != nullptr) lock->lksb = lksb;
    if (astarg != nullptr) lock->astarg = astarg;
    return cancel(*lock, waiter);
  }
  if (lock->conversion && !force) return EBUSY;
  dlm_lksb* const told = lksb != nullptr ? lksb : lock->lksb;
  const bool writes = (flags & LKF_VALBLK) != 0;
  if (writes && (told == nullptr || told->sb_lvbptr == nullptr)) return EINVAL;
  // One that waits is ended in the same way.
  unsigned wanted = flags & (LKF_VALBLK | LKF_IVVALBLK | LKF_FORCEUNLOCK);
  if (lock->state != State::granted) wanted |= LKF_FORCEUNLOCK;
  const int error =
      lock_release_with_async(client_, &lock->grant, wanted, writes ? told->sb_lvbptr : nullptr,
                              &Handle::on_released, as_argument(lkid));
  if (error == LOCK_ERROR_LOST || error == LOCK_ERROR_NOT_HELD) {
    // It is gone, which is what was wanted.
    lock->lksb = told;
    lock->unlocking = true;
    if (waiter != nullptr) lock->waiters.push_back(waiter);
    complete(lkid, *lock, EUNLOCK, nullptr);
    end(lkid);
    return 0;
  }
  if (error != 0) return errno_of(error);
  lock->unlocking = true;
  lock->lksb = told;
  if (astarg != nullptr) lock->astarg = astarg;
  if (told != nullptr) told->sb_status = EINPROG;
  if (waiter != nullptr) {
    lock->ast = nullptr;
    lock->waiters.push_back(waiter);
  }
  ++lock->operations;
  asked();
  return 0;
}

// Its completion follows, unless there is nothing to cancel.
int Handle::cancel(Lock& lock, Waiter* waiter) {
  const bool waits = lock.state == State::waiting || lock.state == State::converting;
  if (!waits || lock_cancel(client_, lock.grant.id) != 0) {
    if (waiter != nullptr) waiter->done = true;
    return 0;
  }
  lock.cancelling = true;
  if (waiter != nullptr) lock.waiters.push_back(waiter);
  asked();
  return 0;
}

int Handle::cancel_as_deadlock(std::uint32_t lkid) {
  const Guard guard(mutex_);
  if (closed_) return ENOTCONN;
  if (lkid == 0) return EINVAL;
  Lock* lock = find(lkid);
  if (lock == nullptr) return ENOENT;
  if (lock->unlocking) return EBUSY;
  if (lock->cancelling) return EINVAL;
  cancel(*lock, nullptr);
  lock->deadlock = lock->cancelling;
  return 0;
}

void Handle::released(std::uint32_t lkid) {
  const Guard guard(mutex_);
  Lock* lock = find(lkid);
  if (lock == nullptr) return;
  complete(lkid, *lock, EUNLOCK, nullptr);
  end(lkid);
}

void Handle::end(std::uint32_t lkid) {
  const auto found = locks_.find(lkid);
  lkids_.erase(found->second.grant.id);
  locks_.erase(found);
}

// ---- What is told of them ----

void Handle::complete(std::uint32_t lkid, Lock& lock, int status, const lock_outcome* outcome) {
  if (closed_) return;  // Nobody waits any more.
  Due due;
  due.lkid = lkid;
  due.status = status;
  due.notes = std::exchange(lock.notes, {});
  if (outcome != nullptr) {
    due.notes = static_cast<unsigned char>(due.notes | outcome->notes);
    if (status == 0 && outcome->has_value) {
      due.value.emplace();
      std::memcpy(due.value->data(), outcome->value, due.value->size());
    }
  }
  due.waiters.swap(lock.waiters);
  lock.conversion.reset();
  lock.cancelling = false;
  lock.deadlock = false;
  if (std::exchange(lock.silent, false)) {
    for (Waiter* waiter : due.waiters) *waiter = {true, status};
    lock.lksb = nullptr;
    lock.ast = nullptr;
    lock.bast = nullptr;
    return changed_.notify_all();
  }
  due.lksb = lock.lksb;
  due.function = lock.ast;
  due.arg = lock.astarg;
  tell(std::move(due));
}

void Handle::notified(std::uint32_t lkid, const lock_grant& grant) {
  const Guard guard(mutex_);
  const Lock* lock = find(lkid);
  if (lock != nullptr && lock->grant.id == grant.id) tell_blocked(lkid, *lock);
}

void Handle::tell_blocked(std::uint32_t lkid, const Lock& lock) {
  if (lock.bast == nullptr || lock.unlocking) return;
  Due due;
  due.lkid = lkid;
  due.blocks = true;
  due.operations = lock.operations;
  due.function = lock.bast;
  due.arg = lock.astarg;
  tell(std::move(due));
}

// ---- Losses ----

void Handle::lost(const lock_grant& grant) {
  const Guard guard(mutex_);
  const auto found = lkids_.find(grant.id);
  if (found == lkids_.end()) return;
  const std::uint32_t lkid = found->second;
  Lock& lock = locks_.find(lkid)->second;
  if (lock.unlocking) return;
  if (lock.mode != LKM_NLMODE) {
    if (!goes_on_when_lost()) {
      std::fprintf(stderr,
                   "libdlm: a lock of lockspace %s was lost, since lockd could not keep it, and "
                   "others may have it; this process ends (LIBDLM_ON_LOST=ignore goes on)\n",
                   name_.c_str());
      std::abort();
    }
    lock.notes |= DLM_SBF_DEMOTED;
    tell_blocked(lkid, lock);
  }
  // Nobody may have kept the resource, and its value, meanwhile.
  lock.notes |= DLM_SBF_VALNOTVALID;
  restore(lkid, lock);
}

void Handle::restore(std::uint32_t lkid, Lock& lock) {
  lkids_.erase(lock.grant.id);
  lock.mode = LKM_NLMODE;
  lock.state = State::restoring;
  lock.grant = {};
  lock_request wanted{};
  wanted.size = sizeof wanted;
  wanted.lockspace = name_.c_str();
  wanted.name = lock.name.data();
  wanted.name_len = lock.name.size();
  wanted.mode = LOCK_MODE_NL;
  wanted.flags = LOCK_FLAG_EXPEDITE | (lock.flags & (LKF_VALBLK | LKF_PERSISTENT));
  wanted.owner = LOCK_OWNER_NONE;
  const int error = lock_acquire_with_async(client_, &wanted, &Handle::on_requested,
                                            as_argument(lkid), &lock.grant.id);
  if (error == 0) {
    lkids_[lock.grant.id] = lkid;
    return;
  }
  if (lock.conversion) complete(lkid, lock, errno_of(error), nullptr);
  locks_.erase(lkid);
}

}  // namespace compat
