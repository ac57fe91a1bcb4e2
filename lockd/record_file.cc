#include "lockd/record_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>
#include <system_error>
#include <utility>

namespace lockd {

namespace {

std::string reason(int code) {
  return std::generic_category().message(code);
}

// Reads up to the end of the file or of the buffer; -1 with errno.
ssize_t read_from_start(int fd, std::span<std::byte> into) {
  std::size_t got = 0;
  while (got < into.size()) {
    const ssize_t n = pread(fd, into.data() + got, into.size() - got, static_cast<off_t>(got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
  }
  return static_cast<ssize_t>(got);
}

// True if all of it was written; else errno says why.
bool write_at(int fd, base::Bytes bytes, std::size_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    offset += static_cast<std::size_t>(n);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

std::string record_path(const std::string& state_dir) {
  return state_dir + "/record";
}

base::Result<RecordFile, RecordFile::Error> RecordFile::open(const std::string& state_dir,
                                                             const ClusterId& cluster,
                                                             base::NodeId self) {
  const std::string path = record_path(state_dir);
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) {
    const int code = errno;
    if (code == ENOENT) {
      return base::error(
          Error{Trouble::missing,
                "record " + path +
                    " is missing; run \"lockd init --config FILE\", with --replace if this node "
                    "was a member of its cluster before and has lost it"});
    }
    return base::error(Error{Trouble::unusable,
                             "record " + path + " cannot be opened for writing: " + reason(code) +
                                 "; make the state folder and the record in it "
                                 "writable for the user of the daemon"});
  }
  return adopt(fd, path, cluster, self);
}

base::Result<RecordFile, RecordFile::Error> RecordFile::adopt(int fd, const std::string& path,
                                                              const ClusterId& cluster,
                                                              base::NodeId self) {
  RecordFile file(fd, path);
  const auto unusable = [&path](const std::string& what) {
    return base::error(Error{Trouble::unusable, "record " + path + " " + what});
  };
  struct stat status {};
  if (fstat(fd, &status) != 0) return unusable("cannot be examined: " + reason(errno));
  if (S_ISDIR(status.st_mode) || S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode)) {
    return unusable("is not a regular file; name another state_dir");
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return unusable("cannot be locked: " + reason(errno));
    return base::error(
        Error{Trouble::in_use, "record " + path +
                                   " is in use by another lockd; stop that one, or name "
                                   "another state_dir"});
  }
  std::array<std::byte, kRecordFileBytes> content{};
  const ssize_t got = read_from_start(fd, content);
  if (got < 0) return unusable("cannot be read: " + reason(errno) + "; check the disk");
  file.record_ = choose_record(base::Bytes(content).first(static_cast<std::size_t>(got)));
  if (file.record_ && file.record_->cluster != cluster) {
    return base::error(
        Error{Trouble::foreign, "record " + path +
                                    " is of another cluster; name another state_dir, "
                                    "or correct the uuid in [cluster]"});
  }
  if (file.record_ && file.record_->node != self) {
    return base::error(Error{Trouble::foreign, "record " + path + " is of node " +
                                                   base::to_string(file.record_->node) +
                                                   "; name another state_dir, or correct node_id"});
  }
  return file;
}

RecordFile::RecordFile(RecordFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      record_(std::move(other.record_)),
      failure_(std::move(other.failure_)) {}

RecordFile& RecordFile::operator=(RecordFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  std::swap(record_, other.record_);
  std::swap(failure_, other.failure_);
  return *this;
}

RecordFile::~RecordFile() {
  if (fd_ >= 0) close(fd_);
}

std::string RecordFile::amnesia_advice() const {
  return "record " + path_ +
         " is damaged in both slots: this node has forgotten what it promised, and takes part "
         "without a vote. "
         "Check the disk; do not replace the file by that of another node or by an older one";
}

base::Result<void, std::string> RecordFile::write(const Record& record) {
  if (failure_) return base::error(*failure_);
  const RecordSlot slot = encode_record(record);
  if (write_at(fd_, slot, slot_of(record.generation) * kRecordSlotBytes) && fdatasync(fd_) == 0) {
    return {};
  }
  failure_ = "record " + path_ + " cannot be written: " + reason(errno) +
             "; this node has no vote until it is started again with a disk that works";
  return base::error(*failure_);
}

}  // namespace lockd
