// Frozen copies: of pages, and of a table that goes on while its image is written.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "base/random.h"
#include "dlm/image_loader.h"
#include "dlm/image_writer.h"
#include "dlm/pages.h"
#include "dlm/table.h"
#include "tests/unit/dlm/requests.h"

namespace dlm {
namespace {

constexpr std::size_t kLength = 4;

Pages<int> counted(std::size_t pages) {
  Pages<int> made;
  for (std::size_t page = 0; page < pages; ++page) {
    made.add(kLength);
    for (std::size_t i = 0; i < kLength; ++i) made[page][i] = static_cast<int>(page * kLength + i);
  }
  return made;
}

bool is_counted(const Pages<int>& pages, std::size_t size) {
  for (std::size_t i = 0; i < size * kLength; ++i) {
    if (pages[i / kLength][i % kLength] != static_cast<int>(i)) return false;
  }
  return pages.size() == size;
}

void change_all(Pages<int>& pages) {
  for (std::size_t page = 0; page < pages.size(); ++page) {
    for (std::size_t i = 0; i < kLength; ++i) pages[page][i] = -1;
  }
}

// Sessions that ask for all that there is, on few names, so that much waits. One that has ended is
// not used again.
class Play {
 public:
  explicit Play(std::uint64_t seed) : random_(seed) {}

  std::uint64_t requests() const { return last_request_; }

  void go_on(Table& table, int steps) {
    for (; steps > 0; --steps) step(table);
  }

 private:
  void step(Table& table) {
    Effects effects;
    std::uint64_t& session = sessions_[random_.below(sessions_.size())];
    const std::string name = "r" + std::to_string(random_.below(60));
    const std::string other = name + "/other";
    const LockName old = lock(session, 1 + random_.below(last_request_ + 1));
    const auto any_mode = [&] { return static_cast<Mode>(random_.below(kModes)); };
    switch (random_.below(10)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const LockFlags flags = random_.chance(1, 4) ? base::lock_flag::persistent : 0;
        const Owner owner{random_.below(3)};
        table.acquire(want(lock(session, ++last_request_), name, any_mode(), flags, owner),
                      effects);
        break;
      }
      case 4: {
        AcquireAll request;
        request.lock = lock(session, last_request_ + 1);
        request.parts = {{in_default(name), Mode::ex}, {in_default(other), Mode::pr}};
        last_request_ += request.parts.size();
        table.acquire(request, effects);
        break;
      }
      case 5:
      case 6: {
        const LockFlags flags = random_.chance(1, 2) ? base::lock_flag::value_block : 0;
        convert(table, old, ++last_request_, any_mode(), flags, filled(1));
        break;
      }
      case 7:
        table.cancel(old, Status::withdrawn, effects);
        break;
      case 8:
        table.release({old, Token{}, base::lock_flag::force, std::nullopt}, effects);
        break;
      default:
        if (random_.chance(1, 5)) {
          const Ending how = random_.chance(1, 2) ? Ending::closed : Ending::node_gone;
          table.release_some(SessionId{session}, how, 100'000, effects);
          session = ++last_session_;
        }
    }
    table.take_deadlocks();
  }

  base::Random random_;
  std::array<std::uint64_t, 6> sessions_ = {1, 2, 3, 4, 5, 6};
  std::uint64_t last_session_ = sessions_.size();
  std::uint64_t last_request_ = 0;
};

}  // namespace

TEST_CASE("a frozen copy of pages stays as it was, and live pages do not move") {
  Pages<int> live = counted(5);
  const int* const at = live[2];
  const Pages<int> frozen = live.freeze();
  change_all(live);
  live.add(kLength);
  CHECK(live[2] == at);
  CHECK(live[2][0] == -1);
  CHECK(is_counted(frozen, 5));
}

TEST_CASE("live pages and their frozen copy may be moved, and outlive each other") {
  std::optional<Pages<int>> live(counted(3));
  std::optional<Pages<int>> frozen(live->freeze());
  Pages<int> moved = std::move(*live);
  live.reset();
  const Pages<int> moved_copy = std::move(*frozen);
  frozen.reset();
  CHECK(moved.frozen());
  change_all(moved);
  CHECK(is_counted(moved_copy, 3));
  moved = counted(2);
  CHECK_FALSE(moved_copy.frozen());
  CHECK(is_counted(moved_copy, 3));

  // Once the copy is gone there can be another one.
  { const Pages<int> short_lived = moved.freeze(); }
  CHECK_FALSE(moved.frozen());
  const Pages<int> again = moved.freeze();
  change_all(moved);
  CHECK(is_counted(again, 2));
}

TEST_CASE("what is written of a frozen copy is the table as it was, whatever is done meanwhile") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Play play(seed);
    Play same(seed);
    std::optional<Table> live(Table{});
    Table never_frozen;
    const auto go_on = [&](int steps) {
      play.go_on(*live, steps);
      same.go_on(never_frozen, steps);
    };
    go_on(400);
    for (int times = 0; times < 3; ++times) {
      const base::Buffer expected = snapshot_of(*live);
      const std::uint64_t digest = live->digest();
      std::optional<Table> frozen(live->freeze());
      std::optional<Table::Writer> writer(*frozen);
      Table::Loader loader{Limits{}};
      base::Buffer image;
      for (bool more = true; more;) {
        base::Buffer piece;
        base::ByteWriter out(piece);
        more = writer->write_some(out, 1 + play.requests() % 300);
        loader.add(piece);
        image.insert(image.end(), piece.begin(), piece.end());
        go_on(5);
        if (play.requests() % 7 == 0) live.emplace(Table(std::move(*live)));
      }
      CHECK(image == expected);
      CHECK(frozen->digest() == digest);
      const auto loaded = loader.finish();
      REQUIRE(loaded);
      CHECK(loaded->digest() == digest);
      CHECK(snapshot_of(*loaded) == expected);
      writer.reset();
      frozen.reset();
    }
    CHECK(live->digest() == never_frozen.digest());
    CHECK(snapshot_of(*live) == snapshot_of(never_frozen));
  }
}

TEST_CASE("a frozen copy outlives its table") {
  std::optional<Table> live(Table{});
  Play play(3);
  play.go_on(*live, 500);
  const base::Buffer expected = snapshot_of(*live);
  const Table frozen = live->freeze();
  play.go_on(*live, 100);
  live.emplace();
  Play(4).go_on(*live, 100);
  CHECK(snapshot_of(frozen) == expected);
}

TEST_CASE("an image is read alike, however it is cut") {
  Table table;
  Play(4).go_on(table, 600);
  const base::Buffer image = snapshot_of(table);
  for (const std::size_t piece : {1u, 2u, 100u, 511u, 512u, 513u, 5000u}) {
    Table::Loader loader{Limits{}};
    for (std::size_t at = 0; at < image.size(); at += piece) {
      loader.add(base::Bytes(image).subspan(at, std::min(piece, image.size() - at)));
    }
    const auto loaded = loader.finish();
    REQUIRE(loaded);
    CHECK(snapshot_of(*loaded) == image);
  }
}

TEST_CASE("a step of writing is bounded, also in a long queue") {
  Table table;
  for (std::uint64_t i = 1; i <= 3000; ++i) acquire(table, want(lock(1, i), "one", Mode::ex));
  Table::Writer writer(table);
  for (bool more = true; more;) {
    base::Buffer piece;
    base::ByteWriter out(piece);
    more = writer.write_some(out, 200);
    CHECK(piece.size() < 200 + 512);
  }
}

}  // namespace dlm
