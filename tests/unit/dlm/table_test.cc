#include "dlm/table.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/unit/dlm/requests.h"

namespace dlm {

TEST_CASE("a pair of locks stands together exactly if the matrix says so") {
  for (std::uint8_t held = 0; held < kModes; ++held) {
    for (std::uint8_t wanted = 0; wanted < kModes; ++wanted) {
      Table table;
      acquire(table, want(lock(1, 1), "a", *mode_of(held)));
      const auto effects = acquire(table, try_for(lock(2, 1), "a", *mode_of(wanted)));
      CAPTURE(text(effects));
      REQUIRE(effects.size() == 1);
      const bool granted = effects[0].kind == Effect::Kind::granted;
      CHECK(granted == compatible(*mode_of(held), *mode_of(wanted)));
      if (!granted) CHECK(effects[0].status == Status::would_block);
    }
  }
}

TEST_CASE("requests are granted in the order of the queue, as many as fit together") {
  Table table;
  CHECK(text(acquire(table, want(lock(1, 1), "a", Mode::ex))) == "granted 1/1 EX token 1");
  CHECK(text(acquire(table, want(lock(2, 1), "a", Mode::pr))) == "queued 2/1 PR");
  CHECK(text(acquire(table, want(lock(3, 1), "a", Mode::pr))) == "queued 3/1 PR");
  CHECK(text(acquire(table, want(lock(4, 1), "a", Mode::ex))) == "queued 4/1 EX");
  CHECK(text(acquire(table, want(lock(5, 1), "a", Mode::pr))) == "queued 5/1 PR");
  CHECK(table.find(lock(4, 1))->position == 3);

  CHECK(text(release(table, lock(1, 1), Token{1})) ==
        "released 1/1 EX token 1, granted 2/1 PR token 6, granted 3/1 PR token 7");
  CHECK(text(release(table, lock(3, 1), Token{7})) == "released 3/1 PR token 7");
  CHECK(text(release(table, lock(2, 1), Token{6})) ==
        "released 2/1 PR token 6, granted 4/1 EX token 8");
}

TEST_CASE("a stream of readers does not starve a writer that waits") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::pr));
  acquire(table, want(lock(2, 1), "a", Mode::ex));
  CHECK(text(acquire(table, want(lock(3, 1), "a", Mode::pr))) == "queued 3/1 PR");
  CHECK(text(acquire(table, try_for(lock(4, 1), "a", Mode::pr))) == "refused 4/1: would block");
  CHECK(text(release(table, lock(1, 1), Token{1})) ==
        "released 1/1 PR token 1, granted 2/1 EX token 4");
}

TEST_CASE("a request taken back lets those behind it through") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::pr));
  acquire(table, want(lock(2, 1), "a", Mode::ex));
  acquire(table, want(lock(3, 1), "a", Mode::pr));
  CHECK(text(cancel(table, lock(2, 1))) == "cancelled 2/1 EX, granted 3/1 PR token 4");
  CHECK(text(cancel(table, lock(2, 1))) == "refused 2/1: unknown lock");
  CHECK(text(cancel(table, lock(3, 1))) == "refused 3/1: already granted");
}

TEST_CASE("a session's own locks conflict like anybody's") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::ex));
  CHECK(text(acquire(table, want(lock(1, 2), "a", Mode::ex))) == "queued 1/2 EX");
}

TEST_CASE("a release under another token frees nothing, and a second release finds nothing") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::ex));
  acquire(table, want(lock(2, 1), "a", Mode::ex));
  const std::uint64_t before = table.digest();
  CHECK(text(release(table, lock(1, 1), Token{2})) == "refused 1/1: wrong token");
  CHECK(text(release(table, lock(1, 1), Token{0})) == "refused 1/1: wrong token");
  CHECK(text(release(table, lock(2, 1), Token{2})) == "refused 2/1: not granted");
  CHECK(text(release(table, lock(3, 1), Token{1})) == "refused 3/1: unknown lock");
  CHECK(table.digest() == before);

  release(table, lock(1, 1), Token{1});
  CHECK(text(release(table, lock(1, 1), Token{1})) == "refused 1/1: unknown lock");
  CHECK(token_of(table, lock(2, 1)) == Token{3});
}

TEST_CASE("a request that is in the table already changes nothing") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::ex));
  acquire(table, want(lock(2, 1), "a", Mode::ex));
  const std::uint64_t before = table.digest();
  CHECK(text(acquire(table, want(lock(1, 1), "a", Mode::ex))) == "refused 1/1: duplicate");
  CHECK(text(acquire(table, want(lock(2, 1), "b", Mode::ex))) == "refused 2/1: duplicate");
  CHECK(table.digest() == before);
}

TEST_CASE("names have bounds, may hold any byte, and mean a resource in one lockspace") {
  Table table;
  const std::string any("\0/\xff\n", 4);
  const std::string longest(255, '\0');
  const std::string too_long(256, 'x');
  const auto in = [&](std::string_view lockspace, std::string_view resource, LockName name) {
    return text(acquire(
        table, {name, {base::bytes_of(lockspace), base::bytes_of(resource)}, Mode::ex, 0, {}, 0}));
  };
  CHECK(in("a", any, lock(1, 1)) == "granted 1/1 EX token 1");
  CHECK(in("b", any, lock(1, 2)) == "granted 1/2 EX token 2");
  CHECK(in("a", longest, lock(1, 3)) == "granted 1/3 EX token 3");
  CHECK(in(std::string(64, 'l'), "x", lock(1, 4)) == "granted 1/4 EX token 4");
  CHECK(in("a", too_long, lock(1, 5)) == "refused 1/5: bad name");
  CHECK(in("a", "", lock(1, 5)) == "refused 1/5: bad name");
  CHECK(in("", "a", lock(1, 5)) == "refused 1/5: bad name");
  CHECK(in(std::string(65, 'l'), "x", lock(1, 5)) == "refused 1/5: bad name");
  CHECK(table.lockspaces() == 3);
  CHECK(base::text_of(table.find(lock(1, 2))->on.resource) == any);
  CHECK(base::text_of(table.find(lock(1, 2))->on.lockspace) == "b");
}

TEST_CASE("lockspaces, resources and sessions last as long as their locks") {
  Table table;
  const std::uint64_t empty = table.digest();
  acquire(table, want(lock(1, 1), "a", Mode::pr));
  acquire(table, want(lock(2, 1), "a", Mode::pr));
  acquire(table, want(lock(2, 2), "b", Mode::pr));
  CHECK(table.locks() == 3);
  CHECK(table.resources() == 2);
  CHECK(table.lockspaces() == 1);
  CHECK(table.sessions() == 2);
  release(table, lock(2, 1), Token{2});
  release(table, lock(2, 2), Token{3});
  CHECK(table.resources() == 1);
  CHECK(table.sessions() == 1);
  release(table, lock(1, 1), Token{1});
  CHECK(table.resources() == 0);
  CHECK(table.lockspaces() == 0);
  CHECK(table.sessions() == 0);
  CHECK(table.digest() != empty);  // The tokens that were drawn are part of it.
}

TEST_CASE("each limit refuses with a status of its own, and only what is new") {
  Limits limits;
  limits.locks = 5;
  limits.resources = 3;
  limits.lockspaces = 2;
  limits.locks_per_session = 3;
  Table table(limits);
  const auto in = [&](std::string_view lockspace, std::string_view resource, LockName name) {
    return text(acquire(
        table, {name, {base::bytes_of(lockspace), base::bytes_of(resource)}, Mode::pr, 0, {}, 0}));
  };
  CHECK(in("a", "1", lock(1, 1)) == "granted 1/1 PR token 1");
  CHECK(in("b", "1", lock(1, 2)) == "granted 1/2 PR token 2");
  CHECK(in("c", "1", lock(1, 3)) == "refused 1/3: too many lockspaces");
  CHECK(in("b", "2", lock(1, 3)) == "granted 1/3 PR token 3");
  CHECK(in("b", "1", lock(1, 4)) == "refused 1/4: session full");
  CHECK(in("b", "3", lock(2, 1)) == "refused 2/1: too many resources");
  CHECK(in("b", "1", lock(2, 1)) == "granted 2/1 PR token 4");
  CHECK(in("b", "1", lock(2, 2)) == "granted 2/2 PR token 5");
  CHECK(in("b", "1", lock(2, 3)) == "refused 2/3: too many locks");
  release(table, lock(1, 1), Token{1});
  CHECK(in("c", "1", lock(2, 3)) == "granted 2/3 PR token 6");
}

TEST_CASE("a session's locks go in bounded steps, waiting requests first, by age") {
  Table table;
  acquire(table, want(lock(1, 1), "a", Mode::ex));
  acquire(table, want(lock(2, 1), "b", Mode::ex));
  acquire(table, want(lock(1, 2), "b", Mode::ex));
  acquire(table, want(lock(3, 1), "b", Mode::ex));
  acquire(table, want(lock(1, 3), "c", Mode::ex));
  acquire(table, want(lock(1, 4), "a", Mode::ex));  // Behind its own session.
  acquire(table, want(lock(3, 2), "a", Mode::ex));
  CHECK(table.count_of(SessionId{1}) == 4);

  Effects effects;
  CHECK(!table.release_some(SessionId{1}, Ending::node_gone, 1, effects));
  CHECK(text(effects) == "cancelled 1/2 EX");
  effects.clear();
  CHECK(!table.release_some(SessionId{1}, Ending::node_gone, 0, effects));
  CHECK(text(effects) == "cancelled 1/4 EX");
  effects.clear();
  CHECK(!table.release_some(SessionId{1}, Ending::node_gone, 1, effects));
  CHECK(text(effects) == "released 1/1 EX token 1, granted 3/2 EX token 8");
  effects.clear();
  CHECK(table.release_some(SessionId{1}, Ending::node_gone, 10, effects));
  CHECK(text(effects) == "released 1/3 EX token 5");
  effects.clear();
  CHECK(table.release_some(SessionId{1}, Ending::node_gone, 10, effects));
  CHECK(effects.empty());
  CHECK(table.count_of(SessionId{1}) == 0);
  CHECK(token_of(table, lock(2, 1)) == Token{2});
}

TEST_CASE("tokens only grow, from whatever base") {
  Table table;
  CHECK(table.draw_token() == Token{1});
  table.raise_token_base(1000);
  CHECK(text(acquire(table, want(lock(1, 1), "a", Mode::ex))) == "granted 1/1 EX token 1000");
  table.raise_token_base(5);
  CHECK(table.next_token() == 1001);
  CHECK(table.draw_token() == Token{1001});
}

TEST_CASE("a listing in pieces shows every resource once, and the locks of one in order") {
  Table table;
  for (std::uint64_t i = 1; i <= 300; ++i) {
    acquire(table, want(lock(i, 1), "r" + std::to_string(i), Mode::ex));
    acquire(table, want(lock(i, 2), "r" + std::to_string(i % 3), Mode::pr));
  }
  std::vector<std::string> all;
  Table::Cursor cursor;
  while (!cursor.end) {
    cursor = table.visit_resources(cursor, 7, [&](const ResourceView& view) {
      all.push_back(base::text_of(view.name.resource));
    });
  }
  CHECK(all.size() == table.resources());
  std::sort(all.begin(), all.end());
  CHECK(std::unique(all.begin(), all.end()) == all.end());

  acquire(table, want(lock(900, 1), "r0", Mode::ex));
  acquire(table, want(lock(901, 1), "r0", Mode::cr));
  CHECK(table.find(in_default("r0"))->holders == 100);
  CHECK(table.find(in_default("r0"))->waiters == 2);
  CHECK(!table.find(in_default("nobody's")));
  std::vector<LockView> tail;
  table.visit_locks(in_default("r0"), 99, 10, [&](const LockView& view) { tail.push_back(view); });
  REQUIRE(tail.size() == 3);
  CHECK(tail[0].granted);
  CHECK(tail[0].lock == lock(300, 2));
  CHECK(tail[1].lock == lock(900, 1));
  CHECK(tail[1].position == 1);
  CHECK(tail[2].lock == lock(901, 1));
  CHECK(tail[2].position == 2);
  CHECK(tail[2].mode == Mode::cr);
}

}  // namespace dlm
