#include "lockd/init.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "lockd/record_file.h"

namespace lockd {

namespace {

std::string reason(int code) {
  return std::generic_category().message(code);
}

// Removes the unfinished file whatever happens; once it is linked to its name, that is all it
// takes.
struct Unfinished {
  explicit Unfinished(const std::string& p) : path(p) {}
  ~Unfinished() {
    if (fd >= 0) close(fd);
    unlink(path.c_str());
  }
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;

  const std::string& path;
  int fd = -1;
};

// Errno of the first call that fails; 0 if the file is there, whole and durable. EEXIST: it was
// there before.
int create_record(const std::string& state_dir, base::Bytes content) {
  const std::string temporary = record_path(state_dir) + ".new." + std::to_string(getpid());
  Unfinished unfinished(temporary);
  unfinished.fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (unfinished.fd < 0) return errno;
  while (!content.empty()) {
    const ssize_t n = ::write(unfinished.fd, content.data(), content.size());
    if (n < 0 && errno != EINTR) return errno;
    if (n > 0) content = content.subspan(static_cast<std::size_t>(n));
  }
  if (fsync(unfinished.fd) != 0) return errno;
  // Not rename(), which would overwrite.
  if (link(temporary.c_str(), record_path(state_dir).c_str()) != 0) return errno;
  const int folder = ::open(state_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return errno;
  const int code = fsync(folder) == 0 ? 0 : errno;
  close(folder);
  return code;
}

}  // namespace

base::Result<std::string, std::string> initialize(const std::string& state_dir,
                                                  const ClusterId& cluster, base::NodeId self,
                                                  RecordRole role) {
  const std::string path = record_path(state_dir);
  struct stat status {};
  if (lstat(path.c_str(), &status) == 0) {
    return base::error("record " + path +
                       " exists already and was not touched; this node is initialized");
  }
  std::error_code code;
  const bool fresh = std::filesystem::create_directories(state_dir, code);
  if (code) {
    return base::error("state folder " + state_dir + " cannot be created: " + code.message());
  }
  if (fresh && chmod(state_dir.c_str(), 0700) != 0) {
    return base::error("state folder " + state_dir +
                       " cannot be closed to others: " + reason(errno));
  }

  StoreId store{};
  if (getrandom(store.data(), store.size(), 0) != static_cast<ssize_t>(store.size())) {
    return base::error("no random bytes: " + reason(errno));
  }
  Record record = initial_record(cluster, store, self);
  record.role = role;
  base::Buffer content(kRecordFileBytes);
  const RecordSlot slot = encode_record(record);
  std::copy(
      slot.begin(), slot.end(),
      content.begin() + static_cast<std::ptrdiff_t>(slot_of(record.generation) * kRecordSlotBytes));
  const int error = create_record(state_dir, content);
  if (error == EEXIST) {
    return base::error("record " + path + " was just created by somebody else");
  }
  if (error != 0) {
    return base::error("record " + path + " cannot be created: " + reason(error) +
                       "; make the state folder writable for the user of the daemon");
  }
  return "created " + path + " for node " + base::to_string(self) +
         (role == RecordRole::amnesiac ? ", without a vote" : "");
}

}  // namespace lockd
