#include "liblock/owner.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <new>

namespace liblock {

namespace {

// Zero in a forked child, whichever system call made it; null where the kernel has no such page
// (before 4.14).
std::atomic<std::uint64_t>* map_page() {
  const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* page = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return nullptr;
  if (madvise(page, size, MADV_WIPEONFORK) != 0) {
    munmap(page, size);
    return nullptr;
  }
  return new (page) std::atomic<std::uint64_t>(0);
}

}  // namespace

// Numbers grow from parent to child, so no two processes of a line have the same one.
std::uint64_t Owner::this_life() {
  static std::atomic<std::uint64_t>* const page = map_page();
  static std::atomic<std::uint64_t> last{0};
  if (page == nullptr) return static_cast<std::uint64_t>(getpid());
  const std::uint64_t life = page->load(std::memory_order_relaxed);
  if (life != 0) return life;
  std::uint64_t none = 0;
  const std::uint64_t next = ++last;
  return page->compare_exchange_strong(none, next) ? next : none;
}

}  // namespace liblock
