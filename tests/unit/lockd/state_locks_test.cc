#include <doctest/doctest.h>

#include "tests/unit/lockd/state_fixture.h"

namespace lockd {
namespace {

namespace flag = base::lock_flag;

const Processor kOne = daemon(1);
const Processor kTwo = daemon(2);

Acquire wants(Client& c, const std::string& name, dlm::Mode mode, dlm::LockFlags flags = 0,
              std::uint64_t owner = 0, dlm::Patience patience = 0) {
  return {c.request(c.next++), "default", name, mode, flags, dlm::Owner{owner}, patience};
}

Convert converts(Client& c, const Reply& lock, dlm::Mode mode, dlm::LockFlags flags = 0,
                 std::optional<dlm::ValueBlock> value = std::nullopt) {
  return {c.request(c.next++), lock.request, mode, flags, 0, value};
}

}  // namespace

TEST_CASE("a conversion keeps the lock's name and gives it a new token") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  const Reply held = bench.acquire(a, "x", dlm::Mode::pr);
  const Reply more = Bench::reply(bench.apply(kOne, converts(a, held, dlm::Mode::ex)));
  CHECK(more.status == Status::granted);
  CHECK(more.mode == dlm::Mode::ex);
  CHECK(more.token > held.token);
  CHECK(bench.state.find_lock(a.session, held.request)->token == more.token);
  CHECK(bench.release(a, held).status == Status::wrong_token);
}

TEST_CASE("a conversion that waits is told when it is granted, and remembered as granted") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  const Reply mine = bench.acquire(a, "x", dlm::Mode::pr);
  const Reply other = bench.acquire(b, "x", dlm::Mode::pr);
  const Convert convert = converts(a, mine, dlm::Mode::ex);
  CHECK(Bench::reply(bench.apply(kOne, convert)).status == Status::queued);
  REQUIRE(bench.reload());
  const std::vector<Settled> settled = only<Settled>(bench.release_effects(b, other));
  REQUIRE(settled.size() == 1);
  CHECK(settled[0].at == kOne);
  CHECK(settled[0].lock == mine.request);
  CHECK(settled[0].reply.request == convert.request.id);
  CHECK(settled[0].reply.status == Status::granted);
  CHECK(Bench::reply(bench.apply(kOne, convert)) == settled[0].reply);
}

TEST_CASE("a value block travels with the replies, and with a repeated one") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  const dlm::ValueBlock value{std::byte{7}};
  const Reply held =
      Bench::reply(bench.apply(kOne, wants(a, "x", dlm::Mode::ex, flag::value_block)));
  CHECK(held.value == dlm::ValueBlock{});
  bench.apply(kOne, converts(a, held, dlm::Mode::nl, flag::value_block, value));
  const Acquire read = wants(b, "x", dlm::Mode::pr, flag::value_block);
  const Reply seen = Bench::reply(bench.apply(kTwo, read));
  CHECK(seen.value == value);
  REQUIRE(bench.reload());
  CHECK(Bench::reply(bench.apply(kTwo, read)) == seen);
}

TEST_CASE("a value whose writer's process has ended is marked, and a departed one's as well") {
  for (const bool departs : {false, true}) {
    CAPTURE(departs);
    Bench bench;
    Client a = bench.client(kOne, 1);
    Client b = bench.client(kTwo, 1);
    bench.apply(kTwo, wants(b, "x", dlm::Mode::nl));
    bench.apply(kOne, wants(a, "x", dlm::Mode::ex, flag::value_block));
    if (departs) {
      bench.depart({{kOne, ring(1)}});
      bench.apply(kTwo, Expire{bench.mark_of(a)});
      bench.apply(kTwo, Purge{});
    } else {
      bench.apply(kOne, Close{a.session, a.generation});
    }
    const Reply seen =
        Bench::reply(bench.apply(kTwo, wants(b, "x", dlm::Mode::pr, flag::value_block)));
    CHECK(seen.notes == base::grant_note::value_invalid);
  }
}

TEST_CASE("who asked to hear it is told that somebody waits") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  const Reply held = Bench::reply(bench.apply(kOne, wants(a, "x", dlm::Mode::pr, flag::notify)));
  const std::vector<Blocked> blocked = only<Blocked>(bench.acquire_effects(b, "x"));
  REQUIRE(blocked.size() == 1);
  CHECK(blocked[0] ==
        Blocked{kOne, a.session, a.generation, held.request, held.token, dlm::Mode::ex});
}

TEST_CASE("the end of patience ends exactly the wait that it was for") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  const Reply held = bench.acquire(a, "x");
  const Acquire acquire = wants(b, "x", dlm::Mode::ex, 0, 0, 50);
  const Reply queued = Bench::reply(bench.apply(kTwo, acquire));
  CHECK(bench.state.find_lock(b.session, queued.request)->patience == 50);
  const TimeOut over{b.session, b.generation, queued.request, queued.request};
  CHECK(bench.apply(kOne, over).empty());  // Who does not serve the session has no say.
  CHECK(bench.apply(kTwo, TimeOut{b.session, b.generation, queued.request, RequestId{99}}).empty());
  const std::vector<Settled> settled = only<Settled>(bench.apply(kTwo, over));
  REQUIRE(settled.size() == 1);
  CHECK(settled[0].reply.status == Status::timed_out);
  CHECK(Bench::reply(bench.apply(kTwo, acquire)).status == Status::timed_out);
  CHECK(bench.apply(kTwo, over).empty());
  CHECK(bench.release(a, held).status == Status::released);
}

TEST_CASE("several locks are granted together, each with a reply of its own, once") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  const Reply held = bench.acquire(a, "y");
  AcquireAll all{
      b.request(5), 0, {}, 0, {{"default", "x", dlm::Mode::ex}, {"default", "y", dlm::Mode::pr}}};
  const std::vector<Replied> queued = only<Replied>(bench.apply(kTwo, all));
  REQUIRE(queued.size() == 2);
  CHECK(queued[0].reply.status == Status::queued);
  CHECK(queued[1].reply.request == RequestId{6});
  CHECK(bench.state.locks().find({base::bytes_of("default"), base::bytes_of("x")})->holders == 0);
  REQUIRE(bench.reload());
  const std::vector<Settled> granted = only<Settled>(bench.release_effects(a, held));
  REQUIRE(granted.size() == 2);
  CHECK(granted[0].reply.status == Status::granted);
  CHECK(granted[1].reply.status == Status::granted);
  const std::vector<Replied> again = only<Replied>(bench.apply(kTwo, all));
  REQUIRE(again.size() == 2);
  CHECK(again[0].reply == granted[0].reply);
  CHECK(again[1].reply == granted[1].reply);
}

TEST_CASE("a cancel of one of several takes all back") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  bench.acquire(a, "y");
  bench.apply(kTwo, AcquireAll{b.request(5),
                               0,
                               {},
                               0,
                               {{"default", "x", dlm::Mode::ex}, {"default", "y", dlm::Mode::pr}}});
  const Effects effects = bench.apply(kTwo, Cancel{b.request(7), RequestId{6}});
  CHECK(Bench::reply(effects).status == Status::cancelled);
  const std::vector<Settled> settled = only<Settled>(effects);
  REQUIRE(settled.size() == 1);
  CHECK(settled[0].reply.request == RequestId{5});
  CHECK(settled[0].reply.status == Status::cancelled);
  CHECK(bench.state.counts().waiting == 0);
}

TEST_CASE("who closes a ring of waits is told all of it, and refused") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  bench.apply(kOne, wants(a, "x", dlm::Mode::ex, 0, 1));
  bench.apply(kTwo, wants(b, "y", dlm::Mode::ex, 0, 1));
  CHECK(Bench::reply(bench.apply(kOne, wants(a, "y", dlm::Mode::ex, 0, 1))).status ==
        Status::queued);
  const Acquire closing = wants(b, "x", dlm::Mode::ex, 0, 1);
  const Effects effects = bench.apply(kTwo, closing);
  REQUIRE(effects.size() == 2);
  const auto& found = std::get<Deadlocked>(effects[0]);
  CHECK(found.session == b.session);
  CHECK(found.deadlock.request == closing.request.id);
  REQUIRE(found.deadlock.steps.size() == 2);
  CHECK(found.deadlock.steps[0].resource == "x");
  CHECK(found.deadlock.steps[0].blocker.session == a.session);
  CHECK(found.deadlock.steps[1].resource == "y");
  CHECK(found.deadlock.steps[1].blocker.session == b.session);
  CHECK(std::get<Replied>(effects[1]).reply.status == Status::deadlock);
  CHECK(bench.state.deadlocks().size() == 1);
  CHECK(Bench::reply(bench.apply(kTwo, closing)).status == Status::deadlock);
}

TEST_CASE("since when a lock is held is the second of the command that granted it") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  Effects effects;
  const Acquire first = wants(a, "x", dlm::Mode::ex);
  bench.state.apply(kOne, {ring(1), first, 100}, effects);
  const Acquire second = wants(b, "x", dlm::Mode::ex);
  bench.state.apply(kTwo, {ring(1), second, 200}, effects);
  CHECK(bench.state.find_lock(b.session, second.request.id)->since == 200);
  const Token token = bench.state.find_lock(a.session, first.request.id)->token;
  bench.state.apply(kOne, {ring(1), Release{a.request(9), first.request.id, token}, 300}, effects);
  CHECK(bench.state.find_lock(b.session, second.request.id)->since == 300);
}

}  // namespace lockd
