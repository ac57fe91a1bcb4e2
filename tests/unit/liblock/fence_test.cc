#include <doctest/doctest.h>
#include <fcntl.h>
#include <liblock/fence.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/random.h"
#include "liblock/descriptor.h"
#include "liblock/fence_record.h"
#include "tests/unit/liblock/fake_disk.h"

using liblock_test::FakeDisk;

namespace {

constexpr auto kRead = LOCK_FENCE_READ;
constexpr auto kWrite = LOCK_FENCE_WRITE;
constexpr std::uint32_t kLocks = 8;  // The smallest file.

class Folder {
 public:
  Folder() { REQUIRE(mkdtemp(path_.data()) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string file() const { return path_ + "/fence"; }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::string path_ = (std::filesystem::temp_directory_path() / "fence_test.XXXXXX").string();
};

struct CloseFence {
  void operator()(lock_fence* fence) const { lock_fence_close(fence); }
};
using Fence = std::unique_ptr<lock_fence, CloseFence>;

int try_open(const std::string& path, Fence& fence, unsigned locks_max = 0) {
  lock_fence* opened = nullptr;
  const int error = lock_fence_open(path.c_str(), locks_max, &opened);
  CHECK((error == 0) == (opened != nullptr));
  fence.reset(opened);
  return error;
}

Fence open_fence(const std::string& path, unsigned locks_max = 0) {
  Fence fence;
  REQUIRE(try_open(path, fence, locks_max) == 0);
  return fence;
}

Fence new_fence(const std::string& path) {
  REQUIRE(lock_fence_create(path.c_str(), kLocks) == 0);
  return open_fence(path);
}

Fence memory_fence() {
  lock_fence* fence = nullptr;
  REQUIRE(lock_fence_open(nullptr, kLocks, &fence) == 0);
  return Fence(fence);
}

int enter(const Fence& fence, const std::string& name, lock_fence_use use, std::uint64_t token,
          lock_fence_pass& pass, int timeout_ms = 0) {
  return lock_fence_enter(fence.get(), nullptr, name.data(), name.size(), use, token, timeout_ms,
                          &pass);
}

// Enters and leaves.
int visit(const Fence& fence, const std::string& name, lock_fence_use use, std::uint64_t token) {
  lock_fence_pass pass{};
  const int error = enter(fence, name, use, token, pass);
  if (error == 0) CHECK(lock_fence_leave(fence.get(), &pass) == 0);
  return error;
}

liblock::FenceTokens seen(const Fence& fence, const std::string& name) {
  lock_fence_tokens tokens{};
  CHECK(lock_fence_seen(fence.get(), nullptr, name.data(), name.size(), &tokens) == 0);
  return {.any = tokens.any, .written = tokens.written};
}

std::string advice(const Fence& fence) {
  std::array<char, 1024> text{};
  const std::size_t length = lock_fence_advice(fence.get(), text.data(), text.size());
  CHECK(length == std::string(text.data()).size());
  return text.data();
}

bool mentions(const std::string& text, const std::string& word) {
  return text.find(word) != std::string::npos;
}

base::Buffer content_of(const std::string& path) {
  const liblock::Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  base::Buffer content(std::filesystem::file_size(path));
  REQUIRE(read(fd.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  return content;
}

// Without a truncation to nothing, after which some file systems wait for their disk.
void put(const std::string& path, base::Bytes content) {
  const liblock::Descriptor fd(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  REQUIRE(write(fd.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  REQUIRE(ftruncate(fd.get(), static_cast<off_t>(content.size())) == 0);
}

base::Buffer empty_content() {
  const Folder folder;
  new_fence(folder.file());
  return content_of(folder.file());
}

// A file in which three locks have had several tokens each, and what it remembers of them.
const std::map<std::string, liblock::FenceTokens> kKnown = {{"a", {.any = 9, .written = 7}},
                                                            {"b", {.any = 4, .written = 4}},
                                                            {"c", {.any = 5, .written = 0}}};

base::Buffer known_content(const Folder& folder) {
  const Fence fence = new_fence(folder.file());
  CHECK(visit(fence, "a", kWrite, 2) == 0);
  CHECK(visit(fence, "b", kWrite, 3) == 0);
  CHECK(visit(fence, "b", kWrite, 4) == 0);
  CHECK(visit(fence, "c", kRead, 5) == 0);
  CHECK(visit(fence, "a", kWrite, 7) == 0);
  CHECK(visit(fence, "a", kRead, 9) == 0);
  return content_of(folder.file());
}

// Whether a file with this content is refused as damaged; if it is not, all is remembered.
bool is_damaged(const std::string& path, base::Bytes content) {
  put(path, content);
  Fence fence;
  const int error = try_open(path, fence);
  if (error == 0) {
    for (const auto& [name, tokens] : kKnown) CHECK(seen(fence, name) == tokens);
  } else {
    CHECK(error == LOCK_ERROR_DAMAGED);
    CHECK(content_of(path) == base::Buffer(content.begin(), content.end()));
  }
  return error != 0;
}

}  // namespace

TEST_CASE("a write needs every token seen, a read only those of writes") {
  const Fence fence = memory_fence();
  CHECK(visit(fence, "a", kWrite, 10) == 0);
  CHECK(visit(fence, "a", kWrite, 10) == 0);
  CHECK(visit(fence, "a", kRead, 9) == LOCK_ERROR_STALE);
  CHECK(visit(fence, "a", kRead, 10) == 0);
  CHECK(visit(fence, "a", kRead, 14) == 0);
  CHECK(visit(fence, "a", kRead, 12) == 0);  // Shared with 14.
  CHECK(visit(fence, "a", kWrite, 13) == LOCK_ERROR_STALE);
  CHECK(seen(fence, "a") == liblock::FenceTokens{.any = 14, .written = 10});
  CHECK(visit(fence, "a", kWrite, 15) == 0);
  CHECK(visit(fence, "a", kRead, 14) == LOCK_ERROR_STALE);
  CHECK(visit(fence, "a", kWrite, UINT64_MAX) == 0);
  CHECK(visit(fence, "a", kRead, UINT64_MAX - 1) == LOCK_ERROR_STALE);
}

TEST_CASE("each lock has tokens of its own, whatever bytes its name has") {
  const Folder folder;
  const std::vector<std::string> names = {"a", std::string("a\0", 2), std::string(255, '\xff'),
                                          "A"};
  const std::string longest(64, 's');
  {
    const Fence fence = new_fence(folder.file());
    for (std::size_t i = 0; i < names.size(); ++i)
      CHECK(visit(fence, names[i], kWrite, 100 - i) == 0);
    lock_fence_pass pass{};
    CHECK(lock_fence_enter(fence.get(), longest.c_str(), "a", 1, kWrite, 5, 0, &pass) == 0);
    CHECK(lock_fence_enter(fence.get(), "default", "a", 1, kWrite, 99, 0, &pass) ==
          LOCK_ERROR_STALE);
  }
  const Fence fence = open_fence(folder.file());
  for (std::size_t i = 0; i < names.size(); ++i) CHECK(seen(fence, names[i]).written == 100 - i);
  lock_fence_tokens tokens{};
  CHECK(lock_fence_seen(fence.get(), longest.c_str(), "a", 1, &tokens) == 0);
  CHECK(tokens.written == 5);
  CHECK(seen(fence, "unknown") == liblock::FenceTokens{});
}

TEST_CASE("inside are readers together, or a writer alone") {
  const Fence fence = memory_fence();
  lock_fence_pass first{};
  lock_fence_pass second{};
  lock_fence_pass other{};
  CHECK(enter(fence, "a", kRead, 3, first) == 0);
  CHECK(enter(fence, "a", kRead, 4, second) == 0);
  CHECK(enter(fence, "a", kWrite, 5, other) == LOCK_ERROR_IN_USE);
  CHECK(enter(fence, "b", kWrite, 1, other) == 0);
  CHECK(lock_fence_leave(fence.get(), &first) == 0);
  CHECK(lock_fence_leave(fence.get(), &first) == LOCK_ERROR_NOT_HELD);
  CHECK(enter(fence, "a", kWrite, 5, first) == LOCK_ERROR_IN_USE);
  CHECK(lock_fence_leave(fence.get(), &second) == 0);
  CHECK(enter(fence, "a", kWrite, 5, first) == 0);
  CHECK(enter(fence, "a", kRead, 5, second) == LOCK_ERROR_IN_USE);
  CHECK(enter(fence, "a", kRead, 6, second, 1) == LOCK_ERROR_IN_USE);
  CHECK(lock_fence_leave(fence.get(), &first) == 0);
  CHECK(lock_fence_leave(fence.get(), &other) == 0);
}

TEST_CASE("who waits lets nobody in who is older, and is refused when it is overtaken itself") {
  const Fence fence = memory_fence();
  lock_fence_pass reader{};
  REQUIRE(enter(fence, "a", kRead, 3, reader) == 0);
  int outcome = 1;
  std::thread writer([&] {
    lock_fence_pass pass{};
    outcome = enter(fence, "a", kWrite, 5, pass, -1);
  });
  while (seen(fence, "a").written < 5) std::this_thread::yield();
  CHECK(visit(fence, "a", kRead, 4) == LOCK_ERROR_STALE);
  CHECK(visit(fence, "a", kRead, 6) == 0);
  CHECK(lock_fence_leave(fence.get(), &reader) == 0);
  writer.join();
  CHECK(outcome == LOCK_ERROR_STALE);
}

TEST_CASE("effects of many threads come in the order of their tokens") {
  const Fence fence = memory_fence();
  struct Resource {
    std::uint64_t written = 0;  // Guarded by the fence alone.
    std::size_t writes = 0;
  };
  std::array<Resource, 2> resources;
  std::atomic<std::uint64_t> last_token = 0;
  std::atomic<bool> disorder = false;
  const auto work = [&](std::uint64_t seed) {
    base::Random random(seed);
    for (int i = 0; i < 2000; ++i) {
      const std::size_t which = random.below(resources.size());
      const bool write = random.below(2) == 0;
      const std::uint64_t token = ++last_token;
      if (random.below(4) == 0) std::this_thread::yield();
      lock_fence_pass pass{};
      const int error =
          enter(fence, which == 0 ? "a" : "b", write ? kWrite : kRead, token, pass, -1);
      if (error == LOCK_ERROR_STALE) continue;
      if (error != 0 || resources[which].written > token) disorder = true;
      if (write) {
        resources[which].written = token;
        ++resources[which].writes;
      }
      lock_fence_leave(fence.get(), &pass);
    }
  };
  std::vector<std::thread> threads;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) threads.emplace_back(work, seed);
  for (std::thread& thread : threads) thread.join();
  CHECK_FALSE(disorder);
  CHECK(resources[0].writes + resources[1].writes > 0);
}

TEST_CASE("what was seen is remembered by the next one who opens the file") {
  const Folder folder;
  known_content(folder);
  const Fence fence = open_fence(folder.file());
  for (const auto& [name, tokens] : kKnown) CHECK(seen(fence, name) == tokens);
  CHECK(advice(fence).empty());
  CHECK(visit(fence, "a", kWrite, 8) == LOCK_ERROR_STALE);
  CHECK(visit(fence, "a", kRead, 6) == LOCK_ERROR_STALE);
  CHECK(visit(fence, "a", kRead, 7) == 0);
}

TEST_CASE("a file is made once, and a missing one is not made anew") {
  const Folder folder;
  Fence fence;
  CHECK(try_open(folder.file(), fence) == LOCK_ERROR_FILE);
  CHECK(mentions(advice(nullptr), "missing"));
  CHECK(folder.files() == 0);
  CHECK(lock_fence_create(folder.file().c_str(), kLocks) == 0);
  CHECK(lock_fence_create(folder.file().c_str(), kLocks) == LOCK_ERROR_FILE);
  CHECK(mentions(advice(nullptr), "exists already"));
  CHECK(folder.files() == 1);
  CHECK(lock_fence_create((folder.file() + "/absent").c_str(), 0) == LOCK_ERROR_FILE);
  CHECK(try_open(folder.file() + "/..", fence) == LOCK_ERROR_FILE);
  const std::string link = folder.file() + ".link";
  REQUIRE(symlink(folder.file().c_str(), link.c_str()) == 0);
  CHECK(try_open(link, fence) == LOCK_ERROR_FILE);
  REQUIRE(mkfifo((folder.file() + ".fifo").c_str(), 0600) == 0);
  CHECK(try_open(folder.file() + ".fifo", fence) == LOCK_ERROR_FILE);
  CHECK(try_open(folder.file(), fence) == 0);
}

TEST_CASE("a file has one user at a time") {
  const Folder folder;
  Fence fence = new_fence(folder.file());
  Fence second;
  CHECK(try_open(folder.file(), second) == LOCK_ERROR_IN_USE);
  CHECK(mentions(advice(nullptr), "in use"));
  const pid_t child = fork();
  if (child == 0) {
    lock_fence* opened = nullptr;
    _exit(lock_fence_open(folder.file().c_str(), 0, &opened) == LOCK_ERROR_IN_USE ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  fence.reset();
  CHECK(try_open(folder.file(), second) == 0);
}

TEST_CASE("a child owns nothing, and takes nothing from its parent") {
  const Folder folder;
  const Fence fence = new_fence(folder.file());
  const pid_t child = fork();
  if (child == 0) {
    lock_fence_pass pass{};
    lock_fence_tokens tokens{};
    const bool refused =
        lock_fence_enter(fence.get(), nullptr, "a", 1, kWrite, 1, 0, &pass) == LOCK_ERROR_FORKED &&
        lock_fence_leave(fence.get(), &pass) == LOCK_ERROR_FORKED &&
        lock_fence_seen(fence.get(), nullptr, "a", 1, &tokens) == LOCK_ERROR_FORKED;
    lock_fence_close(fence.get());
    _exit(refused ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  Fence second;
  CHECK(try_open(folder.file(), second) == LOCK_ERROR_IN_USE);
  CHECK(visit(fence, "a", kWrite, 1) == 0);
}

TEST_CASE("a full fence refuses new locks, forgets none, and can be enlarged") {
  const Folder folder;
  Fence fence = new_fence(folder.file());
  REQUIRE(chmod(folder.file().c_str(), 0640) == 0);
  for (std::uint64_t i = 1; i <= kLocks; ++i) {
    CHECK(visit(fence, std::to_string(i), kWrite, 10 * i) == 0);
  }
  CHECK(visit(fence, "9", kWrite, 90) == LOCK_ERROR_LIMIT);
  CHECK(mentions(advice(fence), "locks_max"));
  CHECK(visit(fence, "8", kWrite, 100) == 0);
  CHECK(visit(fence, "1", kWrite, 9) == LOCK_ERROR_STALE);
  fence.reset();

  fence = open_fence(folder.file(), kLocks + 1);
  Fence second;
  CHECK(try_open(folder.file(), second) == LOCK_ERROR_IN_USE);
  CHECK(visit(fence, "9", kWrite, 90) == 0);
  CHECK(folder.files() == 1);
  struct stat status {};
  CHECK(stat(folder.file().c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0640);
  fence.reset();

  fence = open_fence(folder.file(), 1);  // It does not shrink.
  for (std::uint64_t i = 1; i <= kLocks + 1; ++i) {
    CHECK(visit(fence, std::to_string(i), kWrite, 10 * i - 1) == LOCK_ERROR_STALE);
  }
  for (std::uint64_t i = kLocks + 2; i <= 2 * kLocks; ++i) {
    CHECK(visit(fence, std::to_string(i), kWrite, 1) == 0);
  }
  CHECK(visit(fence, "17", kWrite, 1) == LOCK_ERROR_LIMIT);
}

TEST_CASE("a fence in memory is full, too") {
  const Fence fence = memory_fence();
  for (std::uint64_t i = 1; i <= kLocks; ++i) CHECK(visit(fence, std::to_string(i), kRead, i) == 0);
  CHECK(visit(fence, "9", kRead, 9) == LOCK_ERROR_LIMIT);
}

TEST_CASE("what is out of its range is refused") {
  const Fence fence = memory_fence();
  const auto error = [&fence](const char* lockspace, const void* name, size_t len, int use,
                              std::uint64_t token) {
    lock_fence_pass pass{};
    return lock_fence_enter(fence.get(), lockspace, name, len, static_cast<lock_fence_use>(use),
                            token, 0, &pass);
  };
  const std::string longest(256, 'x');
  CHECK(error(nullptr, longest.data(), 255, kWrite, 1) == 0);
  CHECK(error(nullptr, longest.data(), 256, kWrite, 1) == LOCK_ERROR_INVALID);
  CHECK(error(nullptr, "", 0, kWrite, 1) == LOCK_ERROR_INVALID);
  CHECK(error(nullptr, nullptr, 1, kWrite, 1) == LOCK_ERROR_INVALID);
  CHECK(error("", "a", 1, kWrite, 1) == LOCK_ERROR_INVALID);
  CHECK(error(std::string(65, 's').c_str(), "a", 1, kWrite, 1) == LOCK_ERROR_INVALID);
  CHECK(error(nullptr, "a", 1, kWrite, 0) == LOCK_ERROR_INVALID);
  CHECK(error(nullptr, "a", 1, 0, 1) == LOCK_ERROR_INVALID);
  CHECK(error(nullptr, "a", 1, 3, 1) == LOCK_ERROR_INVALID);
  lock_fence_pass pass{};
  CHECK(lock_fence_enter(nullptr, nullptr, "a", 1, kWrite, 1, 0, &pass) == LOCK_ERROR_INVALID);
  CHECK(lock_fence_leave(fence.get(), &pass) == LOCK_ERROR_NOT_HELD);
  CHECK(lock_fence_create("", 0) == LOCK_ERROR_INVALID);
  CHECK(lock_fence_create(nullptr, 0) == LOCK_ERROR_INVALID);
  CHECK(lock_fence_create("unused", LOCK_FENCE_LOCKS_MAX + 1) == LOCK_ERROR_INVALID);
  CHECK(lock_fence_open("unused", 0, nullptr) == LOCK_ERROR_INVALID);
  lock_fence_close(nullptr);
}

TEST_CASE("a file of which one byte has changed is refused, or says what it said") {
  const Folder folder;
  base::Buffer content = known_content(folder);
  const FakeDisk fast(content);  // Whose syncs take no time.
  std::size_t repaired = 0;
  for (std::size_t at = 0; at < content.size(); ++at) {
    const std::byte was = content[at];
    content[at] ^= std::byte(1 << (at % 8));
    const bool damaged = is_damaged(folder.file(), content);
    CHECK(damaged == (at < liblock::kFenceBlockBytes));  // Of a header there is only one.
    repaired += damaged ? 0 : 1;
    content[at] = was;
  }
  CHECK(repaired == content.size() - liblock::kFenceBlockBytes);
  CHECK_FALSE(is_damaged(folder.file(), content));
}

TEST_CASE("a repair is said, and leaves two copies that agree") {
  const Folder folder;
  base::Buffer content = known_content(folder);
  const base::Buffer sound = content;
  content[liblock::fence_slot_offset(1, 1) + 100] ^= std::byte{1};
  put(folder.file(), content);
  CHECK(mentions(advice(open_fence(folder.file())), "damaged"));
  CHECK(content_of(folder.file()) == sound);
  CHECK(advice(open_fence(folder.file())).empty());
}

TEST_CASE("a file that was cut off anywhere is refused, and so is a longer one") {
  const Folder folder;
  base::Buffer content = known_content(folder);
  for (std::size_t size = 0; size < content.size(); ++size) {
    CHECK(is_damaged(folder.file(), base::Bytes(content).first(size)));
  }
  content.resize(content.size() + 1);
  CHECK(is_damaged(folder.file(), content));
}

TEST_CASE("a lock of which both copies are gone is not forgotten") {
  const Folder folder;
  const base::Buffer content = known_content(folder);
  const base::Buffer empty = empty_content();
  const auto with_record = [&content](std::uint32_t index,
                                      const std::function<std::byte(std::size_t)>& byte) {
    base::Buffer changed = content;
    for (const unsigned slot : {0U, 1U}) {
      const std::size_t begin = liblock::fence_slot_offset(index, slot);
      for (std::size_t i = 0; i < liblock::kFenceSlotBytes; ++i)
        changed[begin + i] = byte(begin + i);
    }
    return changed;
  };
  const FakeDisk fast(content);
  for (std::uint32_t index = 0; index < kLocks; ++index) {
    CHECK(is_damaged(folder.file(), with_record(index, [](std::size_t) { return std::byte{0}; })));
    CHECK(
        is_damaged(folder.file(), with_record(index, [](std::size_t) { return std::byte{255}; })));
  }
  // A free place, or another lock's record, where a lock was.
  CHECK(is_damaged(folder.file(), with_record(1, [&](std::size_t at) { return empty[at]; })));
  CHECK(is_damaged(folder.file(), with_record(1, [&](std::size_t at) {
                     return content[at - liblock::kFenceSlotBytes];
                   })));
}

TEST_CASE("what was never written so is refused, though its checksum is right") {
  const Folder folder;
  const base::Buffer content = known_content(folder);
  const FakeDisk fast(content);
  constexpr std::size_t kIndex = 0;
  constexpr std::size_t kGeneration = 4;
  constexpr std::size_t kSeen = 12;
  constexpr std::size_t kWritten = 20;
  // Slots of record 1, `b`, whose tokens are 4 and 4, or of what is put there; with a byte of each
  // changed.
  struct Change {
    unsigned slot;
    std::size_t at;
    int by;
  };
  const auto with = [&](std::uint32_t from, const std::vector<Change>& changes) {
    base::Buffer changed = content;
    for (const unsigned slot : {0U, 1U}) {
      base::Buffer bytes(
          content.begin() + static_cast<std::ptrdiff_t>(liblock::fence_slot_offset(from, slot)),
          content.begin() + static_cast<std::ptrdiff_t>(liblock::fence_slot_offset(from, slot) +
                                                        liblock::kFenceSlotBytes - 4));
      for (const Change& change : changes) {
        if (change.slot == slot) bytes[change.at] = std::byte(int(bytes[change.at]) + change.by);
      }
      base::ByteWriter(bytes).u32(base::crc32c(bytes));
      std::copy(bytes.begin(), bytes.end(),
                changed.begin() + static_cast<std::ptrdiff_t>(liblock::fence_slot_offset(1, slot)));
    }
    return changed;
  };
  CHECK(with(1, {}) == content);
  CHECK_FALSE(is_damaged(folder.file(), with(1, {{0, kGeneration, -1}})));  // Not copied yet.
  CHECK_FALSE(is_damaged(folder.file(),
                         with(1, {{1, kGeneration, -1}, {1, kSeen, -1}, {1, kWritten, -1}})));
  CHECK(is_damaged(folder.file(), with(0, {{0, kIndex, 1}, {1, kIndex, 1}})));  // `a` twice.
  CHECK(is_damaged(folder.file(), with(1, {{0, kIndex, 1}, {1, kIndex, 1}})));
  CHECK(is_damaged(folder.file(), with(1, {{0, kGeneration, 2}})));
  CHECK(is_damaged(folder.file(), with(1, {{0, kSeen, 1}})));
  CHECK(is_damaged(folder.file(), with(1, {{0, kGeneration, 1}, {1, kSeen, 1}})));
  CHECK(is_damaged(folder.file(), with(1, {{0, kGeneration, 1}, {0, kWritten, -1}})));
  CHECK(is_damaged(folder.file(), with(1, {{0, kWritten, 1}, {1, kWritten, 1}})));
}

TEST_CASE("changes in both copies of a record are never taken for older tokens") {
  const Folder folder;
  const base::Buffer content = known_content(folder);
  const FakeDisk fast(content);
  base::Random random(20);
  for (int round = 0; round < 2000; ++round) {
    base::Buffer changed = content;
    const auto index = static_cast<std::uint32_t>(random.below(3));
    for (const unsigned slot : {0U, 1U}) {
      const std::size_t begin = liblock::fence_slot_offset(index, slot);
      for (std::uint64_t left = 1 + random.below(3); left > 0; --left) {
        changed[begin + random.below(40)] ^= std::byte(1 << random.below(8));
      }
    }
    // Two flips of the same bit leave what was.
    is_damaged(folder.file(), changed);
  }
}

TEST_CASE("a token that raises what is remembered costs one sync, any other none") {
  const Folder folder;
  const Fence fence = new_fence(folder.file());
  const FakeDisk disk(content_of(folder.file()));
  std::size_t raised = 0;
  const auto costs = [&](lock_fence_use use, std::uint64_t token, int outcome, bool raises) {
    CHECK(visit(fence, "a", use, token) == outcome);
    raised += raises ? 1 : 0;
    CHECK(disk.syncs() == raised);
    CHECK(disk.writes() == 2 * raised);
  };
  costs(kRead, 5, 0, true);
  costs(kRead, 5, 0, false);
  costs(kRead, 3, 0, false);
  costs(kWrite, 5, 0, true);  // 5 is written now.
  costs(kWrite, 5, 0, false);
  costs(kWrite, 4, LOCK_ERROR_STALE, false);
  costs(kWrite, 6, 0, true);
}

TEST_CASE("the power can go at any byte of what a token writes") {
  const Folder folder;
  const base::Buffer before = known_content(folder);
  const auto next_use = [&](const std::string& name, std::uint64_t token) {
    for (std::size_t call = 0; call < 4; ++call) {
      for (std::size_t bytes = 0; bytes <= liblock::kFenceSlotBytes; ++bytes) {
        for (const bool from_the_end : {false, true}) {
          put(folder.file(), before);
          Fence fence = open_fence(folder.file());
          FakeDisk disk(before);
          disk.cut_power_at(call, [&](const FakeDisk::Write& write) {
            const std::size_t size = write.bytes.size();
            return from_the_end ? std::pair(size - bytes, size) : std::pair(std::size_t{0}, bytes);
          });
          const liblock::FenceTokens old = seen(fence, name);
          const int error = visit(fence, name, kWrite, token);
          if (call == 3) CHECK(error == 0);
          fence.reset();
          if (disk.power_is_cut()) put(folder.file(), disk.content());
          FakeDisk repaired(disk.content());
          fence = open_fence(folder.file());
          const std::uint64_t any = seen(fence, name).any;
          CHECK((any == token || (error != 0 && any == old.any)));
          for (const auto& [other, tokens] : kKnown) {
            if (other != name) CHECK(seen(fence, other) == tokens);
          }
        }
      }
    }
  };
  next_use("a", 20);
  next_use("new", 20);
}

TEST_CASE("a disk that failed is trusted again only after the file was opened anew") {
  const Folder folder;
  Fence fence = new_fence(folder.file());
  CHECK(visit(fence, "a", kWrite, 1) == 0);
  {
    FakeDisk disk(content_of(folder.file()));
    disk.fail_sync();
    CHECK(visit(fence, "a", kWrite, 2) == LOCK_ERROR_FILE);
    CHECK(mentions(advice(fence), "cannot be written"));
    CHECK(visit(fence, "a", kWrite, 2) == LOCK_ERROR_FILE);
    CHECK(visit(fence, "b", kWrite, 1) == LOCK_ERROR_FILE);
    CHECK(visit(fence, "a", kWrite, 1) == LOCK_ERROR_FILE);
  }
  fence.reset();
  fence = open_fence(folder.file());
  CHECK(visit(fence, "a", kWrite, 2) == 0);
  CHECK(visit(fence, "a", kWrite, 1) == LOCK_ERROR_STALE);
}

namespace {

// The rule, and what each lock was told under it.
struct Model {
  struct Lock {
    liblock::FenceTokens told;   // Let in: never less is remembered.
    liblock::FenceTokens tried;  // Perhaps on the disk: never more.
  };
  std::map<std::string, Lock> locks;

  bool admits(const std::string& name, bool write, std::uint64_t token) const {
    const auto found = locks.find(name);
    if (found == locks.end()) return true;
    return token >= (write ? found->second.told.any : found->second.told.written);
  }
  static void raise(liblock::FenceTokens& tokens, bool write, std::uint64_t token) {
    tokens.any = std::max(tokens.any, token);
    if (write) tokens.written = std::max(tokens.written, token);
  }
};

// One life of a file: uses at random, and restarts in between, after which the file is what the
// system had of it, or what the disk has after a power cut.
void live(std::uint64_t seed, const base::Buffer& empty, std::size_t& cuts) {
  base::Random random(seed);
  const Folder folder;
  put(folder.file(), empty);
  Fence fence = open_fence(folder.file());
  Model model;
  auto disk = std::make_unique<FakeDisk>(content_of(folder.file()));
  const auto any_part = [&random](const FakeDisk::Write& write) {
    std::size_t from = random.below(write.bytes.size() + 1);
    std::size_t to = random.below(write.bytes.size() + 1);
    if (random.below(3) == 0) from = 0;
    if (random.below(3) == 0) to = write.bytes.size();
    return std::pair(std::min(from, to), std::max(from, to));
  };
  std::uint64_t newest = 1;
  for (int step = 0; step < 60; ++step) {
    if (random.below(8) == 0) disk->cut_power_at(random.below(12), any_part);
    if (random.below(20) == 0) disk->fail_sync();
    const std::string name(1, static_cast<char>('a' + random.below(4)));
    const bool write = random.below(2) == 0;
    newest += random.below(3);
    const std::uint64_t token = newest - std::min(newest - 1, random.below(4));
    const int error = visit(fence, name, write ? kWrite : kRead, token);
    const bool admitted = model.admits(name, write, token);
    if (error == 0) {
      CHECK(admitted);
      Model::raise(model.locks[name].told, write, token);
      Model::raise(model.locks[name].tried, write, token);
      CHECK(seen(fence, name) == model.locks[name].told);
    } else if (error == LOCK_ERROR_STALE) {
      CHECK_FALSE(admitted);
    } else {
      CHECK(error == LOCK_ERROR_FILE);
      if (admitted) Model::raise(model.locks[name].tried, write, token);
    }
    // Now and then it is started anew, and again until nothing stands in the way.
    if (error != LOCK_ERROR_FILE && random.below(6) != 0) continue;
    for (bool open = false; !open;) {
      fence.reset();
      if (disk->power_is_cut()) {
        ++cuts;
        put(folder.file(), disk->content());
        disk = nullptr;
        disk = std::make_unique<FakeDisk>(content_of(folder.file()));
        if (random.below(3) == 0) disk->cut_power_at(random.below(8), any_part);
      }
      const int opened = try_open(folder.file(), fence);
      REQUIRE((opened == 0 || opened == LOCK_ERROR_FILE));
      open = opened == 0;
    }
    for (auto& [lock, tokens] : model.locks) {
      const liblock::FenceTokens now = seen(fence, lock);
      CHECK(now.any >= tokens.told.any);
      CHECK(now.any <= tokens.tried.any);
      CHECK(now.written >= tokens.told.written);
      CHECK(now.written <= tokens.tried.written);
      tokens = {.told = now, .tried = now};
    }
  }
}

}  // namespace

TEST_CASE("uses at random agree with the rule, through restarts, power cuts and failed syncs") {
  const base::Buffer empty = empty_content();
  std::size_t cuts = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    live(seed, empty, cuts);
  }
  CHECK(cuts > 300);
}

TEST_CASE("a resource that stores the tokens itself gives them to a fence in memory") {
  liblock::FenceTokens stored;
  {
    const Fence fence = memory_fence();
    CHECK(visit(fence, "a", kWrite, 5) == 0);
    CHECK(visit(fence, "a", kRead, 8) == 0);
    stored = seen(fence, "a");
  }
  const Fence fence = memory_fence();
  CHECK(visit(fence, "a", kWrite, stored.written) == 0);
  CHECK(visit(fence, "a", kRead, stored.any) == 0);
  CHECK(seen(fence, "a") == stored);
}
