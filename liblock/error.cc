#include "liblock/error.h"

#include <liblock/lock.h>

#include <cerrno>

namespace liblock {

int error_of_refusal(protocol::Refusal refusal) {
  switch (refusal) {
    case protocol::Refusal::version:
      return LOCK_ERROR_VERSION;
    case protocol::Refusal::limit:
      return LOCK_ERROR_LIMIT;
    case protocol::Refusal::not_permitted:
      return LOCK_ERROR_PERMISSION;
    case protocol::Refusal::no_clients:
      return LOCK_ERROR_NO_DAEMON;
    case protocol::Refusal::too_slow:
      return LOCK_ERROR_TOO_SLOW;
    case protocol::Refusal::session_lost:
    case protocol::Refusal::malformed:
      break;
  }
  return LOCK_ERROR_PROTOCOL;
}

int error_of_connect(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
      return LOCK_ERROR_NO_DAEMON;
    case EACCES:
    case EPERM:
      return LOCK_ERROR_PERMISSION;
    case ENAMETOOLONG:
      return LOCK_ERROR_INVALID;
    case EPROTOTYPE:
    case ENOTSOCK:
      return LOCK_ERROR_PROTOCOL;
    default:
      return LOCK_ERROR_SYSTEM;
  }
}

}  // namespace liblock
