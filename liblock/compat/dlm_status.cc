#include "liblock/compat/dlm_status.h"

#include <liblock/request.h>

#include <cerrno>

#include "base/lock_flags.h"
#include "liblock/compat/libdlm.h"

namespace compat {
namespace {

namespace flag = base::lock_flag;

static_assert(LKF_NOQUEUE == flag::no_queue && LKF_VALBLK == flag::value_block);
static_assert(LKF_ORPHAN == flag::adopt_orphan && LKF_FORCEUNLOCK == flag::force);
static_assert(DLM_SBF_DEMOTED == LOCK_NOTE_DEMOTED);
static_assert(DLM_SBF_VALNOTVALID == LOCK_NOTE_VALUE_INVALID);
static_assert(DLM_SBF_ALTMODE == LOCK_NOTE_OTHER_MODE);
static_assert(DLM_LVB_LEN == LOCK_VALUE_SIZE);

// Notifications are asked for by naming a function, and releases are forced by dlm_unlock() only.
constexpr std::uint32_t kOfRequests = flag::for_request & ~flag::notify;
constexpr std::uint32_t kOfConversions =
    flag::for_conversion & ~(flag::notify | flag::adopt_orphan);

}  // namespace

int errno_of(int lock_error) {
  switch (lock_error) {
    case LOCK_ERROR_NO_DAEMON:
      return EUNATCH;
    case LOCK_ERROR_NOT_QUORATE:
    case LOCK_ERROR_DAEMON_GONE:
      return ETIMEDOUT;
    case LOCK_ERROR_PERMISSION:
      return EPERM;
    case LOCK_ERROR_NOT_FOUND:
    case LOCK_ERROR_NOT_HELD:
    case LOCK_ERROR_LOST:
      return ENOENT;
    case LOCK_ERROR_EXISTS:
      return EEXIST;
    case LOCK_ERROR_BUSY:
    case LOCK_ERROR_IN_PROGRESS:
      return EBUSY;
    case LOCK_ERROR_INVALID:
      return EINVAL;
    case LOCK_ERROR_VERSION:
    case LOCK_ERROR_PROTOCOL:
      return EPROTO;
    case LOCK_ERROR_FORKED:
      return ENOTCONN;
    default:
      return ENOMEM;
  }
}

int status_of(int lock_error) {
  switch (lock_error) {
    case 0:
      return 0;
    case LOCK_ERROR_BUSY:
    case LOCK_ERROR_NOT_QUORATE:
      return EAGAIN;
    case LOCK_ERROR_CANCELLED:
      return ECANCEL;
    case LOCK_ERROR_TIMEOUT:
      return ETIMEDOUT;
    case LOCK_ERROR_DEADLOCK:
      return EDEADLK;
    default:
      return errno_of(lock_error);
  }
}

std::optional<std::uint32_t> request_flags(std::uint32_t mode, std::uint32_t flags) {
  if (mode > LKM_EXMODE) return std::nullopt;
  if (flags & (LKF_CANCEL | LKF_QUECVT | LKF_CONVDEADLK)) return std::nullopt;
  const std::uint32_t wanted = flags & kOfRequests;
  if (!base::legal_request(static_cast<base::LockMode>(mode), wanted)) return std::nullopt;
  return wanted;
}

std::optional<std::uint32_t> conversion_flags(std::uint32_t from, std::uint32_t to,
                                              std::uint32_t flags) {
  if (to > LKM_EXMODE || (flags & (LKF_CANCEL | LKF_EXPEDITE))) return std::nullopt;
  const std::uint32_t wanted = flags & kOfConversions;
  if (!base::legal_conversion(static_cast<base::LockMode>(from), static_cast<base::LockMode>(to),
                              wanted)) {
    return std::nullopt;
  }
  return wanted;
}

bool legal_unlock(std::uint32_t flags) {
  constexpr std::uint32_t kLegal = LKF_CANCEL | LKF_VALBLK | LKF_IVVALBLK | LKF_FORCEUNLOCK;
  if ((flags & ~kLegal) != 0) return false;
  return (flags & LKF_CANCEL) == 0 || (flags & LKF_FORCEUNLOCK) == 0;
}

}  // namespace compat
