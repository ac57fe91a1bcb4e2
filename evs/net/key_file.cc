#include "evs/net/key_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include "base/key_set.h"

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

base::Result<Keyring, std::string> read_key_file(const std::string& path) {
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

  // One byte more shows a file that is too long.
  std::array<std::byte, base::kKeyFileBytesMax + 1> content{};
  const ssize_t got = read(file.get(), content.data(), content.size());
  const int code = errno;
  if (got < 0) return wrong("cannot be read: " + reason(code));
  const auto set = base::parse_key_set(base::Bytes(content).first(static_cast<std::size_t>(got)));
  wipe(content);
  if (!set) {
    return wrong(set.error() + "; copy the file of another node, or run \"lockctl keygen " + path +
                 "\" for a new one and copy it to all nodes");
  }
  Keyring keys;
  keys.in_use = KeyId{set->in_use};
  for (const base::KeySet::Key& read_key : set->keys) {
    ClusterKey& key = keys.keys.emplace_back();
    key.id = KeyId{read_key.id};
    std::ranges::copy(read_key.secret, key.master.bytes().begin());
  }
  return keys;
}

}  // namespace evs::net
