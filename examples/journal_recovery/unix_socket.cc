#include "unix_socket.h"

#include <sys/un.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace journal_recovery {

int open_socket(const std::string& path, decltype(&::connect) bind_or_connect) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", path.c_str());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind_or_connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    throw std::system_error(errno, std::generic_category(), path);
  }
  return fd;
}

}  // namespace journal_recovery
