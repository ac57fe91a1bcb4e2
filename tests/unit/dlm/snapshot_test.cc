#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "dlm/table.h"
#include "tests/unit/dlm/requests.h"

namespace dlm {
namespace {

// Two lockspaces, shared and exclusive holders, queues, a session on several resources.
Table example() {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::ex));
  acquire(table, want(lock(2, 1), "a", Mode::pr));
  acquire(table, want(lock(3, 1), "a", Mode::pr));
  acquire(table, want(lock(2, 2), "b", Mode::pr));
  acquire(table, want(lock(1, 2), "b", Mode::cr));
  acquire(table, {lock(1, 3), {base::bytes_of("other"), base::bytes_of("a")}, Mode::nl, 0, {}, 0});
  return table;
}

LoadError error_of(const base::Buffer& bytes, const Limits& limits = {}) {
  const auto loaded = Table::deserialize(bytes, limits);
  REQUIRE(!loaded);
  return loaded.error();
}

struct Entry {
  std::uint64_t session;
  std::uint64_t request;
  std::uint64_t stamp;
  std::uint8_t mode;
};

// Flags, second and owner.
void put_rest(base::ByteWriter& out) {
  out.u32(0);
  out.u32(0);
  out.u64(0);
}

// The lists of sessions, in which locks are named by their numbers; nobody has an owner.
void put_sessions(base::ByteWriter& out, std::vector<std::vector<std::uint32_t>> sessions) {
  for (const std::vector<std::uint32_t>& locks : sessions) {
    for (const std::uint32_t lock : locks) out.u32(lock);
    out.u32(0xffffffff);
    out.u32(0xffffffff);
  }
}

// The bytes of a table with one resource, which need not be possible. It ends before the lists of
// sessions.
base::Buffer forged_resources(std::uint64_t next_token, const std::vector<Entry>& granted,
                              const std::vector<Entry>& waiting, std::uint32_t lockspaces = 1) {
  base::Buffer bytes;
  base::ByteWriter out(bytes);
  out.u8(3);
  out.u64(next_token);
  out.u32(lockspaces);
  out.u32(1);
  out.u32(static_cast<std::uint32_t>(granted.size() + waiting.size()));
  for (std::uint32_t i = 0; i < lockspaces; ++i) {
    out.u8(1);
    out.bytes(base::bytes_of("l"));
  }
  out.u32(0);
  out.u8(1);
  out.bytes(base::bytes_of("r"));
  out.u8(0);  // No value block.
  out.u32(static_cast<std::uint32_t>(granted.size()));
  out.u32(0);
  out.u32(static_cast<std::uint32_t>(waiting.size()));
  for (const Entry& entry : granted) {
    out.u64(entry.session);
    out.u64(entry.request);
    out.u64(entry.stamp);
    out.u8(entry.mode);
    out.u8(0);
    out.u8(0);
    put_rest(out);
  }
  for (const Entry& entry : waiting) {
    out.u64(entry.session);
    out.u64(entry.request);
    put_rest(out);
    out.u64(entry.request);
    out.u64(entry.stamp);
    out.u32(0);
    out.u8(entry.mode);
    out.u8(0);
    out.u8(0);
    out.u8(1);
  }
  return bytes;
}

// The same with the lists, those that wait first, each as they come.
base::Buffer forged(std::uint64_t next_token, const std::vector<Entry>& granted,
                    const std::vector<Entry>& waiting, std::uint32_t lockspaces = 1) {
  base::Buffer bytes = forged_resources(next_token, granted, waiting, lockspaces);
  std::map<std::uint64_t, std::vector<std::uint32_t>> sessions;  // By place.
  const auto list = [&](const std::vector<Entry>& entries, std::size_t first) {
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const std::uint64_t hash = SessionRecord::hash_of(SessionId{entries[i].session});
      sessions[HashedSlots<SessionRecord>::place_of(hash)].push_back(
          static_cast<std::uint32_t>(first + i));
    }
  };
  list(waiting, granted.size());
  list(granted, 0);
  base::ByteWriter out(bytes);
  for (const auto& [place, locks] : sessions) put_sessions(out, {locks});
  return bytes;
}

constexpr std::uint8_t kPr = 3;
constexpr std::uint8_t kEx = 5;

}  // namespace

TEST_CASE("equal tables have equal digests and equal bytes, by whatever way they came about") {
  Table direct;
  direct.raise_token_base(100);
  acquire(direct, want(lock(1, 1), "a", Mode::ex));  // 100
  acquire(direct, want(lock(2, 1), "a", Mode::pr));  // 101
  acquire(direct, want(lock(1, 2), "b", Mode::ex));  // 102

  Table detour;
  for (std::uint64_t i = 1; i <= 20; ++i) {
    acquire(detour, want(lock(9, i), "x" + std::to_string(i), Mode::ex));
  }
  acquire(detour, want(lock(8, 1), "x1", Mode::ex));
  Effects effects;
  CHECK(detour.release_some(SessionId{9}, Ending::node_gone, 1000, effects));
  CHECK(detour.release_some(SessionId{8}, Ending::node_gone, 1000, effects));
  detour.raise_token_base(100);
  acquire(detour, want(lock(1, 1), "a", Mode::ex));
  acquire(detour, want(lock(2, 1), "a", Mode::pr));
  acquire(detour, try_for(lock(3, 1), "a", Mode::pr));
  acquire(detour, want(lock(1, 2), "b", Mode::ex));

  CHECK(direct.digest() == detour.digest());
  CHECK(snapshot_of(direct) == snapshot_of(detour));
}

TEST_CASE("whatever tells two tables apart tells their digests apart") {
  const auto digest_after = [](auto change) {
    Table table = example();
    change(table);
    return table.digest();
  };
  std::vector<std::uint64_t> digests = {
      digest_after([](Table&) {}),
      digest_after([](Table& t) { t.draw_token(); }),
      digest_after([](Table& t) { acquire(t, want(lock(7, 1), "c", Mode::ex)); }),
      digest_after([](Table& t) { acquire(t, want(lock(7, 1), "d", Mode::ex)); }),
      digest_after([](Table& t) { acquire(t, want(lock(7, 1), "d", Mode::pr)); }),
      digest_after([](Table& t) { acquire(t, want(lock(7, 2), "d", Mode::pr)); }),
      digest_after([](Table& t) { acquire(t, want(lock(8, 1), "d", Mode::pr)); }),
      digest_after([](Table& t) {
        acquire(t,
                {lock(8, 1), {base::bytes_of("other"), base::bytes_of("d")}, Mode::pr, 0, {}, 0});
      }),
      digest_after([](Table& t) { cancel(t, lock(2, 1)); }),
      digest_after([](Table& t) { release(t, lock(1, 1), Token{1}); }),
  };
  std::sort(digests.begin(), digests.end());
  CHECK(std::unique(digests.begin(), digests.end()) == digests.end());
}

TEST_CASE("a loaded table is equal and goes on like its original") {
  Table original = example();
  auto loaded = Table::deserialize(snapshot_of(original));
  REQUIRE(loaded);
  CHECK(loaded->digest() == original.digest());
  CHECK(loaded->next_token() == original.next_token());
  CHECK(text(release(*loaded, lock(1, 1), Token{1})) ==
        text(release(original, lock(1, 1), Token{1})));
  Effects a;
  Effects b;
  CHECK(loaded->release_some(SessionId{2}, Ending::node_gone, 100, a) ==
        original.release_some(SessionId{2}, Ending::node_gone, 100, b));
  CHECK(text(a) == text(b));
  CHECK(loaded->digest() == original.digest());
}

TEST_CASE("an empty table survives the trip with its token counter") {
  Table table;
  table.raise_token_base(77);
  const auto loaded = Table::deserialize(snapshot_of(table));
  REQUIRE(loaded);
  CHECK(loaded->next_token() == 77);
  CHECK(loaded->digest() == table.digest());
}

TEST_CASE("every truncation, and any byte more, is refused") {
  base::Buffer bytes = snapshot_of(example());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK(!Table::deserialize(base::Bytes(bytes).first(size)));
  }
  bytes.push_back(std::byte{0});
  CHECK(error_of(bytes) == LoadError::malformed);
}

TEST_CASE("corrupt bytes are refused or make a sound table, never a crash") {
  const base::Buffer good = snapshot_of(example());
  base::Random random(5);
  int refused = 0;
  int loaded = 0;
  for (int i = 0; i < 30000; ++i) {
    base::Buffer bytes = good;
    for (std::uint64_t n = 1 + random.below(3); n > 0; --n) {
      bytes[random.below(bytes.size())] = static_cast<std::byte>(random.u64());
    }
    auto table = Table::deserialize(bytes);
    if (!table) {
      ++refused;
      continue;
    }
    ++loaded;
    CHECK(snapshot_of(*table).size() == bytes.size());
    for (std::uint64_t session = 1; session <= 3; ++session) {
      Effects effects;
      CHECK(table->release_some(SessionId{session}, Ending::node_gone, 1000, effects));
    }
  }
  CHECK(refused > 1000);
  CHECK(loaded > 1000);
}

TEST_CASE("counts are believed only up to the limits and the bytes that are there") {
  Limits limits;
  limits.locks = 5;
  CHECK(error_of(snapshot_of(example()), limits) == LoadError::over_limit);
  limits = {};
  limits.lockspaces = 1;
  CHECK(error_of(snapshot_of(example()), limits) == LoadError::over_limit);
  limits = {};
  limits.resources = 2;
  CHECK(error_of(snapshot_of(example()), limits) == LoadError::over_limit);
  limits = {};
  limits.locks_per_session = 2;
  CHECK(error_of(snapshot_of(example()), limits) == LoadError::over_limit);

  base::Buffer huge;
  base::ByteWriter out(huge);
  out.u8(3);
  out.u64(1);
  out.u32(1000);
  out.u32(4'000'000);
  out.u32(4'000'000);
  CHECK(error_of(huge) == LoadError::malformed);
}

TEST_CASE("a state that no table can be in is refused") {
  const Entry reader{1, 1, 1, kPr};
  const Entry writer{2, 1, 2, kEx};
  REQUIRE(Table::deserialize(forged(3, {reader}, {writer})));
  const auto is_contradictory = [](const base::Buffer& bytes) {
    return error_of(bytes) == LoadError::contradictory;
  };
  CHECK(is_contradictory(forged(2, {reader}, {writer})));                    // Token drawn twice.
  CHECK(is_contradictory(forged(3, {reader, writer}, {})));                  // Not compatible.
  CHECK(is_contradictory(forged(3, {}, {})));                                // Nobody there.
  CHECK(is_contradictory(forged(3, {reader}, {{1, 1, 2, kEx}})));            // One lock twice.
  CHECK(is_contradictory(forged(3, {{1, 1, 0, kPr}}, {})));                  // Token 0 is none.
  CHECK(is_contradictory(forged(9, {{1, 1, 3, kPr}, {2, 1, 2, kPr}}, {})));  // Out of order.
  CHECK(is_contradictory(forged(9, {reader}, {}, 2)));                       // A lockspace twice.
  CHECK(error_of(forged(9, {{1, 1, 1, 6}}, {})) == LoadError::malformed);
}

TEST_CASE("what a session is granted stands before the orphans that it has left") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::pr, base::lock_flag::persistent));
  acquire(table, want(lock(1, 2), "b", Mode::pr, base::lock_flag::persistent));
  acquire(table, want(lock(1, 3), "c", Mode::pr));
  acquire(table, want(lock(2, 1), "c", Mode::pr));
  convert(table, lock(1, 3), 4, Mode::ex);
  Effects effects;
  CHECK_FALSE(table.release_some(SessionId{1}, Ending::closed, 2, effects));
  REQUIRE(table.find(lock(1, 1))->orphan);
  REQUIRE(table.find(lock(1, 2))->orphan);
  release(table, lock(2, 1), token_of(table, lock(2, 1)));
  REQUIRE(table.find(lock(1, 3))->mode == Mode::ex);
  const auto loaded = Table::deserialize(snapshot_of(table));
  REQUIRE(loaded);
  const auto names = [](const Table& of) {
    std::vector<LockName> all;
    for (const LockView& view : of.locks_of(SessionId{1}, 9)) all.push_back(view.lock);
    return all;
  };
  CHECK(names(table) == std::vector<LockName>{lock(1, 3), lock(1, 1), lock(1, 2)});
  CHECK(names(*loaded) == names(table));
}

}  // namespace dlm
