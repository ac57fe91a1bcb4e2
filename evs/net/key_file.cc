#include "evs/net/key_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace evs::net {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }

 private:
  int fd_;
};

std::string reason(int code) {
  return std::generic_category().message(code);
}

}  // namespace

base::Result<Secret, std::string> read_key_file(const std::string& path) {
  const auto wrong = [&path](const std::string& what) {
    return base::error("key file " + path + ": " + what);
  };

  // Without O_NONBLOCK a fifo in its place would hang us.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    if (errno == ENOENT) {
      return wrong("is missing; run \"lockctl keygen " + path +
                   "\" on one node and copy the file to the others");
    }
    return wrong("cannot be opened: " + reason(errno));
  }

  struct stat status {};
  if (fstat(file.get(), &status) != 0) return wrong("cannot be examined: " + reason(errno));
  if (!S_ISREG(status.st_mode)) return wrong("is not a regular file");
  if (status.st_uid != geteuid() && status.st_uid != 0) {
    return wrong("belongs to user " + std::to_string(status.st_uid) +
                 ", who could read and replace it; run \"chown " + std::to_string(geteuid()) + " " +
                 path + "\"");
  }
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return wrong("can be used by other users; run \"chmod 600 " + path +
                 "\", and make a new key if others may have read it");
  }

  // One byte more than a key shows a file that is too long.
  std::array<std::byte, kKeyBytes + 1> content{};
  const ssize_t got = read(file.get(), content.data(), content.size());
  const int code = errno;
  Secret key;
  std::copy_n(content.begin(), kKeyBytes, key.bytes().begin());
  wipe(content);
  if (got < 0) return wrong("cannot be read: " + reason(code));
  if (static_cast<std::size_t>(got) != kKeyBytes) {
    return wrong("does not have exactly 32 bytes; run \"lockctl keygen " + path +
                 "\" for a new one and copy it to all nodes");
  }
  return key;
}

}  // namespace evs::net
