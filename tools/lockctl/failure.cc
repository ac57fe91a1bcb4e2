#include "tools/lockctl/failure.h"

#include <array>
#include <cstdlib>

#include "tools/lockctl/exit_code.h"

namespace tools::lockctl {
namespace {

int exit_code_of(int error) {
  switch (error) {
    case LOCK_ERROR_BUSY:
    case LOCK_ERROR_TIMEOUT:
    case LOCK_ERROR_CANCELLED:
    case LOCK_ERROR_DEADLOCK:
    case LOCK_ERROR_IN_PROGRESS:
      return kBusy;
    case LOCK_ERROR_NO_DAEMON:
    case LOCK_ERROR_DAEMON_GONE:
    case LOCK_ERROR_NOT_QUORATE:
    case LOCK_ERROR_LIMIT:
    case LOCK_ERROR_TRY_AGAIN:
    case LOCK_ERROR_TOO_SLOW:
      return kUnavailable;
    case LOCK_ERROR_LOST:
    case LOCK_ERROR_NOT_HELD:
      return kLost;
    case LOCK_ERROR_INVALID:
      return kUsage;
    case LOCK_ERROR_PERMISSION:
      return kPermission;
    case LOCK_ERROR_VERSION:
    case LOCK_ERROR_PROTOCOL:
      return kConfig;
    default:
      return kInternal;
  }
}

Failure failure(int error, const std::string& advice, const std::string& socket) {
  std::string message = lock_strerror(error);
  if (!advice.empty()) message += " " + advice;
  const int exit_code = exit_code_of(error);
  if (exit_code != kBusy && exit_code != kUsage) message += " (socket " + socket + ")";
  return {exit_code, message};
}

}  // namespace

Failure failure_of(int error, lock_client* client, const std::string& socket) {
  std::array<char, 512> advice{};
  lock_advice(client, advice.data(), advice.size());
  return failure(error, advice.data(), socket);
}

Failure failure_of_evs(int error, lock_evs* evs, const std::string& socket) {
  std::array<char, 512> advice{};
  lock_evs_advice(evs, advice.data(), advice.size());
  return failure(error, advice.data(), socket);
}

std::string socket_in_use(const std::string& option) {
  if (!option.empty()) return option;
  const char* environment = std::getenv("LOCKD_SOCKET");
  return environment != nullptr && *environment != '\0' ? environment : "/run/lockd/lockd.sock";
}

}  // namespace tools::lockctl
