#include <doctest/doctest.h>

#include "tests/unit/lockd/state_fixture.h"

namespace lockd {
namespace {

namespace flag = base::lock_flag;
using Kind = JoinLockspace::Kind;

const Processor kOne = daemon(1);
const Processor kTwo = daemon(2);

Effects join(Bench& bench, Client& c, Kind kind, std::uint16_t permissions = 0) {
  return bench.apply(c.at, JoinLockspace{c.request(c.next++), kind, permissions, "space"});
}

Effects leave(Bench& bench, Client& c, bool force = false) {
  return bench.apply(c.at, LeaveLockspace{c.request(c.next++), force, "space"});
}

Reply acquire(Bench& bench, Client& c, const std::string& name, dlm::Mode mode,
              dlm::LockFlags flags = 0) {
  return Bench::reply(
      bench.apply(c.at, Acquire{c.request(c.next++), "space", name, mode, flags, {}, 0}));
}

const Lockspace& space(const Bench& bench) {
  return *bench.state.lockspaces().find("space");
}

}  // namespace

TEST_CASE("a persistent lock outlives its process as an orphan, and is adopted in its own mode") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  const Reply kept = acquire(bench, a, "x", dlm::Mode::pr, flag::persistent);
  const Reply lost = acquire(bench, a, "y", dlm::Mode::ex);
  bench.apply(kOne, Close{a.session, a.generation});
  REQUIRE(bench.reload());
  CHECK(bench.state.find_lock(a.session, kept.request)->orphan);
  CHECK_FALSE(bench.state.find_lock(a.session, lost.request).has_value());

  Client elsewhere = bench.client(kTwo, 1);
  CHECK(acquire(bench, elsewhere, "x", dlm::Mode::pr, flag::adopt_orphan).status ==
        Status::not_found);
  Client heir = bench.client(kOne, 2);
  CHECK(acquire(bench, heir, "x", dlm::Mode::ex, flag::adopt_orphan).status == Status::busy);
  const Reply adopted =
      acquire(bench, heir, "x", dlm::Mode::pr, flag::adopt_orphan | flag::persistent);
  CHECK(adopted.status == Status::granted);
  CHECK(adopted.token > kept.token);
  CHECK_FALSE(bench.state.find_lock(a.session, kept.request).has_value());
}

TEST_CASE("an orphan of a node that departs waits like the rest, and then ends") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  acquire(bench, a, "x", dlm::Mode::ex, flag::persistent);
  bench.apply(kOne, Close{a.session, a.generation});
  CHECK(acquire(bench, b, "x", dlm::Mode::ex).status == Status::queued);
  CHECK(bench.state.orphans().empty());
  bench.depart({{kOne, ring(1)}});
  REQUIRE(bench.state.orphans().size() == 1);
  CHECK(only<Settled>(bench.apply(kTwo, Purge{})).empty());
  REQUIRE(bench.reload());
  CHECK(bench.resume(kTwo, a, 2) == Resumed::Outcome::lost);  // It had ended before.
  bench.apply(kTwo, Expire{bench.mark_of(a)});
  CHECK(only<Settled>(bench.apply(kTwo, Purge{})).at(0).session == b.session);
  CHECK(bench.state.find(a.session) == nullptr);
}

TEST_CASE("orphans are dropped by their user or root, of one process or of all of a node") {
  Bench bench;
  Client a = bench.client(kOne, 1, 1000);
  Client b = bench.client(kOne, 2, 1001);
  acquire(bench, a, "x", dlm::Mode::ex, flag::persistent);
  acquire(bench, b, "y", dlm::Mode::ex, flag::persistent);
  bench.apply(kOne, Close{a.session, a.generation});
  bench.apply(kOne, Close{b.session, b.generation});
  const auto drop = [&](Client& by, std::uint32_t pid) {
    return Bench::reply(
               bench.apply(by.at, DropOrphans{by.request(by.next++), base::NodeId{1}, pid}))
        .status;
  };
  Client other_node = bench.client(kTwo, 1, 1000);
  CHECK(drop(other_node, 8) == Status::done);  // No such process.
  CHECK(bench.state.counts().locks == 2);
  CHECK(drop(other_node, 0) == Status::not_permitted);  // Its own are gone, the other's not.
  CHECK(bench.state.counts().locks == 1);
  Client root = bench.client(kTwo, 2, 0);
  CHECK(drop(root, 7) == Status::done);
  CHECK(bench.state.counts().locks == 0);
  CHECK(bench.state.find(b.session) == nullptr);
}

TEST_CASE("nodes join a lockspace, are counted, have slots, and leave with the last leave") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  CHECK(Bench::reply(join(bench, a, Kind::open)).status == Status::not_found);
  CHECK(Bench::reply(join(bench, a, Kind::create_new)).status == Status::done);
  CHECK(Bench::reply(join(bench, a, Kind::create_new)).status == Status::exists);
  CHECK(Bench::reply(join(bench, a, Kind::create)).status == Status::done);
  const std::vector<LockspaceChanged> told = only<LockspaceChanged>(join(bench, b, Kind::create));
  CHECK(told.size() == 2);  // Both of its users.
  REQUIRE(bench.reload());
  CHECK(space(bench).generation == 2);
  CHECK(space(bench).member(base::NodeId{1})->slot == 1);
  CHECK(space(bench).member(base::NodeId{1})->uses == 2);
  CHECK(space(bench).member(base::NodeId{2})->slot == 2);

  CHECK(Bench::reply(leave(bench, a)).status == Status::done);
  CHECK(space(bench).generation == 2);
  CHECK(Bench::reply(leave(bench, a)).status == Status::done);
  CHECK(space(bench).member(base::NodeId{1}) == nullptr);
  CHECK(Bench::reply(leave(bench, a)).status == Status::not_found);
  CHECK(Bench::reply(leave(bench, b)).status == Status::done);
  CHECK(bench.state.lockspaces().find("space") == nullptr);
}

TEST_CASE("the slot of a failed member is nobody else's before its locks are freed") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  join(bench, a, Kind::create);
  acquire(bench, a, "x", dlm::Mode::ex);
  bench.depart({{kOne, ring(1)}});
  join(bench, b, Kind::create);
  CHECK(space(bench).member(base::NodeId{2})->slot == 2);
}

TEST_CASE(
    "a failed member is recovered when its sessions have ended or are resumed, though it is back") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client lost = bench.client(kOne, 2);
  Client b = bench.client(kTwo, 1);
  join(bench, a, Kind::create);
  join(bench, b, Kind::create);
  acquire(bench, a, "x", dlm::Mode::ex);
  bench.depart({{kOne, ring(1)}});
  CHECK(space(bench).gone.size() == 1);
  // It is back, in the same life: with a session of before, and with another one.
  Client fresh = bench.client(kOne, 3);
  acquire(bench, fresh, "y", dlm::Mode::ex);
  const Effects resumed =
      bench.apply(kOne, Resume{a.session, Generation{2}, secret(1), instance(1)});
  CHECK(only<LockspaceChanged>(resumed).empty());
  CHECK(space(bench).gone.size() == 1);
  bench.apply(kTwo, Expire{bench.mark_of(lost)});
  while (bench.state.purge_pending()) bench.apply(kTwo, Purge{});
  CHECK(space(bench).gone.empty());
}

TEST_CASE("a node does not leave what its sessions lock, but by force, which ends them") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kOne, 2);
  join(bench, a, Kind::create);
  join(bench, b, Kind::open);
  acquire(bench, b, "x", dlm::Mode::ex);
  CHECK(Bench::reply(leave(bench, a)).status == Status::busy);
  const Effects effects = leave(bench, a, true);
  CHECK(only<SessionEnded>(effects).at(0).session == b.session);
  CHECK(only<Replied>(effects).at(0).reply.status == Status::done);
  CHECK(bench.state.counts().locks == 0);
}

TEST_CASE("a joined lockspace lets in whom its permissions let write") {
  Bench bench;
  Client owner = bench.client(kOne, 1, 1000);
  Client other = bench.client(kOne, 2, 1001);
  Client root = bench.client(kOne, 3, 0);
  CHECK(acquire(bench, other, "x", dlm::Mode::nl).status == Status::granted);  // Not joined yet.
  join(bench, owner, Kind::create, 0600);
  CHECK(acquire(bench, other, "x", dlm::Mode::nl).status == Status::not_permitted);
  CHECK(Bench::reply(join(bench, other, Kind::open)).status == Status::not_permitted);
  CHECK(acquire(bench, owner, "x", dlm::Mode::nl).status == Status::granted);
  CHECK(acquire(bench, root, "x", dlm::Mode::nl).status == Status::granted);
  const AcquireAll all{other.request(other.next++),
                       0,
                       {},
                       0,
                       {{"elsewhere", "x", dlm::Mode::nl}, {"space", "y", dlm::Mode::nl}}};
  CHECK(Bench::reply(bench.apply(kOne, all)).status == Status::not_permitted);
}

TEST_CASE("users hear of a failed member at once, and of its recovery when its locks are freed") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  join(bench, a, Kind::create);
  join(bench, b, Kind::create);
  acquire(bench, a, "x", dlm::Mode::ex);
  CHECK(only<LockspaceChanged>(bench.depart({{kOne, ring(1)}})).size() == 1);
  REQUIRE(bench.reload());
  CHECK(space(bench).generation == 3);
  REQUIRE(space(bench).gone.size() == 1);
  CHECK(space(bench).gone[0].slot == 1);
  CHECK(only<LockspaceChanged>(bench.apply(kTwo, Expire{bench.mark_of(a)})).empty());
  const std::vector<LockspaceChanged> told = only<LockspaceChanged>(bench.apply(kTwo, Purge{}));
  REQUIRE(told.size() == 1);
  CHECK(told[0].session == b.session);
  CHECK(space(bench).gone.empty());
  CHECK(space(bench).generation == 3);
}

}  // namespace lockd
