// Fencing tokens at the resource from C++20, header-only over liblock/fence.h, which says what is
// remembered, and when; with a guard, so that whoever was let in leaves on every path.
//
//   ringlock::fence fence("/srv/jobs/fence");
//   if (const auto inside = fence.enter("jobs", ringlock::fence_use::write, token)) {
//     write_record(record);  // Finished when the guard goes.
//   } else {
//     answer("stale token");
//   }
//
// Other failures throw std::system_error, as in liblock/lock.hpp.
#ifndef LIBLOCK_FENCE_HPP
#define LIBLOCK_FENCE_HPP

#include <liblock/fence.h>
#include <liblock/lock.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace ringlock {

enum class fence_use {
  read = LOCK_FENCE_READ,    // Shared.
  write = LOCK_FENCE_WRITE,  // Alone.
};

class fence {
 public:
  // Leaves when it goes.
  class pass {
   public:
    pass(lock_fence* from, const lock_fence_pass& id) : fence_(from), id_(id) {}
    pass(pass&& other) noexcept : fence_(std::exchange(other.fence_, nullptr)), id_(other.id_) {}
    pass& operator=(pass&& other) noexcept {
      std::swap(fence_, other.fence_);
      std::swap(id_, other.id_);
      return *this;
    }
    ~pass() {
      if (fence_ != nullptr) lock_fence_leave(fence_, &id_);
    }

   private:
    lock_fence* fence_;
    lock_fence_pass id_;
  };

  // The file of a fence that has seen nothing; when its resource is made, and never again.
  static void create(const std::string& path, unsigned locks_max = 0) {
    check_opened(lock_fence_create(path.c_str(), locks_max));
  }

  explicit fence(const std::string& path, unsigned locks_max = 0) {
    check_opened(lock_fence_open(path.c_str(), locks_max, &fence_));
  }
  fence(const fence&) = delete;
  fence& operator=(const fence&) = delete;
  ~fence() { lock_fence_close(fence_); }

  // Waits until those have left who must not be inside together with this one. None: a higher token
  // was seen, and nothing must be done.
  std::optional<pass> enter(const resource& what, fence_use use, std::uint64_t token) {
    lock_fence_pass id{};
    const int error =
        lock_fence_enter(fence_, what.lockspace.c_str(), what.name.data(), what.name.size(),
                         static_cast<lock_fence_use>(use), token, -1, &id);
    if (error == LOCK_ERROR_STALE) return std::nullopt;
    if (error < 0) throw std::system_error(code_of(error), advice(fence_));
    return pass(fence_, id);
  }

  lock_fence* native_handle() const { return fence_; }

 private:
  static std::string advice(lock_fence* from) {
    char text[1024];
    return std::string(text, lock_fence_advice(from, text, sizeof text));
  }
  static void check_opened(int error) {
    if (error < 0) throw std::system_error(code_of(error), advice(nullptr));
  }

  lock_fence* fence_ = nullptr;
};

}  // namespace ringlock

#endif
