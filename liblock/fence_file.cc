#include "liblock/fence_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <span>
#include <system_error>
#include <utility>

namespace liblock {
namespace {

using Trouble = FenceFile::Trouble;

tl::unexpected<FenceFile::Error> trouble(Trouble kind, const std::string& path,
                                         const std::string& what) {
  return base::error(FenceFile::Error{kind, "fence " + path + " " + what});
}

tl::unexpected<FenceFile::Error> unusable(const std::string& path, const std::string& what,
                                          int code) {
  return trouble(Trouble::unusable, path, what + ": " + std::generic_category().message(code));
}

// False with errno, or with 0 in it at an early end of the file.
bool read_at(int fd, std::span<std::byte> into, std::size_t offset) {
  while (!into.empty()) {
    const ssize_t n = pread(fd, into.data(), into.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = 0;
    if (n <= 0) return false;
    offset += static_cast<std::size_t>(n);
    into = into.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

// False with errno.
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

bool sync_folder_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return fd && fsync(fd.get()) == 0;
}

base::Buffer content_of(const std::vector<FenceRecord>& records, std::uint32_t capacity) {
  base::Buffer content(fence_file_bytes(capacity));
  const FenceHeader header = encode_fence_header(capacity);
  std::copy(header.begin(), header.end(), content.begin());
  for (std::uint32_t index = 0; index < capacity; ++index) {
    const FenceSlot slot =
        encode_fence_record(index < records.size() ? records[index] : free_fence_record(index));
    for (const unsigned which : {0U, 1U}) {
      std::copy(slot.begin(), slot.end(),
                content.begin() + static_cast<std::ptrdiff_t>(fence_slot_offset(index, which)));
    }
  }
  return content;
}

// A durable file under a name of its own beside `path`; the name is put into `beside`.
std::optional<Descriptor> write_beside(const std::string& path, const base::Buffer& content,
                                       std::string& beside) {
  beside = path + ".XXXXXX";
  Descriptor fd(mkostemp(beside.data(), O_CLOEXEC));
  if (!fd) return std::nullopt;
  if (write_at(fd.get(), content, 0) && fsync(fd.get()) == 0) return fd;
  const int code = errno;
  unlink(beside.c_str());
  errno = code;
  return std::nullopt;
}

}  // namespace

FenceFile::Result<void> FenceFile::create(const std::string& path, std::uint32_t capacity) {
  std::string beside;
  if (!write_beside(path, content_of({}, capacity), beside)) {
    return unusable(path, "cannot be made", errno);
  }
  // The name comes last, and only if it is free.
  const int code = link(beside.c_str(), path.c_str()) == 0 ? 0 : errno;
  unlink(beside.c_str());
  if (code == EEXIST) {
    return trouble(Trouble::unusable, path,
                   "exists already: open it. To replace it would forget the tokens it has seen");
  }
  if (code != 0) return unusable(path, "cannot be made", code);
  if (!sync_folder_of(path)) {
    const int sync_code = errno;
    unlink(path.c_str());
    return unusable(path, "cannot be made durable", sync_code);
  }
  return {};
}

FenceFile::Result<FenceFile> FenceFile::open(const std::string& path, std::uint32_t capacity) {
  // Who enlarges a file puts a new one in its place: what was opened may have lost its name when it
  // is locked.
  for (int attempt = 0; attempt < 8; ++attempt) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
      return trouble(Trouble::unusable, path,
                     "is missing. Is its folder mounted, the path right? Make a new one only for a "
                     "new resource: it would know no token");
    }
    if (fd < 0) return unusable(path, "cannot be opened for writing", errno);
    FenceFile file(Descriptor(fd), path);
    if (auto locked = file.lock(); !locked) return base::error(std::move(locked.error()));
    struct stat here {};
    struct stat there {};
    if (fstat(fd, &here) != 0 || stat(path.c_str(), &there) != 0 || here.st_ino != there.st_ino ||
        here.st_dev != there.st_dev) {
      continue;
    }
    auto done = file.read();
    if (done && file.capacity_ < capacity) done = file.enlarge(capacity);
    if (!done) return base::error(std::move(done.error()));
    return file;
  }
  return trouble(Trouble::in_use, path, "is being replaced; try again");
}

FenceFile::Result<void> FenceFile::lock() {
  struct stat status {};
  if (fstat(fd_.get(), &status) != 0) return unusable(path_, "cannot be examined", errno);
  if (!S_ISREG(status.st_mode)) return trouble(Trouble::unusable, path_, "is not a regular file");
  if (flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) return {};
  if (errno != EWOULDBLOCK) return unusable(path_, "cannot be locked", errno);
  return trouble(Trouble::in_use, path_,
                 "is in use: two servers of one resource would each let in whom the other refuses");
}

FenceFile::Result<void> FenceFile::read() {
  const auto damaged = [this](const std::string& what) {
    return trouble(Trouble::damaged, path_,
                   "is damaged: " + what +
                       ". It does not say any more which tokens were seen. Put nothing old in its "
                       "place while a holder from before may live");
  };
  const off_t size = lseek(fd_.get(), 0, SEEK_END);
  if (size < 0) return unusable(path_, "cannot be examined", errno);
  FenceHeader header;
  if (!read_at(fd_.get(), header, 0)) {
    if (errno == 0) return damaged("it is too short");
    return unusable(path_, "cannot be read", errno);
  }
  const auto capacity = decode_fence_header(header);
  if (!capacity) return damaged("its header is wrong, or of another version");
  if (static_cast<std::size_t>(size) != fence_file_bytes(*capacity)) {
    return damaged("its size is wrong");
  }
  capacity_ = *capacity;
  base::Buffer content(fence_file_bytes(capacity_));
  if (!read_at(fd_.get(), content, 0)) return unusable(path_, "cannot be read", errno);

  std::vector<FenceChoice> behind;
  std::set<std::pair<std::string, std::string>> names;
  for (std::uint32_t index = 0; index < capacity_; ++index) {
    const auto slot = [&content, index](unsigned which) {
      return base::Bytes(content).subspan(fence_slot_offset(index, which), kFenceSlotBytes);
    };
    auto choice = choose_fence_record(slot(0), slot(1), index);
    if (!choice) return damaged("record " + std::to_string(index) + " is wrong");
    if (choice->record.generation > 0) {
      if (records_.size() != index) return damaged("there is a gap between its records");
      if (!names.emplace(choice->record.lockspace, choice->record.name).second) {
        return damaged("two records are of one lock");
      }
      records_.push_back(choice->record);
    }
    if (choice->behind) behind.push_back(std::move(*choice));
  }
  return repair(behind);
}

FenceFile::Result<void> FenceFile::repair(const std::vector<FenceChoice>& behind) {
  if (behind.empty()) return {};
  // What was read may be in the system's memory alone, of a process that ended before its sync, or
  // whose sync failed. So it is written again where it was found, and is durable there before the
  // slot behind is touched.
  std::size_t damaged = 0;
  for (const bool found : {true, false}) {
    for (const FenceChoice& choice : behind) {
      const unsigned slot = found ? 1 - *choice.behind : *choice.behind;
      if (!write_at(fd_.get(), encode_fence_record(choice.record),
                    fence_slot_offset(choice.record.index, slot))) {
        return unusable(path_, "cannot be written", errno);
      }
      if (!found && choice.damaged) ++damaged;
    }
    if (fdatasync(fd_.get()) != 0) return unusable(path_, "cannot be written", errno);
  }
  if (damaged > 0) {
    repaired_ = "fence " + path_ + ": of " + std::to_string(damaged) +
                (damaged == 1 ? " record" : " records") +
                " one of two copies was damaged, and is written anew from the other. One is usual "
                "after a power cut; more, or without one, is a bad disk";
  }
  return {};
}

FenceFile::Result<void> FenceFile::enlarge(std::uint32_t capacity) {
  struct stat status {};
  if (fstat(fd_.get(), &status) != 0) return unusable(path_, "cannot be examined", errno);
  std::string beside;
  auto larger = write_beside(path_, content_of(records_, capacity), beside);
  if (!larger) return unusable(path_, "cannot be enlarged", errno);
  // Locked before it has the name, so that nobody else gets it in between.
  if (fchown(larger->get(), status.st_uid, status.st_gid) != 0 ||
      fchmod(larger->get(), status.st_mode & 07777) != 0 ||
      flock(larger->get(), LOCK_EX | LOCK_NB) != 0 || rename(beside.c_str(), path_.c_str()) != 0) {
    const int code = errno;
    unlink(beside.c_str());
    return unusable(path_, "cannot be enlarged", code);
  }
  if (!sync_folder_of(path_)) return unusable(path_, "cannot be made durable", errno);
  fd_ = std::move(*larger);
  capacity_ = capacity;
  return {};
}

FenceFile::Result<void> FenceFile::write(const FenceRecord& record) {
  if (failure_) return base::error(*failure_);
  const FenceSlot slot = encode_fence_record(record);
  const unsigned first = fence_slot_of(record.generation);
  if (write_at(fd_.get(), slot, fence_slot_offset(record.index, first)) &&
      fdatasync(fd_.get()) == 0) {
    // The copy comes to the disk when the system likes. Until then the first one is the only one,
    // and the next generation is written over the copy.
    if (write_at(fd_.get(), slot, fence_slot_offset(record.index, 1 - first))) return {};
  }
  failure_ = unusable(path_, "cannot be written", errno).value();
  failure_->text += "; open it again when the disk works";
  return base::error(*failure_);
}

}  // namespace liblock
