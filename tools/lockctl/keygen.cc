#include "tools/lockctl/keygen.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "tools/lockctl/exit_code.h"

namespace tools::lockctl {

base::Result<void, Failure> write_key(const std::string& file) {
  std::array<char, kKeyFileBytes> key{};
  // So few bytes come whole, or not at all.
  if (getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size())) {
    return base::error(
        Failure{kInternal, std::string("no random numbers: ") + std::strerror(errno)});
  }
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    const int reason = errno;
    if (reason == EEXIST) {
      return base::error(
          Failure{kUsage, file + " exists and may be in use; move it away, or name another file"});
    }
    const bool refused = reason == EACCES || reason == EPERM || reason == EROFS;
    return base::error(
        Failure{refused ? kPermission : kUsage, file + ": " + std::strerror(reason)});
  }
  const bool written =
      write(fd, key.data(), key.size()) == static_cast<ssize_t>(key.size()) && fsync(fd) == 0;
  const int reason = errno;
  close(fd);
  if (!written) {
    unlink(file.c_str());
    return base::error(Failure{kInternal, file + ": " + std::strerror(reason)});
  }
  return {};
}

}  // namespace tools::lockctl
