// What a daemon's sessions make of the requests for locks, beyond acquire and release.
#include <doctest/doctest.h>

#include <chrono>

#include "tests/unit/lockd/test_cluster.h"

namespace lockd::test {
namespace {

using protocol::Answer;
using namespace std::chrono_literals;
namespace flag = base::lock_flag;

struct Pair {
  Pair() : cluster(1) {
    a = &cluster.open(0, 0, 1);
    b = &cluster.open(0, 1000, 2);
    welcome = a->next<protocol::Welcome>().value();
  }

  base::RequestId acquire(Client& c, const std::string& name, protocol::Mode mode,
                          base::LockFlags flags = 0, std::uint64_t owner = 0,
                          std::uint32_t patience = 0) {
    protocol::Acquire acquire;
    acquire.request = next(c);
    acquire.acknowledged = c.acknowledged;
    acquire.stamp = cluster.now;
    acquire.mode = mode;
    acquire.flags = flags;
    acquire.owner = owner;
    acquire.patience = patience;
    acquire.lockspace = "default";
    acquire.resource = name;
    c.send(acquire);
    return acquire.request;
  }

  base::RequestId convert(Client& c, base::RequestId lock, protocol::Mode mode,
                          base::LockFlags flags = 0) {
    const base::RequestId request = next(c);
    convert_again(c, request, lock, mode, flags);
    return request;
  }

  void convert_again(Client& c, base::RequestId request, base::RequestId lock, protocol::Mode mode,
                     base::LockFlags flags = 0) {
    c.send(protocol::Convert{request, c.acknowledged, cluster.now, lock, mode, flags, 0, {}});
  }

  base::RequestId join(Client& c, protocol::JoinKind kind) {
    const base::RequestId request = next(c);
    c.send(protocol::JoinLockspace{request, c.acknowledged, cluster.now, kind, 0666, "space"});
    return request;
  }

  // The same client over another connection.
  Client& resumed() {
    a->hang_up(HangUp::broken);
    Client& again = cluster.connect(0, 0, 1);
    again.last_request = a->last_request;
    again.acknowledged = a->acknowledged;
    again.resume(welcome);
    REQUIRE(again.next<protocol::Welcome>().has_value());
    return again;
  }

  static base::RequestId next(Client& c) {
    return c.last_request = base::RequestId{base::value(c.last_request) + 1};
  }

  Cluster cluster;
  Client* a;
  Client* b;
  protocol::Welcome welcome;
};

}  // namespace

TEST_CASE("a request whose patience is over, by the daemon's clock, is answered so") {
  Pair pair;
  pair.acquire(*pair.a, "x", protocol::Mode::ex);
  const auto wait = pair.acquire(*pair.b, "x", protocol::Mode::ex, 0, 0, 300);
  CHECK(pair.b->answer(wait).value().answer == Answer::queued);
  pair.cluster.pass(250ms);
  CHECK_FALSE(pair.b->answer(wait).has_value());
  pair.cluster.pass(100ms);
  CHECK(pair.b->answer(wait).value().answer == Answer::timed_out);
  CHECK(pair.cluster.daemon(0).replica().table()->counts().waiting == 0);
}

TEST_CASE("patience that ends while the daemon is cut off is at an end when it is back") {
  Cluster cluster(3);
  cluster.form_all();
  cluster.pass(5s);
  Client& holder = cluster.open(1, 0, 1);
  Client& waiter = cluster.open(0, 0, 2);
  holder.acquire("x");
  protocol::Acquire acquire;
  acquire.request = base::RequestId{1};
  acquire.stamp = cluster.now;
  acquire.patience = 300;
  acquire.lockspace = "default";
  acquire.resource = "x";
  waiter.send(acquire);
  CHECK(waiter.answer(acquire.request).value().answer == Answer::queued);
  cluster.break_ring(0);
  cluster.form({1, 2});
  cluster.pass(500ms);
  CHECK_FALSE(waiter.answer(acquire.request).has_value());
  cluster.form_all();
  cluster.pass(100ms);
  CHECK(waiter.answer(acquire.request).value().answer == Answer::timed_out);
}

TEST_CASE("who waits, and does so no more, leaves no patience behind") {
  Pair pair;
  pair.acquire(*pair.a, "x", protocol::Mode::ex);
  for (int i = 0; i < 100; ++i) {
    const auto wait = pair.acquire(*pair.b, "x", protocol::Mode::ex, 0, 0, 3'600'000);
    CHECK(pair.b->answer(wait).value().answer == Answer::queued);
    const auto cancel = pair.b->cancel(wait);
    CHECK(pair.b->answer(cancel).value().answer == Answer::cancelled);
    pair.b->acknowledged = pair.b->last_request;
  }
  CHECK(pair.cluster.daemon(0).sessions().impatient() == 0);
  pair.acquire(*pair.b, "x", protocol::Mode::ex, 0, 0, 3'600'000);
  CHECK(pair.cluster.daemon(0).sessions().impatient() == 1);
  pair.b->hang_up();
  CHECK(pair.cluster.daemon(0).sessions().impatient() == 0);
}

TEST_CASE("a conversion that waits is answered when it is granted, with the new token") {
  Pair pair;
  const auto mine = pair.acquire(*pair.a, "x", protocol::Mode::pr);
  const auto held = pair.a->answer(mine).value();
  const auto other = pair.acquire(*pair.b, "x", protocol::Mode::pr);
  const auto theirs = pair.b->answer(other).value();
  const auto more = pair.convert(*pair.a, mine, protocol::Mode::ex);
  CHECK(pair.a->answer(more).value().answer == Answer::queued);
  pair.b->release(other, theirs.token);
  const auto granted = pair.a->answer(more).value();
  CHECK(granted.answer == Answer::granted);
  CHECK(granted.mode == protocol::Mode::ex);
  CHECK(granted.token > held.token);
}

TEST_CASE("a queued conversion that is repeated after a resume is answered from the table") {
  for (const bool granted_meanwhile : {false, true}) {
    CAPTURE(granted_meanwhile);
    Pair pair;
    const auto mine = pair.acquire(*pair.a, "x", protocol::Mode::pr);
    const auto held = pair.a->answer(mine).value();
    const auto other = pair.acquire(*pair.b, "x", protocol::Mode::pr);
    const auto theirs = pair.b->answer(other).value();
    const auto more = pair.convert(*pair.a, mine, protocol::Mode::ex);
    CHECK(pair.a->answer(more).value().answer == Answer::queued);
    pair.a->acknowledged = more;
    pair.a->keepalive();
    pair.acquire(*pair.a, "y", protocol::Mode::ex);  // Carries the mark into the order.
    if (granted_meanwhile) pair.b->release(other, theirs.token);
    Client& again = pair.resumed();
    pair.convert_again(again, more, mine, protocol::Mode::ex);
    const auto told = again.answer(more).value();
    CHECK(told.answer == (granted_meanwhile ? Answer::granted : Answer::queued));
    if (granted_meanwhile) CHECK(told.token > held.token);
    if (granted_meanwhile) continue;
    pair.b->release(other, theirs.token);
    CHECK(again.answer(more).value().answer == Answer::granted);
  }
}

TEST_CASE("a holder is told who waits, and told again after a resume") {
  Pair pair;
  const auto mine = pair.acquire(*pair.a, "x", protocol::Mode::pr, flag::notify);
  const auto held = pair.a->answer(mine).value();
  pair.acquire(*pair.b, "x", protocol::Mode::ex);
  const protocol::Blocks expected{mine, held.token, protocol::Mode::ex};
  CHECK(pair.a->next<protocol::Blocks>() == expected);
  CHECK(pair.resumed().next<protocol::Blocks>() == expected);
}

TEST_CASE("the ring of a deadlock is told before the answer to its victim") {
  Pair pair;
  pair.acquire(*pair.a, "x", protocol::Mode::ex, 0, 1);
  pair.acquire(*pair.b, "y", protocol::Mode::ex, 0, 1);
  pair.acquire(*pair.a, "y", protocol::Mode::ex, 0, 1);
  const auto closing = pair.acquire(*pair.b, "x", protocol::Mode::ex, 0, 1);
  const auto told = pair.b->next<protocol::Deadlock>();
  REQUIRE(told.has_value());
  CHECK(told->request == closing);
  CHECK(told->steps.size() == 2);
  CHECK(pair.b->answer(closing).value().answer == Answer::deadlock);
}

TEST_CASE("several locks are answered one by one, under numbers that follow each other") {
  Pair pair;
  protocol::AcquireAll all;
  all.request = base::RequestId{1};
  all.stamp = pair.cluster.now;
  all.parts = {{protocol::Mode::ex, "default", "x"}, {protocol::Mode::pr, "default", "y"}};
  pair.b->last_request = base::RequestId{2};
  pair.b->send(all);
  CHECK(pair.b->answer(base::RequestId{1}).value().answer == Answer::granted);
  CHECK(pair.b->answer(base::RequestId{2}).value().mode == protocol::Mode::pr);
}

TEST_CASE("a user of a lockspace is told how it is after a resume") {
  Pair pair;
  const auto joined = pair.join(*pair.a, protocol::JoinKind::create);
  CHECK(pair.a->answer(joined).value().answer == Answer::done);
  Client& again = pair.resumed();
  const auto state = again.next<protocol::LockspaceState>();
  REQUIRE(state.has_value());
  CHECK(state->lockspace == "space");
  CHECK(state->members.size() == 1);
}

TEST_CASE("root lets the node join a lockspace; its users hear of the members") {
  Pair pair;
  const auto refused = pair.join(*pair.b, protocol::JoinKind::create);
  CHECK(pair.b->answer(refused).value().answer == Answer::not_permitted);
  const auto joined = pair.join(*pair.a, protocol::JoinKind::create);
  CHECK(pair.a->answer(joined).value().answer == Answer::done);
  const auto state = pair.a->next<protocol::LockspaceState>();
  REQUIRE(state.has_value());
  CHECK(state->generation == 1);
  CHECK(state->recovered);
  REQUIRE(state->members.size() == 1);
  CHECK(state->members[0].slot == 1);
  const auto opened = pair.join(*pair.b, protocol::JoinKind::open);
  CHECK(pair.b->answer(opened).value().answer == Answer::done);
}

}  // namespace lockd::test
