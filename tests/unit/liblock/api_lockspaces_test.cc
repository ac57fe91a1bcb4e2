#include <liblock/lockspace.h>

#include "tests/unit/liblock/api.h"

using namespace liblock_test;

namespace {

struct Seen {
  std::vector<std::string> lockspaces;
  std::vector<std::uint64_t> generations;
  std::vector<int> errors;
  std::vector<std::uint32_t> failed;  // Of the last one.
  int recovered = -1;
};

void note(lock_client*, const lock_lockspace_info* info, void* arg) {
  auto& seen = *static_cast<Seen*>(arg);
  seen.lockspaces.push_back(info->lockspace);
  seen.generations.push_back(info->generation);
  seen.errors.push_back(info->error);
  seen.recovered = info->recovered;
  seen.failed.clear();
  for (std::size_t i = 0; i < info->failed_len; ++i) seen.failed.push_back(info->failed[i].node);
}

}  // namespace

TEST_CASE("a lockspace is joined and left, and tells of its members") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  Seen seen;
  CHECK(lock_on_lockspace(client.get(), note, &seen) == 0);
  CHECK(lock_join_lockspace(client.get(), "space", LOCK_JOIN_OPEN, 0) == LOCK_ERROR_NOT_FOUND);
  CHECK(lock_join_lockspace(client.get(), "space", LOCK_JOIN_CREATE_NEW, 0640) == 0);
  CHECK(lock_join_lockspace(client.get(), "space", LOCK_JOIN_CREATE_NEW, 0640) ==
        LOCK_ERROR_EXISTS);
  REQUIRE(turn_until(client.get(), [&] { return !seen.lockspaces.empty(); }));
  CHECK(seen.lockspaces[0] == "space");
  CHECK(seen.generations[0] == 1);
  CHECK(seen.recovered == 1);
  CHECK(lock_leave_lockspace(client.get(), "other", 0) == LOCK_ERROR_NOT_FOUND);
  CHECK(lock_leave_lockspace(client.get(), "space", 1) == 0);

  Outcome joined;
  REQUIRE(lock_join_lockspace_async(client.get(), "space", LOCK_JOIN_CREATE, 0, note_outcome,
                                    &joined) == 0);
  REQUIRE(turn_until(client.get(), [&] { return joined.calls == 1; }));
  CHECK(joined.error == 0);
  Outcome left;
  REQUIRE(lock_leave_lockspace_async(client.get(), "space", 0, note_outcome, &left) == 0);
  REQUIRE(turn_until(client.get(), [&] { return left.calls == 1; }));
  CHECK(left.error == 0);
}

TEST_CASE("of several changes between two dispatches the last is told, with all that failed") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  Seen seen;
  REQUIRE(lock_join_lockspace(client.get(), "space", LOCK_JOIN_CREATE, 0) == 0);
  CHECK(lock_on_lockspace(client.get(), note, &seen) == 0);
  daemon.tell_all(LockspaceState{"space", 4, true, {}, {{NodeId{2}, 2}}});
  daemon.tell_all(LockspaceState{"space", 5, false, {}, {{NodeId{3}, 3}}});
  // Blocking calls read, and tell nobody.
  CHECK(lock_join_lockspace(client.get(), "other", LOCK_JOIN_OPEN, 0) == LOCK_ERROR_NOT_FOUND);
  REQUIRE(turn_until(client.get(), [&] { return !seen.generations.empty(); }));
  CHECK(seen.generations.back() == 5);
  CHECK(seen.recovered == 0);
  CHECK(seen.failed == std::vector<std::uint32_t>{3, 2});
}

TEST_CASE("a new session joins again, and it is told if it can not") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  Seen seen;
  REQUIRE(lock_join_lockspace(client.get(), "made", LOCK_JOIN_CREATE_NEW, 0) == 0);
  REQUIRE(lock_join_lockspace(client.get(), "opened", LOCK_JOIN_CREATE, 0) == 0);
  const Client other = connected(daemon);
  REQUIRE(lock_join_lockspace(other.get(), "opened", LOCK_JOIN_OPEN, 0) == 0);
  REQUIRE(lock_leave_lockspace(client.get(), "opened", 0) == 0);
  lock_on_lockspace(client.get(), note, &seen);
  Seen others;
  lock_on_lockspace(other.get(), note, &others);
  daemon.forget_sessions();
  REQUIRE(turn_until(client.get(), [&] { return !seen.lockspaces.empty(); }));
  CHECK(seen.lockspaces[0] == "made");
  CHECK(seen.errors[0] == 0);
  REQUIRE(turn_until(other.get(), [&] { return !others.errors.empty() && others.errors.back(); }));
  CHECK(others.lockspaces.back() == "opened");
  CHECK(others.errors.back() == LOCK_ERROR_NOT_FOUND);
}

TEST_CASE("what is no lockspace is refused") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  const auto join = [&](const char* name, int kind, unsigned permissions) {
    return lock_join_lockspace(client.get(), name, static_cast<lock_join_kind>(kind), permissions);
  };
  CHECK(join("", 1, 0) == LOCK_ERROR_INVALID);
  CHECK(join(std::string(65, 's').c_str(), 1, 0) == LOCK_ERROR_INVALID);
  CHECK(join("space", 3, 0) == LOCK_ERROR_INVALID);
  CHECK(join("space", 1, 01000) == LOCK_ERROR_INVALID);
}
