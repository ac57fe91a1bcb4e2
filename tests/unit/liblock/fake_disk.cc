#include "tests/unit/liblock/fake_disk.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

namespace liblock_test {
namespace {

std::atomic<FakeDisk*> the_disk = nullptr;

void apply(base::Buffer& content, std::size_t offset, base::Bytes bytes) {
  content.resize(std::max(content.size(), offset + bytes.size()));
  std::copy(bytes.begin(), bytes.end(), content.begin() + static_cast<std::ptrdiff_t>(offset));
}

}  // namespace

FakeDisk::FakeDisk(base::Buffer content) : durable_(std::move(content)) {
  the_disk = this;
}

FakeDisk::~FakeDisk() {
  the_disk = nullptr;
}

void FakeDisk::cut_power_at(std::size_t call, Torn torn) {
  calls_left_ = call;
  torn_ = std::move(torn);
}

// Of what was written since the last sync, the disk has taken any part.
bool FakeDisk::goes_down() {
  if (power_is_cut_) return true;
  if (!calls_left_ || (*calls_left_)-- > 0) return false;
  power_is_cut_ = true;
  for (const Write& write : pending_) {
    const auto [from, to] = torn_(write);
    apply(durable_, write.offset + from, base::Bytes(write.bytes).subspan(from, to - from));
  }
  pending_.clear();
  return true;
}

bool FakeDisk::on_write(std::size_t offset, base::Bytes bytes) {
  ++writes_;
  pending_.push_back({offset, base::Buffer(bytes.begin(), bytes.end())});
  return !goes_down();
}

bool FakeDisk::on_sync() {
  ++syncs_;
  if (goes_down()) return false;
  if (std::exchange(fail_sync_, false)) {
    pending_.clear();
    return false;
  }
  for (const Write& write : pending_) apply(durable_, write.offset, write.bytes);
  pending_.clear();
  return true;
}

}  // namespace liblock_test

extern "C" {

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  if (liblock_test::FakeDisk* disk = liblock_test::the_disk) {
    const base::Bytes span(static_cast<const std::byte*>(bytes), size);
    if (!disk->on_write(static_cast<std::size_t>(offset), span)) {
      errno = EIO;
      return -1;
    }
  }
  return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

int fdatasync(int fd) {
  liblock_test::FakeDisk* disk = liblock_test::the_disk;
  // With a disk of this kind the other one may take its time.
  if (disk == nullptr) return static_cast<int>(syscall(SYS_fdatasync, fd));
  if (disk->on_sync()) return 0;
  errno = EIO;
  return -1;
}

}  // extern "C"
