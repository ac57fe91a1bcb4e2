#include <doctest/doctest.h>

#include "tests/unit/lockd/test_cluster.h"

using namespace lockd;
using namespace lockd::test;
using protocol::Answer;

namespace {

// What the client may rely on by this answer: until then, on its own clock.
base::Instant until(const protocol::LeaseNote& note) {
  return note.echo + note.remaining;
}

struct One {
  Cluster cluster{1};
  Client& client = cluster.open(0);
  protocol::Welcome welcome = client.next<protocol::Welcome>().value();
};

std::size_t locks(Cluster& cluster, std::size_t node = 0) {
  return cluster.daemon(node).replica().table()->counts().locks;
}

}  // namespace

TEST_CASE("a client opens a session, takes a lock, and gives it back") {
  One one;
  CHECK(one.welcome.generation == 1);
  CHECK(base::value(one.welcome.session) > 0);
  CHECK(one.welcome.primary);
  CHECK(one.welcome.note.remaining == 1800ms);

  const auto lock = one.client.acquire("a");
  const auto granted = one.client.answer(lock).value();
  CHECK(granted.answer == Answer::granted);
  CHECK(base::value(granted.token) > 0);
  CHECK(granted.note.echo == one.cluster.now);
  CHECK(granted.note.remaining == 1800ms);
  CHECK(locks(one.cluster) == 1);

  const auto released = one.client.answer(one.client.release(lock, granted.token)).value();
  CHECK(released.answer == Answer::released);
  CHECK(locks(one.cluster) == 0);
  CHECK(one.client.answer(one.client.release(lock, granted.token)).value().answer ==
        Answer::not_held);
}

TEST_CASE("of two clients the second waits, and is told when the first gives way") {
  One one;
  Client& second = one.cluster.open(0, 1000, 2);
  const auto lock = one.client.acquire("a");
  const auto granted = one.client.answer(lock).value();
  const auto wait = second.acquire("a");
  CHECK(second.answer(wait).value().answer == Answer::queued);
  CHECK(second.answer(second.acquire("a", true)).value().answer == Answer::busy);
  one.client.release(lock, granted.token);
  const auto told = second.answer(wait).value();
  CHECK(told.answer == Answer::granted);
  CHECK(told.token > granted.token);
}

TEST_CASE("a waiting request is cancelled, a granted one is not") {
  One one;
  Client& second = one.cluster.open(0, 1000, 2);
  const auto lock = one.client.acquire("a");
  const auto wait = second.acquire("a");
  CHECK(second.answer(second.cancel(wait)).value().answer == Answer::cancelled);
  CHECK(one.client.answer(one.client.cancel(lock)).value().answer == Answer::not_waiting);
  CHECK(locks(one.cluster) == 1);
}

TEST_CASE("a client that is gone frees its locks at once") {
  One one;
  Client& second = one.cluster.open(0, 1000, 2);
  one.client.acquire("a");
  const auto wait = second.acquire("a");
  one.client.hang_up();
  CHECK(second.answer(wait).value().answer == Answer::queued);
  CHECK(second.answer(wait).value().answer == Answer::granted);
  CHECK(one.cluster.daemon(0).replica().table()->counts().sessions == 1);
}

TEST_CASE("a client that closes its session is hung up on when that is in the order") {
  One one;
  one.client.acquire("a");
  one.client.send(protocol::Close{});
  CHECK(one.client.closed);
  CHECK(locks(one.cluster) == 0);
  CHECK(one.cluster.daemon(0).sessions().statistics().sessions_closed == 1);
}

TEST_CASE("a client whose connection broke keeps its locks until its last promise has run out") {
  One one;
  Client& second = one.cluster.open(0, 1000, 2);
  const auto lock = one.client.acquire("a");
  const base::Instant promised = until(one.client.answer(lock).value().note);
  const auto wait = second.acquire("a");
  CHECK(second.answer(wait).value().answer == Answer::queued);
  one.client.hang_up(HangUp::broken);
  while (one.cluster.now.boot + 20ms < promised.boot) {
    one.cluster.pass(10ms);
    second.keepalive();
    REQUIRE_FALSE(second.answer(wait).has_value());
  }
  one.cluster.pass(500ms);
  CHECK(second.answer(wait).value().answer == Answer::granted);
}

TEST_CASE(
    "a client that comes back to its daemon has its session, its locks and its place in the "
    "queue") {
  One one;
  Client& second = one.cluster.open(0, 1000, 2);
  const auto lock = one.client.acquire("a");
  const auto granted = one.client.answer(lock).value();
  const auto other = second.acquire("b");
  const auto other_granted = second.answer(other).value();
  const auto wait = one.client.acquire("b");
  one.client.hang_up(HangUp::broken);
  one.cluster.pass(500ms);

  Client& again = one.cluster.connect(0);
  again.last_request = one.client.last_request;
  again.resume(one.welcome);
  const auto welcome = again.next<protocol::Welcome>().value();
  CHECK(welcome.resumed);
  CHECK(welcome.session == one.welcome.session);
  CHECK(welcome.generation == 2);
  CHECK(welcome.note.remaining == 1800ms);

  // The client repeats what waits.
  protocol::Acquire repeated;
  repeated.request = wait;
  repeated.stamp = one.cluster.now;
  repeated.lockspace = "default";
  repeated.resource = "b";
  again.send(repeated);
  CHECK(again.answer(wait).value().answer == Answer::queued);
  second.release(other, other_granted.token);
  CHECK(again.answer(wait).value().answer == Answer::granted);
  CHECK(again.answer(again.release(lock, granted.token)).value().answer == Answer::released);
}

TEST_CASE("a repeated acquire that counts as answered is answered from the table") {
  One one;
  Client& second = one.cluster.open(0, 1000, 2);
  const auto held = second.acquire("a");
  const auto token = second.answer(held).value().token;
  const auto wait = one.client.acquire("a");
  CHECK(one.client.answer(wait).value().answer == Answer::queued);
  one.client.acknowledged = wait;
  one.client.acquire("c");  // Carries the mark.
  one.client.hang_up(HangUp::broken);

  Client& again = one.cluster.connect(0);
  again.resume(one.welcome);
  protocol::Acquire repeated;
  repeated.request = wait;
  repeated.acknowledged = wait;
  repeated.stamp = one.cluster.now;
  repeated.lockspace = "default";
  repeated.resource = "a";
  again.send(repeated);
  CHECK(again.answer(wait).value().answer == Answer::queued);
  second.release(held, token);
  CHECK(again.answer(wait).value().answer == Answer::granted);
  again.send(repeated);
  CHECK(again.answer(wait).value().answer == Answer::granted);
}

TEST_CASE("a request that is sent again is executed once") {
  One one;
  const auto lock = one.client.acquire("a");
  const auto first = one.client.answer(lock).value();
  one.client.hang_up(HangUp::broken);
  Client& again = one.cluster.connect(0);
  again.resume(one.welcome);
  const auto same = again.acquire("a");
  CHECK(same == lock);
  const auto second = again.answer(lock).value();
  CHECK(second.answer == Answer::granted);
  CHECK(second.token == first.token);
  CHECK(locks(one.cluster) == 1);
}

TEST_CASE(
    "a session is not given to a wrong secret or to another process, and is not disturbed by "
    "them") {
  One one;
  const auto lock = one.client.acquire("a");
  CHECK(one.client.answer(lock).value().answer == Answer::granted);
  protocol::Welcome wrong = one.welcome;
  wrong.secret[0] ^= std::byte{1};
  Client& thief = one.cluster.connect(0);
  thief.resume(wrong);
  CHECK(thief.next<protocol::Refused>().value().error == protocol::Refusal::session_lost);
  CHECK(thief.closed);
  Client& other = one.cluster.connect(0, 1000, 9);
  other.resume(one.welcome);
  CHECK(other.next<protocol::Refused>().value().error == protocol::Refusal::session_lost);
  one.client.keepalive();
  CHECK(one.client.next<protocol::State>().value().note.remaining == 1800ms);
  CHECK_FALSE(one.client.closed);
}

TEST_CASE("a resumed connection takes the place of the old one") {
  One one;
  Client& again = one.cluster.connect(0);
  again.resume(one.welcome);
  CHECK(again.next<protocol::Welcome>().value().generation == 2);
  CHECK(one.client.closed);
  CHECK_FALSE(again.closed);
}

TEST_CASE("a session that is gone is not resumed") {
  One one;
  one.client.hang_up();
  Client& again = one.cluster.connect(0);
  again.resume(one.welcome);
  CHECK(again.next<protocol::Refused>().value().error == protocol::Refusal::session_lost);
}

TEST_CASE("a keepalive is answered with what is left of the lease, counted from its own stamp") {
  One one;
  one.cluster.pass(300ms);
  one.client.keepalive();
  const auto state = one.client.next<protocol::State>().value();
  CHECK(state.primary);
  CHECK(state.generation == 1);
  CHECK(state.note.echo == one.cluster.now);
  CHECK(state.note.remaining == 1800ms);
}

TEST_CASE(
    "the promise shrinks while the token does not come, and nothing is told when it is over") {
  One one;
  one.client.received.clear();
  one.cluster.token_moves = false;
  one.cluster.pass(600ms);
  one.client.keepalive();
  CHECK(one.client.next<protocol::State>().value().note.remaining == 1200ms);
  one.cluster.pass(1190ms);
  const auto lock = one.client.acquire("a");
  CHECK_FALSE(one.client.answer(lock).has_value());
  one.cluster.pass(100ms);
  one.client.received.clear();
  one.client.keepalive();
  CHECK(one.client.next<protocol::State>().value().note.remaining == 0ms);
  one.cluster.token_moves = true;
  one.cluster.pass(10ms);
  const auto reply = one.client.answer(lock).value();
  CHECK(reply.answer == Answer::granted);
  // Since the acquire was sent.
  CHECK(until(reply.note).boot <= one.cluster.now.boot + 1800ms);
}

TEST_CASE("a client that holds a lock and is silent for a whole lease loses its session") {
  One one;
  Client& second = one.cluster.open(0, 1000, 2);
  one.client.acquire("a");
  const auto wait = second.acquire("a");
  for (int i = 0; i < 17; ++i) {
    one.cluster.pass(100ms);
    second.keepalive();
  }
  CHECK_FALSE(one.client.closed);
  for (int i = 0; i < 10; ++i) {
    one.cluster.pass(100ms);
    second.keepalive();
  }
  CHECK(one.client.closed);
  CHECK(one.client.next<protocol::Lost>().value().reason == protocol::LostReason::expired);
  CHECK(second.answer(wait).value().answer == Answer::queued);
  CHECK(second.answer(wait).value().answer == Answer::granted);
}

TEST_CASE("a client that holds nothing may be silent, and takes locks afterwards") {
  One one;
  one.cluster.pass(10s);
  CHECK_FALSE(one.client.closed);
  one.client.received.clear();
  const auto granted = one.client.answer(one.client.acquire("a")).value();
  CHECK(granted.answer == Answer::granted);
  CHECK(granted.note.remaining == 1800ms);
}

TEST_CASE("a client that does not read is hung up on, and its locks wait for its last promise") {
  One one;
  const auto lock = one.client.acquire("a");
  CHECK(one.client.answer(lock).value().answer == Answer::granted);
  one.client.reads = false;
  for (int i = 0; i < 20000 && !one.client.closed; ++i) one.client.keepalive();
  CHECK(one.client.closed);
  CHECK(one.cluster.daemon(0).sessions().statistics().slow_readers == 1);
  CHECK(locks(one.cluster) == 1);
  one.cluster.pass(1700ms);
  CHECK(locks(one.cluster) == 1);
  one.cluster.pass(500ms);
  CHECK(locks(one.cluster) == 0);
}

TEST_CASE("bytes that are no request end the connection and are counted") {
  One one;
  Client& garbage = one.cluster.connect(0);
  const base::Buffer bytes(64, std::byte{0xa5});
  garbage.send_bytes(bytes);
  CHECK(garbage.closed);
  CHECK(garbage.next<protocol::Refused>().value().error == protocol::Refusal::malformed);
  CHECK(one.cluster.daemon(0).sessions().statistics().malformed == 1);

  // In a session, too: which is then abandoned, not freed.
  one.client.acquire("a");
  one.client.send_bytes(bytes);
  CHECK(one.client.closed);
  CHECK(locks(one.cluster) == 1);
  one.cluster.pass(2100ms);
  CHECK(locks(one.cluster) == 0);
}

TEST_CASE("a request before Hello, a second Hello and a request without a session are refused") {
  One one;
  Client& early = one.cluster.connect(0);
  early.acquire("a");
  CHECK(early.closed);
  one.client.hello();
  CHECK(one.client.closed);
  Client& query = one.cluster.connect(0);
  query.hello(protocol::HelloKind::query);
  CHECK(query.next<protocol::Welcome>().has_value());
  query.acquire("a");
  CHECK(query.closed);
}

TEST_CASE("another version of the protocol is refused by name") {
  One one;
  Client& future = one.cluster.connect(0);
  protocol::Hello hello;
  hello.version = 99;
  future.send(hello);
  const auto refused = future.next<protocol::Refused>().value();
  CHECK(refused.error == protocol::Refusal::version);
  CHECK(refused.advice.find("99") != std::string::npos);
}

TEST_CASE("who does not say Hello is hung up on") {
  One one;
  Client& mute = one.cluster.connect(0);
  one.cluster.pass(4900ms);
  CHECK_FALSE(mute.closed);
  one.cluster.pass(500ms);
  CHECK(mute.closed);
}

TEST_CASE("of a thousand connections of one user 256 get a session and the others advice") {
  Cluster cluster(1);
  std::size_t welcomed = 0;
  std::size_t refused = 0;
  Client* first = nullptr;
  for (int i = 0; i < 1000; ++i) {
    Client& client = cluster.open(0, 1000, 1);
    if (client.next<protocol::Welcome>()) {
      ++welcomed;
      if (first == nullptr) first = &client;
    } else {
      ++refused;
      CHECK(client.closed);
    }
  }
  CHECK(welcomed == 256);
  CHECK(refused == 744);
  // Another user has room, and so has this one when a session is closed.
  CHECK(cluster.open(0, 1001).next<protocol::Welcome>().has_value());
  Client& turned_away = cluster.connect(0);
  turned_away.hello();
  const auto why = turned_away.next<protocol::Refused>().value();
  CHECK(why.error == protocol::Refusal::limit);
  CHECK(why.advice.find("256") != std::string::npos);
  first->hang_up();
  CHECK(cluster.open(0).next<protocol::Welcome>().has_value());
}

TEST_CASE("connections of one user are bounded, with or without sessions") {
  Cluster cluster(1);
  for (int i = 0; i < 1200; ++i) CHECK_FALSE(cluster.connect(0).closed);
  Client& over = cluster.connect(0);
  CHECK(over.closed);
  CHECK(over.next<protocol::Refused>().value().error == protocol::Refusal::limit);
  CHECK_FALSE(cluster.connect(0, 1001).closed);
}

TEST_CASE("more requests without an answer than are allowed end the connection") {
  One one;
  one.cluster.token_moves = false;
  one.cluster.pass(1900ms);
  for (int i = 0; i < 128; ++i) one.client.acquire("a");
  CHECK_FALSE(one.client.closed);
  one.client.acquire("a");
  CHECK(one.client.closed);
}

TEST_CASE(
    "without a quorum a try is answered at once, a client hears why it waits, and waits through "
    "it") {
  Cluster cluster(3);
  cluster.form_all();
  Client& client = cluster.open(0);
  CHECK(client.next<protocol::Welcome>().has_value());
  cluster.form({0});
  const auto state = client.next<protocol::State>().value();
  CHECK_FALSE(state.primary);
  CHECK(client.answer(client.acquire("a", true)).value().answer == Answer::not_quorate);
  const auto patient = client.acquire("a");
  CHECK_FALSE(client.answer(patient).has_value());

  Client& late = cluster.open(0, 1000, 2);
  CHECK_FALSE(late.next<protocol::State>().value().primary);
  CHECK_FALSE(late.next<protocol::Welcome>().has_value());

  cluster.form_all();
  CHECK(client.answer(patient).value().answer == Answer::granted);
  CHECK(late.next<protocol::Welcome>().has_value());
}

TEST_CASE("after a resume a try that may be a repetition is never said not to be in the order") {
  Cluster cluster(3);
  cluster.form_all();
  Client& client = cluster.open(0);
  const auto welcome = client.next<protocol::Welcome>().value();
  client.hang_up(HangUp::broken);
  Client& again = cluster.connect(0);
  again.resume(welcome);
  CHECK(again.next<protocol::Welcome>().has_value());
  cluster.form({0});
  again.keepalive();
  const auto attempt = again.acquire("a", true);
  CHECK_FALSE(again.answer(attempt).has_value());
  again.last_request = base::RequestId{5000};
  CHECK(again.answer(again.acquire("a", true)).value().answer == Answer::not_quorate);
}

TEST_CASE(
    "a daemon that was excluded for a moment has its sessions again before its clients notice") {
  Cluster cluster(3);
  cluster.form_all();
  Client& client = cluster.open(0);
  CHECK(client.next<protocol::Welcome>().has_value());
  const auto lock = client.acquire("a");
  const auto granted = client.answer(lock).value();

  cluster.break_ring(0);
  cluster.form({1, 2});
  CHECK(cluster.daemon(1).replica().table()->counts().orphans == 1);
  // Sent meanwhile, and carried out afterwards under the new generation.
  const auto meanwhile = client.acquire("b");
  cluster.form_all();
  CHECK(cluster.daemon(1).replica().table()->counts().orphans == 0);
  CHECK(client.answer(meanwhile).value().answer == Answer::granted);
  client.received.clear();
  client.keepalive();
  const auto state = client.next<protocol::State>().value();
  CHECK(state.generation == 2);
  CHECK(state.note.remaining == 1800ms);
  CHECK(client.answer(client.release(lock, granted.token)).value().answer == Answer::released);
}

TEST_CASE("a daemon that was excluded for longer than the wait tells its clients that they lost") {
  Cluster cluster(3);
  cluster.form_all();
  Client& client = cluster.open(0);
  CHECK(client.next<protocol::Welcome>().has_value());
  const auto lock = client.acquire("a");
  const base::Instant promised = until(client.answer(lock).value().note);
  Client& other = cluster.open(1, 1000, 2);
  const auto wait = other.acquire("a");
  CHECK(other.answer(wait).value().answer == Answer::queued);

  cluster.break_ring(0);
  cluster.form({1, 2});
  while (cluster.now.boot < promised.boot) {
    cluster.pass(100ms);
    other.keepalive();
    client.keepalive();
    REQUIRE_FALSE(other.answer(wait).has_value());
  }
  for (int i = 0; i < 5; ++i) {
    cluster.pass(100ms);
    other.keepalive();
  }
  CHECK(other.answer(wait).value().answer == Answer::granted);
  client.received.clear();
  client.keepalive();
  CHECK(client.next<protocol::State>().value().note.remaining == 0ms);
  cluster.form_all();
  CHECK(client.next<protocol::Lost>().value().reason == protocol::LostReason::expired);
  CHECK(client.closed);
}

TEST_CASE(
    "a session is resumed at another member when its daemon is gone, and at the restarted one") {
  Cluster cluster(3);
  cluster.form_all();
  Client& client = cluster.open(0);
  const auto welcome = client.next<protocol::Welcome>().value();
  const auto lock = client.acquire("a");
  const auto granted = client.answer(lock).value();
  cluster.kill(0);
  cluster.form_all();
  cluster.start(0);
  cluster.form_all();
  Client& again = cluster.connect(0);
  again.last_request = client.last_request;
  again.resume(welcome);
  CHECK(again.next<protocol::Welcome>().value().resumed);
  CHECK(again.answer(again.release(lock, granted.token)).value().answer == Answer::released);
}

TEST_CASE(
    "what the table shows attached to a daemon that knows nothing of it is detached and ends") {
  Cluster cluster(3);
  cluster.form_all();
  Client& client = cluster.open(0);
  CHECK(client.next<protocol::Welcome>().has_value());
  client.acquire("a");
  // The end of the client stays on its node's side of the split.
  cluster.break_ring(0);
  client.hang_up();
  cluster.form({1, 2});
  cluster.form_all();
  cluster.pass(2300ms);
  CHECK(cluster.daemon(1).replica().table()->counts().sessions == 0);
  CHECK(locks(cluster, 1) == 0);
}

TEST_CASE("an open whose client did not wait leaves no session behind") {
  Cluster cluster(3);
  Client& client = cluster.open(0);
  CHECK_FALSE(client.next<protocol::Welcome>().has_value());
  client.hang_up();
  CHECK(cluster.daemon(0).sessions().sessions() == 0);
  cluster.form_all();
  CHECK(cluster.daemon(0).replica().table()->counts().sessions == 0);
}

TEST_CASE("opens of clients that do not wait are bounded while there is no quorum") {
  Cluster cluster(3);
  for (int i = 0; i < 300; ++i) {
    Client& client = cluster.open(0);
    CHECK(client.closed == (i >= 256));
    client.hang_up();
  }
  cluster.form_all();
  CHECK(cluster.daemon(0).replica().table()->counts().sessions == 0);
  CHECK(cluster.open(0).next<protocol::Welcome>().has_value());
}

TEST_CASE("a witness serves queries only") {
  Cluster cluster(3, true);
  cluster.form_all();
  Client& client = cluster.open(2);
  CHECK(client.next<protocol::Refused>().value().error == protocol::Refusal::no_clients);
  Client& query = cluster.connect(2);
  query.hello(protocol::HelloKind::query);
  CHECK(query.next<protocol::Welcome>().has_value());
}
