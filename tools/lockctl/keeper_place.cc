#include "tools/lockctl/keeper_place.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "tools/lockctl/exit_code.h"
#include "tools/lockctl/name.h"

namespace tools::lockctl {
namespace {

constexpr int kConnectionsWaiting = 16;

base::Result<sockaddr_un, Failure> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return base::error(Failure{kConfig, "the path " + path + " is too long for a socket: set " +
                                            "XDG_RUNTIME_DIR to a shorter one"});
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

Failure failure_at(const std::string& path) {
  return {kInternal, path + ": " + std::strerror(errno)};
}

// FNV-1a. Who connects says in full whose lock he means.
std::uint64_t hash(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

std::string lock_path(const std::string& socket) {
  return socket + ".lock";
}

// Whether the file that is open as `fd` is the one that is found there now.
bool is_at(int fd, const std::string& path) {
  struct stat mine {};
  struct stat there {};
  return ::fstat(fd, &mine) == 0 && ::stat(path.c_str(), &there) == 0 &&
         mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
}

}  // namespace

std::string KeeperId::text() const {
  std::string text;
  for (const std::string* part : {&session, &socket, &lockspace, &name}) {
    text += std::to_string(part->size()) + ":" + *part;
  }
  return text;
}

base::Result<std::string, Failure> KeeperPlace::folder() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  const bool given = runtime != nullptr && *runtime == '/';
  const std::string folder =
      given ? std::string(runtime) + "/lockctl" : "/tmp/lockctl-" + std::to_string(::geteuid());
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return base::error(failure_at(folder));
  }
  struct stat found {};
  if (::lstat(folder.c_str(), &found) != 0) return base::error(failure_at(folder));
  if (!S_ISDIR(found.st_mode) || found.st_uid != ::geteuid() || (found.st_mode & 077) != 0) {
    return base::error(
        Failure{kPermission, folder + " is not a folder of this user that nobody else can enter"});
  }
  return folder;
}

std::string KeeperPlace::socket_path(const std::string& folder, const KeeperId& id) {
  char name[17];
  std::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(hash(id.text())));
  return folder + "/" + name;
}

base::Result<KeeperPlace, Failure> KeeperPlace::take(const std::string& folder,
                                                     const KeeperId& id) {
  const std::string path = socket_path(folder, id);
  for (;;) {
    const int fd = ::open(lock_path(path).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return base::error(failure_at(lock_path(path)));
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      const Failure failure =
          errno == EWOULDBLOCK
              ? Failure{kUsage, printable(id.name) +
                                    " is held or waited for by this shell already: "
                                    "see lockctl convert and lockctl unlock"}
              : failure_at(lock_path(path));
      ::close(fd);
      return base::error(failure);
    }
    // The last keeper may have removed it between our two calls.
    if (is_at(fd, lock_path(path))) return KeeperPlace(path, fd);
    ::close(fd);
  }
}

KeeperPlace::KeeperPlace(KeeperPlace&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

KeeperPlace::~KeeperPlace() {
  if (fd_ >= 0) ::close(fd_);
}

base::Result<int, Failure> KeeperPlace::listen() {
  const auto address = address_of(path_);
  if (!address) return base::error(address.error());
  const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return base::error(failure_at(path_));
  ::unlink(path_.c_str());  // Of a keeper that was killed.
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0 ||
      ::listen(fd, kConnectionsWaiting) != 0) {
    const Failure failure = failure_at(path_);
    ::close(fd);
    return base::error(failure);
  }
  return fd;
}

void KeeperPlace::leave() {
  if (fd_ < 0) return;
  ::unlink(path_.c_str());
  ::unlink(lock_path(path_).c_str());
  ::close(std::exchange(fd_, -1));
}

base::Result<int, Failure> connect_to_keeper(const std::string& path) {
  const auto address = address_of(path);
  if (!address) return base::error(address.error());
  const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) return base::error(failure_at(path));
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0) return fd;
  ::close(fd);
  return base::error(
      Failure{kLost,
              "this shell does not hold it: it was not taken, was given back, or was "
              "lost"});
}

}  // namespace tools::lockctl
