// What each ordered command does to the replicated state.
#include "lockd/state.h"

#include <doctest/doctest.h>

#include <set>

#include "tests/unit/lockd/state_fixture.h"

namespace lockd {
namespace {

const Processor kOne = daemon(1);
const Processor kTwo = daemon(2);

using Outcome = Opened::Outcome;

TEST_CASE("an OPEN makes a session, attached to its sender, that its daemon finds again") {
  Bench bench;
  const Opened opened = bench.open(kOne, 1);
  CHECK(opened.outcome == Outcome::opened);
  CHECK(opened.at == kOne);
  const Session* session = bench.state.find(opened.session);
  REQUIRE(session != nullptr);
  CHECK(session->attached());
  CHECK(session->at == kOne);
  CHECK(session->generation == opened.generation);
  CHECK(session->uid == 1000);
  CHECK(session->pid == 7);
  CHECK(session->program == "prog");
  CHECK(bench.state.find_opened(kOne, OpenNumber{1}) == session);
  CHECK(bench.state.find_opened(kTwo, OpenNumber{1}) == nullptr);
  CHECK(bench.state.find_opened(daemon(1, 2), OpenNumber{1}) == nullptr);
  CHECK(bench.state.attached_to(kOne) == std::vector<SessionId>{opened.session});
}

TEST_CASE("an OPEN applied twice opens once, and says so again") {
  Bench bench;
  const Opened first = bench.open(kOne, 1);
  const Opened again = bench.open(kOne, 1);
  CHECK(again == first);
  CHECK(bench.state.counts().sessions == 1);
}

TEST_CASE("an OPEN never revives a session that was closed, orphaned or resumed, nor comes late") {
  Bench bench;
  Client closed = bench.client(kOne, 1);
  bench.apply(kOne, Close{closed.session, closed.generation});
  CHECK(bench.open(kOne, 1).outcome == Outcome::number_used);

  Client orphan = bench.client(kOne, 2);
  bench.apply(kOne, Detached{orphan.session, orphan.generation});
  CHECK(bench.open(kOne, 2).outcome == Outcome::number_used);
  bench.resume(kOne, orphan, 2);
  CHECK(bench.open(kOne, 2).outcome == Outcome::number_used);

  bench.open(kOne, 9);
  CHECK(bench.open(kOne, 5).outcome == Outcome::number_used);
  CHECK(bench.state.counts().sessions == 2);
  CHECK(bench.state.highest_open(kOne) == OpenNumber{9});
}

TEST_CASE("a new incarnation of a daemon counts its OPENs anew") {
  Bench bench;
  bench.open(kOne, 9);
  CHECK(bench.open(daemon(1, 2), 1).outcome == Outcome::opened);
  CHECK(bench.state.highest_open(daemon(1, 2)) == OpenNumber{1});
  CHECK(bench.state.highest_open(kOne) == OpenNumber{0});
}

TEST_CASE("session ids and tokens come from one counter, so no number is met twice") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  const Reply granted = bench.acquire(a, "x");
  Client b = bench.client(kOne, 2);
  CHECK(base::value(granted.token) > base::value(a.session));
  CHECK(base::value(b.session) > base::value(granted.token));
}

TEST_CASE("a session id is not used again after a cold start with a higher base") {
  Bench bench;
  Client before = bench.client(kOne, 1);
  const std::uint64_t base = bench.state.next_token() + 1000;
  bench.state.start_cold(ring(2), base, base::Duration(5));
  CHECK(bench.state.find(before.session) == nullptr);
  CHECK(base::value(bench.client(kOne, 2).session) >= base);
}

TEST_CASE("one user has a limited number of sessions at a node, and the OPEN's number is used up") {
  StateLimits limits;
  limits.sessions.sessions_per_user_max = 2;
  Bench bench(limits);
  Client first = bench.client(kOne, 1);
  bench.client(kOne, 2);
  CHECK(bench.open(kOne, 3).outcome == Outcome::too_many_sessions);
  CHECK(bench.open(kOne, 3).outcome == Outcome::number_used);
  CHECK(bench.open(kTwo, 1).outcome == Outcome::opened);
  CHECK(bench.open(kOne, 4, 1001).outcome == Outcome::opened);
  bench.apply(kOne, Close{first.session, first.generation});
  CHECK(bench.open(kOne, 5).outcome == Outcome::opened);
}

TEST_CASE("sessions of all users together are limited, and so are daemons") {
  StateLimits limits;
  limits.sessions.sessions_max = 2;
  limits.sessions.daemons_max = 3;
  Bench bench(limits);
  bench.open(kOne, 1, 1);
  bench.open(kTwo, 1, 2);
  CHECK(bench.open(daemon(3), 1, 3).outcome == Outcome::too_many_sessions);
  Client gone{kOne, bench.state.find_opened(kOne, OpenNumber{1})->id, Generation{1}};
  bench.apply(kOne, Close{gone.session, gone.generation});
  CHECK(bench.open(daemon(4), 1, 4).outcome == Outcome::too_many_sessions);
  CHECK(bench.open(daemon(3), 2, 3).outcome == Outcome::opened);
}

TEST_CASE("a lock is granted with a token, the next in the queue when it is released") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  const Reply held = bench.acquire(a, "x");
  CHECK(held.status == Status::granted);
  CHECK(held.mode == dlm::Mode::ex);
  CHECK(held.token != Token{});
  const Reply queued = bench.acquire(b, "x");
  CHECK(queued.status == Status::queued);
  CHECK(bench.acquire(b, "x", dlm::Mode::ex, true).status == Status::busy);

  const Effects effects = bench.release_effects(a, held);
  CHECK(Bench::reply(effects).status == Status::released);
  const std::vector<Settled> granted = only<Settled>(effects);
  REQUIRE(granted.size() == 1);
  CHECK(granted[0].at == kTwo);
  CHECK(granted[0].session == b.session);
  CHECK(granted[0].lock == queued.request);
  CHECK(granted[0].reply.token > held.token);
  CHECK(bench.state.find_lock(b.session, queued.request)->granted);
}

TEST_CASE("a release needs the token of the grant and a lock that is held") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kOne, 2);
  Reply held = bench.acquire(a, "x");
  const Reply queued = bench.acquire(b, "x");
  Reply wrong = held;
  wrong.token = Token{base::value(held.token) + 1};
  CHECK(bench.release(a, wrong).status == Status::wrong_token);
  CHECK(bench.release(b, {held.request, {}, {}, held.token}).status == Status::still_waiting);
  CHECK(bench.release(b, {RequestId{77}, {}, {}, held.token}).status == Status::no_such_lock);
  CHECK(bench.state.find_lock(a.session, held.request)->granted);
  CHECK_FALSE(bench.state.find_lock(b.session, queued.request)->granted);
}

TEST_CASE("a cancelled request leaves the queue, a granted one tells its token") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kOne, 2);
  Client c = bench.client(kOne, 3);
  const Reply held = bench.acquire(a, "x", dlm::Mode::pr);
  const Reply blocked = bench.acquire(b, "x", dlm::Mode::ex);
  bench.acquire(c, "x", dlm::Mode::pr);
  const Effects effects = bench.cancel_effects(b, blocked);
  CHECK(Bench::reply(effects).status == Status::cancelled);
  REQUIRE(only<Settled>(effects).size() == 1);
  CHECK(only<Settled>(effects)[0].session == c.session);

  const Reply late = Bench::reply(bench.cancel_effects(a, held));
  CHECK(late.status == Status::already_granted);
  CHECK(late.token == held.token);
  CHECK(late.mode == dlm::Mode::pr);
  CHECK(Bench::reply(bench.cancel_effects(b, blocked)).status == Status::no_such_lock);
}

TEST_CASE("a request sent again is answered again and not executed again") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kOne, 2);
  const Reply first = bench.acquire(a, "x", dlm::Mode::ex, true);
  const Reply refused = bench.acquire(b, "x", dlm::Mode::ex, true);
  CHECK(refused.status == Status::busy);
  bench.release(a, first);
  const std::uint64_t digest = bench.state.digest();

  const auto again = [&](const Client& client, const Reply& reply) {
    return Bench::reply(bench.apply(kOne, Acquire{client.request(base::value(reply.request)),
                                                  "default", "x", dlm::Mode::ex, true}));
  };
  CHECK(again(a, first) == first);
  CHECK(again(b, refused) == refused);
  CHECK(bench.state.digest() == digest);
  CHECK(bench.state.counts().locks == 0);
}

TEST_CASE("a request that waited is answered again with what became of it") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kOne, 2);
  const Reply held = bench.acquire(a, "x");
  const Acquire waits{b.request(b.next++), "default", "x", dlm::Mode::ex, false};
  const Acquire waits_behind{b.request(b.next++), "default", "x", dlm::Mode::ex, false};
  bench.apply(kOne, waits);
  const Reply queued = Bench::reply(bench.apply(kOne, waits_behind));
  CHECK(Bench::reply(bench.apply(kOne, waits)).status == Status::queued);

  const Effects effects = bench.release_effects(a, held);
  const Reply again = Bench::reply(bench.apply(kOne, waits));
  CHECK(again.status == Status::granted);
  CHECK(again.token == only<Settled>(effects).at(0).reply.token);
  bench.cancel_effects(b, queued);
  CHECK(Bench::reply(bench.apply(kOne, waits_behind)).status == Status::cancelled);
}

TEST_CASE("a request at or below the acknowledged mark is never executed") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  const Acquire late{a.request(1), "default", "x", dlm::Mode::ex, false};
  const Reply held = bench.acquire(a, "x");
  bench.release(a, held);
  a.acknowledged = 2;
  bench.acquire(a, "y");
  CHECK(bench.state.find(a.session)->replies.size() == 1);

  CHECK(Bench::reply(bench.apply(kOne, late)).status == Status::already_answered);
  CHECK_FALSE(bench.state.find_lock(a.session, RequestId{1}).has_value());
  CHECK(bench.state.find(a.session)->acknowledged == RequestId{2});
}

TEST_CASE("requests far above the acknowledged mark are refused until it rises") {
  StateLimits limits;
  limits.sessions.unacknowledged_max = 3;
  Bench bench(limits);
  Client a = bench.client(kOne, 1);
  for (int i = 0; i < 3; ++i) CHECK(bench.acquire(a, "x", dlm::Mode::cr).status == Status::granted);
  CHECK(bench.acquire(a, "x", dlm::Mode::cr).status == Status::too_many_requests);
  a.acknowledged = 1;
  a.next = 4;
  CHECK(bench.acquire(a, "x", dlm::Mode::cr).status == Status::granted);
}

TEST_CASE("a session has a limited number of locks") {
  StateLimits limits;
  limits.locks.locks_per_session = 2;
  Bench bench(limits);
  Client a = bench.client(kOne, 1);
  const Reply first = bench.acquire(a, "x");
  bench.acquire(a, "y");
  CHECK(bench.acquire(a, "z").status == Status::too_many_locks);
  bench.release(a, first);
  CHECK(bench.acquire(a, "z").status == Status::granted);
}

TEST_CASE("a command of an older attachment is refused wherever it was delayed") {
  Bench bench;
  Client old = bench.client(kOne, 1);
  Client now = old;
  now.at = kTwo;
  now.generation = Generation{2};
  REQUIRE(bench.resume(kTwo, old, 2) == Resumed::Outcome::resumed);
  CHECK(bench.acquire(old, "x").status == Status::stale_generation);
  bench.apply(kOne, Detached{old.session, old.generation});
  bench.apply(kOne, Close{old.session, old.generation});
  CHECK(bench.state.find(old.session)->attached());
  CHECK(bench.acquire(now, "x").status == Status::granted);
}

TEST_CASE("a command from a daemon that does not serve the session is refused") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client stranger = a;
  stranger.at = kTwo;
  CHECK(bench.acquire(stranger, "x").status == Status::not_attached);
  bench.apply(kTwo, Detached{a.session, a.generation});
  bench.apply(kTwo, Close{a.session, a.generation});
  CHECK(bench.state.find(a.session)->attached());
}

TEST_CASE("a command of an orphan is refused until RESUME, then executed once under its number") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  bench.depart({{kOne, ring(1)}});
  CHECK(bench.acquire(a, "x").status == Status::not_attached);
  REQUIRE(bench.resume(kOne, a, 2) == Resumed::Outcome::resumed);
  a.generation = Generation{2};
  a.next = 1;
  CHECK(bench.acquire(a, "x").status == Status::granted);
}

TEST_CASE("requests of a session that is not known, or has ended, are told that it is lost") {
  Bench bench;
  Client nobody{kOne, SessionId{12345}};
  CHECK(bench.acquire(nobody, "x").status == Status::session_lost);
  Client a = bench.client(kOne, 1);
  bench.acquire(a, "x");
  bench.depart({{kOne, ring(1)}});
  bench.apply(kTwo, Expire{bench.mark_of(a)});
  REQUIRE(bench.state.find(a.session)->dead());
  CHECK(bench.acquire(a, "y").status == Status::session_lost);
}

TEST_CASE("the client's own close frees its locks at once, waiting requests too") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  Client c = bench.client(kTwo, 2);
  bench.acquire(a, "x");
  const Reply bs = bench.acquire(b, "x");
  const Reply other = bench.acquire(b, "y");
  CHECK(other.status == Status::granted);
  bench.acquire(a, "y");
  bench.acquire(c, "y");

  const Effects effects = bench.apply(kOne, Close{a.session, a.generation});
  REQUIRE(only<SessionEnded>(effects).size() == 1);
  CHECK(only<SessionEnded>(effects)[0].reason == SessionEnded::Reason::closed);
  REQUIRE(only<Settled>(effects).size() == 1);
  CHECK(only<Settled>(effects)[0].lock == bs.request);
  CHECK(bench.state.find(a.session) == nullptr);
  CHECK_FALSE(bench.state.purge_pending());
  CHECK(only<Settled>(bench.release_effects(b, other)).at(0).session == c.session);
}

TEST_CASE("a close applied again is answered again") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  const Effects first = bench.apply(kOne, Close{a.session, a.generation});
  CHECK(bench.apply(kOne, Close{a.session, a.generation}) == first);
}

TEST_CASE("a departed daemon's sessions become orphans of its ring, and keep their locks") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  const Reply held = bench.acquire(a, "x");
  bench.acquire(b, "x");
  const Effects effects = bench.depart({{kOne, ring(1)}, {daemon(7), ring(1)}});
  const Mark mark{a.session, a.generation, ring(1)};
  CHECK(effects == Effects{BecameOrphan{kOne, mark}});
  CHECK(bench.state.orphans() == std::vector<Mark>{mark});
  CHECK(bench.state.waits(mark));
  CHECK(bench.state.find(b.session)->attached());
  CHECK(bench.state.find_lock(a.session, held.request)->granted);
  CHECK(bench.state.attached_to(kOne).empty());
}

TEST_CASE("another incarnation's departure leaves a session alone") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  CHECK(bench.depart({{daemon(1, 2), ring(1)}}).empty());
  CHECK(bench.state.find(a.session)->attached());
}

TEST_CASE("a session that its daemon hung up on is an orphan, not freed, and stays so") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  const Reply held = bench.acquire(a, "x");
  bench.now_ring = ring(4);
  const Mark mark{a.session, a.generation, ring(4)};
  CHECK(bench.apply(kOne, Detached{a.session, a.generation}) == Effects{BecameOrphan{kOne, mark}});
  CHECK(bench.state.find_lock(a.session, held.request)->granted);

  bench.now_ring = ring(5);
  CHECK(bench.apply(kOne, Detached{a.session, a.generation}).empty());
  CHECK(bench.depart({{kOne, ring(5)}}).empty());
  CHECK(bench.state.orphans() == std::vector<Mark>{mark});
}

TEST_CASE("a client may close its session while it is an orphan") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  bench.acquire(a, "x");
  bench.apply(kOne, Detached{a.session, a.generation});
  bench.apply(kOne, Close{a.session, a.generation});
  CHECK(bench.state.find(a.session) == nullptr);
  CHECK(bench.state.counts().locks == 0);
}

TEST_CASE("EXPIRE ends the orphan of its mark; its locks stay until PURGE") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  const Reply held = bench.acquire(a, "x");
  bench.acquire(b, "x");
  bench.depart({{kOne, ring(1)}});
  const Mark mark = bench.mark_of(a);
  const Effects effects = bench.apply(kTwo, Expire{mark});
  CHECK(effects ==
        Effects{SessionEnded{kOne, a.session, a.generation, SessionEnded::Reason::expired}});
  CHECK(bench.state.find(a.session)->dead());
  CHECK_FALSE(bench.state.waits(mark));
  CHECK(bench.state.find_lock(a.session, held.request)->granted);
  CHECK(bench.state.purge_pending());

  const Effects purged = bench.apply(kTwo, Purge{});
  CHECK(only<Settled>(purged).at(0).session == b.session);
  CHECK(bench.state.find(a.session) == nullptr);
  CHECK_FALSE(bench.state.purge_pending());
}

TEST_CASE("EXPIRE misses unless session, generation and ring of the mark are all met") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  const Mark attached{a.session, a.generation, ring(1)};
  CHECK(bench.apply(kTwo, Expire{attached}).empty());

  bench.depart({{kOne, ring(1)}});
  CHECK(bench.apply(kTwo, Expire{{a.session, a.generation, ring(2)}}).empty());
  CHECK(bench.apply(kTwo, Expire{{a.session, Generation{2}, ring(1)}}).empty());
  CHECK(bench.apply(kTwo, Expire{{SessionId{999}, a.generation, ring(1)}}).empty());
  CHECK(bench.state.orphans().size() == 1);
}

TEST_CASE("a session orphaned again in one ring has another mark than before") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  bench.apply(kOne, Detached{a.session, a.generation});
  const Mark first = bench.mark_of(a);
  REQUIRE(bench.resume(kTwo, a, 2) == Resumed::Outcome::resumed);
  CHECK_FALSE(bench.state.waits(first));
  bench.depart({{kTwo, ring(1)}});
  const Mark second = bench.mark_of(a);
  CHECK(second.ring == first.ring);
  CHECK(second != first);
  CHECK(bench.apply(kOne, Expire{first}).empty());
  CHECK(bench.state.waits(second));
  CHECK(bench.apply(kOne, Expire{second}).size() == 1);
}

TEST_CASE("the order decides between RESUME and EXPIRE") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  bench.acquire(a, "x");
  bench.depart({{kOne, ring(1)}});
  const Mark mark = bench.mark_of(a);
  SUBCASE("RESUME first: EXPIRE misses") {
    CHECK(bench.resume(kOne, a, 2) == Resumed::Outcome::resumed);
    CHECK(bench.apply(kTwo, Expire{mark}).empty());
    CHECK(bench.state.find(a.session)->attached());
  }
  SUBCASE("EXPIRE first: RESUME is told that the session is lost") {
    bench.apply(kTwo, Expire{mark});
    CHECK(bench.resume(kOne, a, 2) == Resumed::Outcome::lost);
    bench.apply(kTwo, Purge{});
    CHECK(bench.resume(kOne, a, 2) == Resumed::Outcome::lost);
  }
}

TEST_CASE("RESUME by the same process keeps the locks, their tokens and the places in queues") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  const Reply held = bench.acquire(a, "x");
  const Reply other = bench.acquire(b, "y");
  const Reply waits = bench.acquire(a, "y");
  bench.depart({{kOne, ring(1)}});
  CHECK(bench.resume(kOne, a, 2) == Resumed::Outcome::resumed);
  CHECK(bench.state.find(a.session)->generation == Generation{2});
  const std::vector<dlm::LockView> locks = bench.state.locks_of(a.session, 10);
  REQUIRE(locks.size() == 2);
  CHECK(locks[0].lock.acquired_by == waits.request);
  CHECK_FALSE(locks[0].granted);
  CHECK(locks[1].lock.acquired_by == held.request);
  CHECK(locks[1].token == held.token);
  const Effects effects = bench.release_effects(b, other);
  CHECK(only<Settled>(effects).at(0).generation == Generation{2});
}

TEST_CASE("RESUME needs the secret, and the proof of the same process") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  bench.depart({{kOne, ring(1)}});
  CHECK(bench.resume(kOne, a, 2, 1, 2) == Resumed::Outcome::wrong_secret);
  CHECK(bench.resume(kOne, a, 2, 2, 1) == Resumed::Outcome::another_process);
  CHECK(bench.state.find(a.session)->orphaned());
  CHECK(bench.state.find(a.session)->generation == Generation{1});
  CHECK(bench.resume(kOne, {kOne, SessionId{999}}, 2) == Resumed::Outcome::lost);
}

TEST_CASE("RESUME of an attached session supersedes the older attachment") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  const Effects effects =
      bench.apply(kTwo, Resume{a.session, Generation{2}, secret(1), instance(1)});
  CHECK(effects == Effects{Superseded{kOne, a.session, Generation{1}},
                           Resumed{kTwo, a.session, Generation{2}, Resumed::Outcome::resumed}});
  CHECK(bench.state.find(a.session)->at == kTwo);
}

TEST_CASE("a RESUME applied again is answered again, one that was overtaken is refused") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  bench.depart({{kOne, ring(1)}});
  CHECK(bench.resume(kOne, a, 3) == Resumed::Outcome::resumed);
  const std::uint64_t digest = bench.state.digest();
  CHECK(bench.resume(kOne, a, 3) == Resumed::Outcome::resumed);
  CHECK(bench.resume(kOne, a, 2) == Resumed::Outcome::overtaken);
  CHECK(bench.resume(kTwo, a, 3) == Resumed::Outcome::overtaken);
  CHECK(bench.state.digest() == digest);
  bench.apply(kOne, Detached{a.session, Generation{3}});
  CHECK(bench.resume(kOne, a, 3) == Resumed::Outcome::overtaken);
}

TEST_CASE("a dead session is never granted what it waits for; the next in the queue is") {
  Bench bench;
  Client dead = bench.client(kOne, 1);
  Client holder = bench.client(kTwo, 1);
  Client next = bench.client(kTwo, 2);
  const Reply held = bench.acquire(holder, "x");
  bench.acquire(dead, "x");
  bench.acquire(dead, "x");
  bench.acquire(next, "x");
  bench.depart({{kOne, ring(1)}});
  bench.apply(kTwo, Expire{bench.mark_of(dead)});
  const Effects effects = bench.release_effects(holder, held);
  const std::vector<Settled> granted = only<Settled>(effects);
  REQUIRE(granted.size() == 1);
  CHECK(granted[0].session == next.session);
  CHECK(bench.state.locks().count_of(dead.session) == 0);
}

TEST_CASE("the changes of the last command show all that happened to locks, and nothing older") {
  Bench bench;
  Client dead = bench.client(kOne, 1);
  Client holder = bench.client(kTwo, 1);
  const Reply held = bench.acquire(holder, "x");
  const Reply waits = bench.acquire(dead, "x");
  bench.depart({{kOne, ring(1)}});
  CHECK(bench.state.changes().empty());
  bench.apply(kTwo, Expire{bench.mark_of(dead)});
  bench.release_effects(holder, held);
  const dlm::Effects& changes = bench.state.changes();
  REQUIRE(changes.size() == 3);
  CHECK(changes[0].kind == dlm::Effect::Kind::released);
  CHECK(changes[0].token == held.token);
  CHECK(changes[1].kind == dlm::Effect::Kind::granted);
  CHECK(changes[1].lock == dlm::LockName{dead.session, waits.request});
  CHECK(changes[2].kind == dlm::Effect::Kind::released);
  CHECK(changes[2].token == changes[1].token);
  bench.apply(kTwo, Purge{});
  CHECK(bench.state.changes().empty());
}

TEST_CASE("freeing goes in bounded steps, from one snapshot to the next") {
  StateLimits limits;
  limits.purge_step = 3;
  Bench bench(limits);
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kOne, 2);
  for (int i = 0; i < 8; ++i) bench.acquire(a, "a" + std::to_string(i));
  bench.acquire(b, "b");
  bench.depart({{kOne, ring(1)}});
  bench.apply(kTwo, Expire{bench.mark_of(a)});
  bench.apply(kTwo, Expire{bench.mark_of(b)});
  std::vector<std::size_t> left;
  while (bench.state.purge_pending()) {
    bench.apply(kTwo, Purge{});
    REQUIRE(bench.reload(limits));
    left.push_back(bench.state.counts().locks);
  }
  CHECK(left == std::vector<std::size_t>{6, 3, 0});
  CHECK(bench.state.counts().sessions == 0);
}

TEST_CASE("closing a session with many locks frees one step's worth, PURGE the rest") {
  StateLimits limits;
  limits.purge_step = 3;
  Bench bench(limits);
  Client a = bench.client(kOne, 1);
  for (int i = 0; i < 5; ++i) bench.acquire(a, std::to_string(i));
  bench.apply(kOne, Close{a.session, a.generation});
  CHECK(bench.state.counts().locks == 2);
  CHECK(bench.state.purge_pending());
  bench.apply(kTwo, Purge{});
  CHECK_FALSE(bench.state.purge_pending());
  CHECK(bench.state.find(a.session) == nullptr);
}

TEST_CASE("a PURGE with nothing to do changes nothing") {
  Bench bench;
  const std::uint64_t digest = bench.state.digest();
  CHECK(bench.apply(kOne, Purge{}).empty());
  CHECK(bench.state.digest() == digest);
}

TEST_CASE("a cold table queues and grants nothing until COLD_END of its ring, then in order") {
  Bench bench;
  bench.state.start_cold(ring(3), 1000, base::Duration(7));
  CHECK(bench.state.cold() == ring(3));
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  const Reply first = bench.acquire(a, "x");
  const Reply second = bench.acquire(b, "x");
  CHECK(first.status == Status::queued);
  CHECK(second.status == Status::queued);
  CHECK(bench.acquire(a, "y", dlm::Mode::ex, true).status == Status::busy);
  CHECK(bench.acquire(b, "x", dlm::Mode::ex, true).status == Status::busy);
  CHECK(bench.apply(kOne, ColdEnd{ring(2)}).empty());
  CHECK(bench.state.cold().has_value());
  CHECK_FALSE(bench.state.purge_pending());
  CHECK(bench.apply(kOne, Purge{}).empty());

  const std::vector<Settled> granted = only<Settled>(bench.apply(kTwo, ColdEnd{ring(3)}));
  REQUIRE(granted.size() == 1);
  CHECK(granted[0].session == a.session);
  CHECK_FALSE(bench.state.cold().has_value());
  CHECK(bench.state.counts().locks == 2);
  CHECK(bench.acquire(b, "y", dlm::Mode::ex, true).status == Status::granted);
}

TEST_CASE("the cold flag outlives ring changes and snapshots") {
  Bench bench;
  bench.state.start_cold(ring(3), 1000, base::Duration(7));
  bench.depart({{kTwo, ring(3)}});
  REQUIRE(bench.reload());
  CHECK(bench.state.cold() == ring(3));
  CHECK(bench.state.longest_lease() == base::Duration(7));
  Client a = bench.client(kOne, 1);
  CHECK(bench.acquire(a, "x").status == Status::queued);
}

TEST_CASE("a cold start forgets everything and is the same on all nodes") {
  Bench with_past;
  Client a = with_past.client(kOne, 1);
  with_past.acquire(a, "x");
  with_past.state.raise_longest_lease(base::Duration(99));
  Bench without;
  for (Bench* bench : {&with_past, &without}) {
    bench->state.start_cold(ring(3), 1000, base::Duration(7));
  }
  CHECK(with_past.state.digest() == without.state.digest());
  CHECK(with_past.open(kTwo, 1) == without.open(kTwo, 1));
}

TEST_CASE("what is asked for in a cold start is bounded, tries leave nothing behind") {
  StateLimits limits;
  limits.locks.locks_per_session = 3;
  Bench bench(limits);
  bench.state.start_cold(ring(3), 1000, base::Duration(7));
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kOne, 2);
  for (int i = 0; i < 9; ++i) bench.acquire(a, std::to_string(i), dlm::Mode::ex, true);
  CHECK(bench.state.counts().resources == 0);
  for (int i = 0; i < 3; ++i) CHECK(bench.acquire(a, std::to_string(i)).status == Status::queued);
  CHECK(bench.acquire(b, "more").status == Status::too_many_locks);
  CHECK(bench.acquire(b, "1").status == Status::queued);
  CHECK(only<Settled>(bench.apply(kOne, ColdEnd{ring(3)})).size() == 3);
}

TEST_CASE("the end of a cold start goes in bounded steps too") {
  StateLimits limits;
  limits.purge_step = 2;
  Bench bench(limits);
  bench.state.start_cold(ring(3), 1000, base::Duration(7));
  Client a = bench.client(kOne, 1);
  for (int i = 0; i < 3; ++i) bench.acquire(a, std::to_string(i));
  std::size_t granted = only<Settled>(bench.apply(kOne, ColdEnd{ring(3)})).size();
  CHECK(granted == 1);
  REQUIRE(bench.reload(limits));
  while (bench.state.purge_pending()) granted += only<Settled>(bench.apply(kOne, Purge{})).size();
  CHECK(granted == 3);
}

TEST_CASE("tokens begin at the base of the epoch; the longest lease only grows") {
  Bench bench;
  bench.state.raise_token_base(500);
  bench.state.raise_token_base(400);
  CHECK(bench.state.next_token() == 500);
  bench.state.raise_longest_lease(base::Duration(9));
  bench.state.raise_longest_lease(base::Duration(8));
  CHECK(bench.state.longest_lease() == base::Duration(9));
}

TEST_CASE("the fingerprint of the limits tells each limit apart") {
  std::vector<StateLimits> limits(10);
  limits[1].sessions.sessions_max = 1;
  limits[2].sessions.sessions_per_user_max = 1;
  limits[3].sessions.daemons_max = 1;
  limits[4].sessions.unacknowledged_max = 1;
  limits[5].locks.locks = 1;
  limits[6].locks.resources = 1;
  limits[7].locks.lockspaces = 1;
  limits[8].locks.locks_per_session = 1;
  limits[9].purge_step = 1;
  std::set<std::uint64_t> fingerprints;
  for (const StateLimits& one : limits) fingerprints.insert(one.fingerprint());
  CHECK(fingerprints.size() == limits.size());
  CHECK(StateLimits{}.fingerprint() == limits[0].fingerprint());
}

TEST_CASE("counts tell sessions, orphans, dead ones, resources, locks and who waits") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  Client c = bench.client(kTwo, 2);
  bench.acquire(a, "x");
  bench.acquire(b, "x");
  bench.acquire(c, "y");
  bench.depart({{kTwo, ring(1)}});
  bench.apply(kOne, Expire{bench.mark_of(c)});
  CHECK(bench.state.counts() == StateCounts{3, 1, 1, 2, 3, 1});
}

}  // namespace
}  // namespace lockd
