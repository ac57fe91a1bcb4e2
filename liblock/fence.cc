#include <liblock/fence.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "liblock/copy_text.h"
#include "liblock/fence_file.h"
#include "liblock/fence_record.h"
#include "liblock/guarded.h"
#include "liblock/owner.h"
#include "liblock/protocol/messages.h"

namespace {

using liblock::FenceFile;
using liblock::FenceRecord;
using liblock::FenceTokens;
using liblock::FenceUse;
using liblock::guarded;

static_assert(LOCK_FENCE_LOCKS_MAX == liblock::kFenceRecordsMax);

constexpr std::size_t kInsideMax = 65'536;

// Of the last lock_fence_create() or lock_fence_open() in this thread that failed.
thread_local std::string open_advice;

struct Name {
  std::string lockspace;
  std::string name;

  friend bool operator==(const Name&, const Name&) = default;
};

struct HashName {
  std::size_t operator()(const Name& name) const {
    const std::hash<std::string> hash;
    return hash(name.lockspace) * 31 + hash(name.name);
  }
};

// A lock with those who are inside.
struct Lock {
  FenceRecord record;
  std::size_t readers = 0;
  bool writer = false;

  bool room_for(FenceUse use) const { return !writer && (use == FenceUse::read || readers == 0); }
};

struct Inside {
  Lock* lock = nullptr;
  FenceUse use{};
};

std::optional<Name> name_of(const char* lockspace, const void* name, size_t name_len) {
  const std::string_view space = lockspace == nullptr ? "default" : lockspace;
  if (name == nullptr || name_len == 0 || name_len > liblock::protocol::kResourceBytesMax ||
      space.empty() || space.size() > liblock::protocol::kLockspaceBytesMax) {
    return std::nullopt;
  }
  return Name{std::string(space), std::string(static_cast<const char*>(name), name_len)};
}

// Rounded up to whole groups of the file; 0 if it is too many.
std::uint32_t capacity_of(unsigned locks_max) {
  if (locks_max > LOCK_FENCE_LOCKS_MAX) return 0;
  constexpr unsigned kGroup = liblock::kFenceGroupRecords;
  const unsigned wanted = locks_max == 0 ? LOCK_FENCE_LOCKS_DEFAULT : locks_max;
  return (wanted + kGroup - 1) / kGroup * kGroup;
}

int fail(const FenceFile::Error& error) {
  open_advice = error.text;
  switch (error.trouble) {
    case FenceFile::Trouble::in_use:
      return LOCK_ERROR_IN_USE;
    case FenceFile::Trouble::damaged:
      return LOCK_ERROR_DAMAGED;
    case FenceFile::Trouble::unusable:
      break;
  }
  return LOCK_ERROR_FILE;
}

}  // namespace

// Everything but `owner` is guarded by the mutex, also while the disk works: what is raised is
// raised in one order, in memory and in the file.
struct lock_fence {
  lock_fence(std::optional<FenceFile> opened, std::uint32_t room)
      : file(std::move(opened)), capacity(room) {
    if (!file) return;
    capacity = file->capacity();
    advice = file->repaired();
    for (FenceRecord& record : file->take_records()) {
      const Name name{record.lockspace, record.name};
      locks[name].record = std::move(record);
      ++used;
    }
  }

  int enter(const Name& name, FenceUse use, std::uint64_t token, int timeout_ms,
            lock_fence_pass* pass) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    bool time_is_over = timeout_ms == 0;
    std::unique_lock guard(mutex);
    if (failed) return LOCK_ERROR_FILE;
    const auto known = locks.find(name);
    if (used >= capacity && (known == locks.end() || known->second.record.generation == 0)) {
      advice = "this fence remembers " + std::to_string(used) +
               " locks and forgets none: open it with a higher locks_max (at most " +
               std::to_string(LOCK_FENCE_LOCKS_MAX) +
               "), let a lock stand for more, or divide the names between several fences";
      return LOCK_ERROR_LIMIT;
    }
    Lock& lock = locks[name];
    for (;;) {
      if (!lock.record.tokens.admits(use, token)) return LOCK_ERROR_STALE;
      // Before it waits: from now on nobody whose turn is over comes in.
      if (!raise(name, lock, lock.record.tokens.raised(use, token))) return LOCK_ERROR_FILE;
      if (lock.room_for(use)) break;
      if (time_is_over) return LOCK_ERROR_IN_USE;
      if (timeout_ms < 0) {
        left.wait(guard);
      } else {
        time_is_over = left.wait_until(guard, end) == std::cv_status::timeout;
      }
      if (failed) return LOCK_ERROR_FILE;
    }
    if (inside.size() >= kInsideMax) {
      advice = std::to_string(kInsideMax) + " are inside of this fence; each must leave it";
      return LOCK_ERROR_LIMIT;
    }
    inside.emplace(++last_pass, Inside{&lock, use});
    use == FenceUse::write ? void(lock.writer = true) : void(++lock.readers);
    pass->id = last_pass;
    return 0;
  }

  int leave(std::uint64_t pass) {
    const std::lock_guard guard(mutex);
    const auto found = inside.find(pass);
    if (found == inside.end()) return LOCK_ERROR_NOT_HELD;
    Lock& lock = *found->second.lock;
    found->second.use == FenceUse::write ? void(lock.writer = false) : void(--lock.readers);
    inside.erase(found);
    left.notify_all();
    return 0;
  }

  // False if the file failed. A lock has a place in the file only from its first token on.
  bool raise(const Name& name, Lock& lock, const FenceTokens& tokens) {
    if (tokens == lock.record.tokens) return true;
    FenceRecord next = {.index = lock.record.generation == 0 ? used : lock.record.index,
                        .generation = lock.record.generation + 1,
                        .tokens = tokens,
                        .lockspace = name.lockspace,
                        .name = name.name};
    if (file) {
      if (const auto written = file->write(next); !written) {
        failed = true;
        advice = written.error().text;
        return false;
      }
    }
    if (next.generation == 1) ++used;
    lock.record = std::move(next);
    return true;
  }

  const liblock::Owner owner;
  std::mutex mutex;
  std::condition_variable left;  // Somebody has.
  std::optional<FenceFile> file;
  std::uint32_t capacity;
  std::uint32_t used = 0;  // Locks of which a token was seen.
  std::unordered_map<Name, Lock, HashName> locks;
  std::unordered_map<std::uint64_t, Inside> inside;
  std::uint64_t last_pass = 0;
  bool failed = false;
  std::string advice;
};

extern "C" {

int lock_fence_create(const char* path, unsigned locks_max) {
  const std::uint32_t capacity = capacity_of(locks_max);
  if (path == nullptr || *path == '\0' || capacity == 0) return LOCK_ERROR_INVALID;
  return guarded([&] {
    open_advice.clear();
    const auto created = FenceFile::create(path, capacity);
    return created ? 0 : fail(created.error());
  });
}

int lock_fence_open(const char* path, unsigned locks_max, lock_fence** fence) {
  if (fence == nullptr) return LOCK_ERROR_INVALID;
  *fence = nullptr;
  const std::uint32_t capacity = capacity_of(locks_max);
  if (capacity == 0 || (path != nullptr && *path == '\0')) return LOCK_ERROR_INVALID;
  return guarded([&] {
    open_advice.clear();
    std::optional<FenceFile> file;
    if (path != nullptr) {
      auto opened = FenceFile::open(path, locks_max == 0 ? 0 : capacity);
      if (!opened) return fail(opened.error());
      file = std::move(*opened);
    }
    *fence = std::make_unique<lock_fence>(std::move(file), capacity).release();
    return 0;
  });
}

void lock_fence_close(lock_fence* fence) {
  if (fence == nullptr) return;
  // In a forked child the object may be in any state, another thread having been at work on it:
  // only the copy of the descriptor is closed.
  if (!fence->owner.asks()) {
    fence->file.reset();
  } else {
    delete fence;
  }
}

int lock_fence_enter(lock_fence* fence, const char* lockspace, const void* name, size_t name_len,
                     enum lock_fence_use use, uint64_t token, int timeout_ms,
                     lock_fence_pass* pass) {
  if (fence == nullptr || pass == nullptr || token == 0 ||
      (use != LOCK_FENCE_READ && use != LOCK_FENCE_WRITE)) {
    return LOCK_ERROR_INVALID;
  }
  if (!fence->owner.asks()) return LOCK_ERROR_FORKED;
  return guarded([&] {
    const auto wanted = name_of(lockspace, name, name_len);
    if (!wanted) return int{LOCK_ERROR_INVALID};
    return fence->enter(*wanted, use == LOCK_FENCE_WRITE ? FenceUse::write : FenceUse::read, token,
                        timeout_ms, pass);
  });
}

int lock_fence_leave(lock_fence* fence, const lock_fence_pass* pass) {
  if (fence == nullptr || pass == nullptr) return LOCK_ERROR_INVALID;
  if (!fence->owner.asks()) return LOCK_ERROR_FORKED;
  return guarded([&] { return fence->leave(pass->id); });
}

int lock_fence_seen(lock_fence* fence, const char* lockspace, const void* name, size_t name_len,
                    lock_fence_tokens* tokens) {
  if (fence == nullptr || tokens == nullptr) return LOCK_ERROR_INVALID;
  *tokens = {};
  if (!fence->owner.asks()) return LOCK_ERROR_FORKED;
  return guarded([&] {
    const auto wanted = name_of(lockspace, name, name_len);
    if (!wanted) return int{LOCK_ERROR_INVALID};
    const std::lock_guard guard(fence->mutex);
    const auto found = fence->locks.find(*wanted);
    if (found != fence->locks.end()) {
      const FenceTokens& seen = found->second.record.tokens;
      *tokens = {.any = seen.any, .written = seen.written};
    }
    return 0;
  });
}

size_t lock_fence_advice(lock_fence* fence, char* text, size_t size) {
  if (text == nullptr || size == 0) return 0;
  *text = '\0';
  if (fence == nullptr) return liblock::copy_text(open_advice, text, size);
  if (!fence->owner.asks()) return 0;
  try {
    const std::lock_guard guard(fence->mutex);
    return liblock::copy_text(fence->advice, text, size);
  } catch (const std::exception&) {
    return 0;
  }
}

}  // extern "C"
