// libdlm over liblock: programs that were made for it run on lockd as they are. Compiled twice:
// libdlm_lt, for programs without threads, has no receiving thread, and its blocking calls return
// how the lock operation ended. What was decided here:
//
// Sessions. Each handle is a session of its own, kept alive by a thread of its own in both
// libraries: these programs do not know that somebody must talk to lockd, and may do other things
// for minutes. No function of the program ever runs in that thread, nor a signal handler. Callbacks
// run in dlm_dispatch(), in the receiving thread, and in blocking calls of libdlm_lt, of libdlm
// without a receiving thread, and of callbacks. lockd allows a user 256 sessions of a node.
//
// Ids. Locks have numbers from 1, by handle: another process cannot convert or unlock them.
//
// Quorum. Lockspaces are joined, and locks wait, until there is one, however long that takes; what
// has LKF_NOQUEUE gets EAGAIN. Without a daemon at the socket (LOCKD_SOCKET, as for liblock)
// lockspaces are not opened: EUNATCH.
//
// Deadlocks. Two conversions against each other get EDEADLK as documented. Other rings are found
// among those locks of a handle that dlm_ls_lockx() was given an xid for: who waits is that
// transaction. Without one, nobody knows who waits, and a ring stands until a timeout.
//
// Loss. What a handle holds is lost if lockd is gone for longer than a lease, and others may then
// have it. libdlm has no word for that: where the kernel keeps these locks, the node is fenced. So
// the process ends, by abort() and with a line on stderr, if it held a lock of a mode above NL.
// With LIBDLM_ON_LOST=ignore it goes on: the lock is demoted to NL, its blocking callback runs, and
// its next completion has DLM_SBF_DEMOTED. A lock at NL, which protects nothing, is asked for again
// in silence; what is read through it next is DLM_SBF_VALNOTVALID, since nobody may have kept the
// value. Requests that wait go on waiting, and the lockspace is joined again.
//
// Orphans. Locks whose last flags have LKF_PERSISTENT stay when their handle or process ends.
// LKF_ORPHAN takes one over: the answer is returned, and no callback is called.
//
// Not as there: dlm_release_lockspace() tells what leaving came to (EBUSY); unlocking writes the
// value of sb_lvbptr; a process without a receiving thread can block in libdlm; resource names have
// at least one byte; a forked child has none of its parent's locks, also not to dispatch for.
#include <errno.h>
#include <sys/types.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <mutex>

#include "liblock/compat/dlm_handle.h"
#include "liblock/compat/dlm_status.h"

namespace {

using compat::Handle;
using compat::LockCall;
using compat::Waiter;
using HandlePtr = std::shared_ptr<Handle>;

constexpr const char* kDefaultLockspace = "default";
constexpr unsigned kDefaultPermissions = 0600;
constexpr std::uint64_t kPatienceMax = 4'000'000'000;

#ifdef DLM_THREADED
constexpr bool kThreaded = true;
#else
constexpr bool kThreaded = false;
#endif

int fail(int error) {
  errno = error;
  return -1;
}

// An errno or 0, as C functions return it.
int answer(int error) {
  return error == 0 ? 0 : fail(error);
}

template <typename Call>
auto guarded(Call call, decltype(call()) otherwise) {
  try {
    return call();
  } catch (const std::exception&) {
    errno = ENOMEM;
    return otherwise;
  }
}

class Handles {
 public:
  dlm_lshandle_t add(const HandlePtr& handle) {
    if (!handle) return nullptr;
    const std::lock_guard guard(mutex_);
    all_[handle.get()] = handle;
    return handle.get();
  }
  HandlePtr find(dlm_lshandle_t ls) {
    const std::lock_guard guard(mutex_);
    const auto found = all_.find(ls);
    return found == all_.end() ? nullptr : found->second;
  }
  HandlePtr remove(dlm_lshandle_t ls) {
    const std::lock_guard guard(mutex_);
    const auto found = all_.find(ls);
    if (found == all_.end()) return nullptr;
    HandlePtr handle = std::move(found->second);
    all_.erase(found);
    return handle;
  }
  HandlePtr with_fd(int fd) {
    const std::lock_guard guard(mutex_);
    const auto found = std::find_if(all_.begin(), all_.end(),
                                    [fd](const auto& entry) { return entry.second->fd() == fd; });
    return found == all_.end() ? nullptr : found->second;
  }

  // That of the lockspace "default"; null if it is not open.
  dlm_lshandle_t ordinary() {
    const std::lock_guard guard(mutex_);
    return ordinary_;
  }
  dlm_lshandle_t open_ordinary() {
    const std::lock_guard opening(opening_);
    if (const dlm_lshandle_t open = ordinary()) return open;
    HandlePtr handle = Handle::open(kDefaultLockspace, LOCK_JOIN_OPEN, 0);
    if (!handle && errno == ENOENT) {
      handle = Handle::open(kDefaultLockspace, LOCK_JOIN_CREATE, kDefaultPermissions);
    }
    const dlm_lshandle_t ls = add(handle);
    const std::lock_guard guard(mutex_);
    return ordinary_ = ls;
  }
  HandlePtr remove_ordinary() {
    const dlm_lshandle_t ls = ordinary();
    HandlePtr handle = remove(ls);
    const std::lock_guard guard(mutex_);
    if (ordinary_ == ls) ordinary_ = nullptr;
    return handle;
  }

 private:
  std::mutex opening_;
  std::mutex mutex_;
  std::map<dlm_lshandle_t, HandlePtr> all_;
  dlm_lshandle_t ordinary_ = nullptr;
};

// Never destroyed: threads may still run when the process ends.
Handles& handles() {
  static Handles& all = *new Handles;
  return all;
}

template <typename Call>
int with(dlm_lshandle_t ls, Call call) {
  const HandlePtr handle = handles().find(ls);
  if (!handle) return fail(ENOTCONN);
  return guarded([&] { return call(*handle); }, -1);
}

template <typename Call>
int with_ordinary(Call call) {
  const dlm_lshandle_t ls = guarded([] { return handles().open_ordinary(); }, nullptr);
  return ls == nullptr ? -1 : call(ls);
}

dlm_lshandle_t open_lockspace(const char* name, lock_join_kind kind, mode_t mode) {
  if (name == nullptr || *name == 0 || std::strlen(name) > DLM_LOCKSPACE_LEN) {
    errno = EINVAL;
    return nullptr;
  }
  return guarded([&] { return handles().add(Handle::open(name, kind, mode & 0777)); }, nullptr);
}

// What can be said of a call without asking anybody: an errno or 0.
int check(const LockCall& call) {
  if (call.lksb == nullptr) return EINVAL;
  if ((call.flags & LKF_CONVERT) != 0) return 0;
  if (call.name == nullptr || call.name_len == 0) return EINVAL;
  return call.name_len > DLM_RESNAME_MAXLEN ? EINVAL : 0;
}

int check_simple(const LockCall& call, const void* range) {
  if (range != nullptr) return ENOSYS;
  if (const int error = check(call)) return error;
  return (call.flags & LKF_VALBLK) != 0 && call.lksb->sb_lvbptr == nullptr ? EINVAL : 0;
}

bool adopts(const LockCall& call) {
  return (call.flags & LKF_ORPHAN) != 0 && (call.flags & LKF_CONVERT) == 0;
}

int submit(dlm_lshandle_t ls, const LockCall& call) {
  return with(ls, [&](Handle& handle) {
    if (adopts(call)) return answer(handle.adopt(call));
    return call.ast == nullptr ? fail(EINVAL) : answer(handle.lock(call, nullptr));
  });
}

// libdlm leaves it in the lksb how the operation ended; libdlm_lt returns it.
int ended(Handle& handle, Waiter& waiter, int expected) {
  if (const int error = handle.wait(waiter)) return fail(error);
  if (kThreaded || waiter.status == 0 || waiter.status == expected) return 0;
  return fail(waiter.status);
}

}  // namespace

extern "C" {

int dlm_kernel_version(uint32_t* major, uint32_t* minor, uint32_t* patch) {
  lock_client* client = nullptr;
  const int error = compat::connect_to_daemon(true, &client);
  lock_close(client);
  if (error != 0) return fail(compat::errno_of(error));
  dlm_library_version(major, minor, patch);
  return 0;
}

void dlm_library_version(uint32_t* major, uint32_t* minor, uint32_t* patch) {
  *major = 6;
  *minor = 0;
  *patch = 2;
}

// ---- Lockspaces ----

dlm_lshandle_t dlm_create_lockspace(const char* name, mode_t mode) {
  return dlm_new_lockspace(name, mode, 0);
}

dlm_lshandle_t dlm_new_lockspace(const char* name, mode_t mode, uint32_t flags) {
  const bool alone = (flags & DLM_LSFL_NEWEXCL) != 0;
  return open_lockspace(name, alone ? LOCK_JOIN_CREATE_NEW : LOCK_JOIN_CREATE, mode);
}

dlm_lshandle_t dlm_open_lockspace(const char* name) {
  return open_lockspace(name, LOCK_JOIN_OPEN, 0);
}

int dlm_close_lockspace(dlm_lshandle_t ls) {
  const HandlePtr handle = handles().remove(ls);
  if (!handle) return fail(ENOTCONN);
  handle->close();
  return 0;
}

// The handle's own locks are no hindrance; those of other handles, and orphans, are.
int dlm_release_lockspace(const char* name, dlm_lshandle_t ls, int force) {
  if (name == nullptr) return fail(EINVAL);
  const HandlePtr handle = handles().remove(ls);
  if (!handle) return fail(ENOTCONN);
  return guarded(
      [&] {
        lock_client* client = nullptr;
        int error = compat::connect_to_daemon(false, &client);
        if (error == 0 && force == 0) handle->give_back();
        handle->close();
        if (error == 0) {
          do {
            error = lock_leave_lockspace(client, name, force);
          } while (error == LOCK_ERROR_NOT_QUORATE || error == LOCK_ERROR_DAEMON_GONE);
        }
        lock_close(client);
        return error == 0 ? 0 : fail(compat::errno_of(error));
      },
      -1);
}

// ---- Callbacks ----

int dlm_ls_get_fd(dlm_lshandle_t ls) {
  return with(ls, [](Handle& handle) { return handle.fd(); });
}

int dlm_get_fd(void) {
  return with_ordinary(dlm_ls_get_fd);
}

int dlm_dispatch(int fd) {
  const HandlePtr handle = handles().with_fd(fd);
  if (!handle) return fail(EBADF);
  return guarded(
      [&] {
        handle->dispatch();
        return 0;
      },
      -1);
}

// ---- Locks ----

int dlm_ls_lock(dlm_lshandle_t ls, uint32_t mode, struct dlm_lksb* lksb, uint32_t flags,
                const void* name, unsigned int namelen, uint32_t, void (*ast)(void*), void* astarg,
                void (*bast)(void*), void* range) {
  const LockCall call{mode, lksb, flags & ~LKF_WAIT, name, namelen, ast, astarg, bast};
  if (const int error = check_simple(call, range)) return fail(error);
  return submit(ls, call);
}

int dlm_ls_lockx(dlm_lshandle_t ls, uint32_t mode, struct dlm_lksb* lksb, uint32_t flags,
                 const void* name, unsigned int namelen, uint32_t, void (*ast)(void*), void* astarg,
                 void (*bast)(void*), uint64_t* xid, uint64_t* timeout) {
  LockCall call{mode, lksb, flags & ~LKF_WAIT, name, namelen, ast, astarg, bast};
  if (const int error = check(call)) return fail(error);
  // The highest numbers are the library's own.
  if (xid != nullptr) call.transaction = *xid & (UINT64_MAX >> 1);
  if (timeout != nullptr && (flags & LKF_TIMEOUT) != 0) {
    call.patience_ms = static_cast<unsigned>(std::min(*timeout, kPatienceMax / 10) * 10);
  }
  return submit(ls, call);
}

int dlm_ls_lock_wait(dlm_lshandle_t ls, uint32_t mode, struct dlm_lksb* lksb, uint32_t flags,
                     const void* name, unsigned int namelen, uint32_t, void* bastarg,
                     void (*bast)(void*), void* range) {
  const LockCall call{mode, lksb, flags & ~LKF_WAIT, name, namelen, nullptr, bastarg, bast};
  if (const int error = check_simple(call, range)) return fail(error);
  if (adopts(call)) return submit(ls, call);
  return with(ls, [&](Handle& handle) {
    Waiter waiter;
    if (const int error = handle.lock(call, &waiter)) return fail(error);
    return ended(handle, waiter, 0);
  });
}

int dlm_ls_unlock(dlm_lshandle_t ls, uint32_t lkid, uint32_t flags, struct dlm_lksb* lksb,
                  void* astarg) {
  return with(ls, [&](Handle& handle) {
    return answer(handle.unlock(lkid, flags & ~LKF_WAIT, lksb, astarg, nullptr));
  });
}

int dlm_ls_unlock_wait(dlm_lshandle_t ls, uint32_t lkid, uint32_t flags, struct dlm_lksb* lksb) {
  return with(ls, [&](Handle& handle) {
    Waiter waiter;
    const int error = handle.unlock(lkid, flags & ~LKF_WAIT, lksb, nullptr, &waiter);
    if (error != 0) return fail(error);
    return ended(handle, waiter, (flags & LKF_CANCEL) != 0 ? ECANCEL : EUNLOCK);
  });
}

int dlm_ls_deadlock_cancel(dlm_lshandle_t ls, uint32_t lkid, uint32_t) {
  return with(ls, [&](Handle& handle) { return answer(handle.cancel_as_deadlock(lkid)); });
}

int dlm_ls_purge(dlm_lshandle_t ls, int nodeid, int pid) {
  return with(ls, [&](Handle& handle) { return answer(handle.purge(nodeid, pid)); });
}

// ---- The same in the lockspace "default" ----

int dlm_lock(uint32_t mode, struct dlm_lksb* lksb, uint32_t flags, const void* name,
             unsigned int namelen, uint32_t parent, void (*ast)(void*), void* astarg,
             void (*bast)(void*), void* range) {
  return with_ordinary([&](dlm_lshandle_t ls) {
    return dlm_ls_lock(ls, mode, lksb, flags, name, namelen, parent, ast, astarg, bast, range);
  });
}

int dlm_lock_wait(uint32_t mode, struct dlm_lksb* lksb, uint32_t flags, const void* name,
                  unsigned int namelen, uint32_t parent, void* bastarg, void (*bast)(void*),
                  void* range) {
  return with_ordinary([&](dlm_lshandle_t ls) {
    return dlm_ls_lock_wait(ls, mode, lksb, flags, name, namelen, parent, bastarg, bast, range);
  });
}

int dlm_unlock(uint32_t lkid, uint32_t flags, struct dlm_lksb* lksb, void* astarg) {
  return dlm_ls_unlock(handles().ordinary(), lkid, flags, lksb, astarg);
}

int dlm_unlock_wait(uint32_t lkid, uint32_t flags, struct dlm_lksb* lksb) {
  return dlm_ls_unlock_wait(handles().ordinary(), lkid, flags, lksb);
}

// ---- A thread for callbacks: libdlm only ----

#ifdef DLM_THREADED

int dlm_ls_pthread_init(dlm_lshandle_t ls) {
  return with(ls, [](Handle& handle) { return answer(handle.start_thread()); });
}

int dlm_pthread_init(void) {
  return with_ordinary(dlm_ls_pthread_init);
}

int dlm_pthread_cleanup(void) {
  if (const HandlePtr handle = handles().remove_ordinary()) handle->close();
  return 0;
}

int lock_resource(const char* resource, int mode, int flags, int* lockid) {
  if (resource == nullptr || lockid == nullptr) return fail(EINVAL);
  if (dlm_pthread_init() != 0 && errno != EEXIST) return -1;
  dlm_lksb lksb{};
  if ((flags & LKF_CONVERT) != 0) lksb.sb_lkid = static_cast<uint32_t>(*lockid);
  const int error =
      dlm_lock_wait(static_cast<uint32_t>(mode), &lksb, static_cast<uint32_t>(flags), resource,
                    static_cast<unsigned>(std::strlen(resource)), 0, nullptr, nullptr, nullptr);
  if (error != 0) return -1;
  if (lksb.sb_status != 0) return fail(lksb.sb_status);
  *lockid = static_cast<int>(lksb.sb_lkid);
  return 0;
}

int unlock_resource(int lockid) {
  dlm_lksb lksb{};
  if (dlm_unlock_wait(static_cast<uint32_t>(lockid), 0, &lksb) != 0) return -1;
  return lksb.sb_status == EUNLOCK ? 0 : fail(lksb.sb_status);
}

#endif

}  // extern "C"
