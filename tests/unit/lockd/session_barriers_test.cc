// What a daemon's sessions make of barriers: how arrivals are answered, and outcomes told until
// they are confirmed.
#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "tests/unit/lockd/test_cluster.h"

namespace lockd::test {
namespace {

using protocol::Answer;
using protocol::BarrierEnding;
using protocol::BarrierOutcome;
using protocol::BarrierStep;
using namespace std::chrono_literals;

base::RequestId next(Client& c) {
  return c.last_request = base::RequestId{base::value(c.last_request) + 1};
}

protocol::BarrierArrive arrival(Cluster& cluster, Client& c, std::uint32_t parties,
                                const std::string& value = "") {
  protocol::BarrierArrive arrive;
  arrive.request = next(c);
  arrive.acknowledged = c.acknowledged;
  arrive.stamp = cluster.now;
  arrive.lockspace = "default";
  arrive.barrier = "b";
  arrive.config.emplace();
  arrive.config->parties = parties;
  arrive.value = value;
  return arrive;
}

base::RequestId arrive(Cluster& cluster, Client& c, std::uint32_t parties,
                       const std::string& value = "") {
  const protocol::BarrierArrive message = arrival(cluster, c, parties, value);
  c.send(message);
  return message.request;
}

void confirm(Client& c, const BarrierOutcome& outcome) {
  c.send(protocol::BarrierConfirm{outcome.generation, outcome.step});
}

std::size_t kept(Cluster& cluster, std::size_t node = 0) {
  return cluster.daemon(node).replica().table()->barriers().outcomes();
}

// The same client over another connection, to any node.
Client& resumed(Cluster& cluster, Client& old, std::size_t node, std::uint8_t process,
                const protocol::Welcome& welcome) {
  old.hang_up(HangUp::broken);
  Client& again = cluster.connect(node, 1000, process);
  again.last_request = old.last_request;
  again.acknowledged = old.acknowledged;
  again.resume(welcome);
  REQUIRE(again.next<protocol::Welcome>().has_value());
  return again;
}

struct Pair {
  Pair() : cluster(2) {
    cluster.form_all();
    a = &cluster.open(0, 1000, 1);
    b = &cluster.open(1, 1000, 2);
    welcome = a->next<protocol::Welcome>().value();
  }

  Cluster cluster;
  Client* a;
  Client* b;
  protocol::Welcome welcome;
};

}  // namespace

TEST_CASE("an arrival is answered, and its outcome told behind the answer, with all values") {
  Pair pair;
  const auto first = arrive(pair.cluster, *pair.a, 2, "A");
  CHECK(pair.a->answer(first).value().answer == Answer::arrived);
  CHECK_FALSE(pair.a->next<BarrierOutcome>().has_value());
  const auto last = arrive(pair.cluster, *pair.b, 2, "B");
  CHECK(pair.b->answer(last).value().answer == Answer::arrived);
  const BarrierOutcome to_b = pair.b->next<BarrierOutcome>().value();
  BarrierOutcome to_a = pair.a->next<BarrierOutcome>().value();
  CHECK(to_b.request == last);
  CHECK(to_a.request == first);
  CHECK(to_a.ending == BarrierEnding::released);
  CHECK(to_a.members_total == 2);
  REQUIRE(to_a.members.size() == 2);
  CHECK(to_a.members[0].value == "A");
  CHECK(to_a.members[1].value == "B");
  to_a.request = to_b.request;
  CHECK(to_a == to_b);
}

TEST_CASE("an outcome is told once, also to who came last") {
  Pair pair;
  arrive(pair.cluster, *pair.a, 2);
  arrive(pair.cluster, *pair.b, 2);
  for (Client* client : {pair.a, pair.b}) {
    const BarrierOutcome outcome = client->next<BarrierOutcome>().value();
    CHECK_FALSE(client->next<BarrierOutcome>().has_value());
    confirm(*client, outcome);
    pair.cluster.pass(20ms);
    CHECK_FALSE(client->next<BarrierOutcome>().has_value());
  }
}

TEST_CASE("an outcome is kept until it was confirmed, and its receipts are ordered together") {
  Pair pair;
  arrive(pair.cluster, *pair.a, 2);
  arrive(pair.cluster, *pair.b, 2);
  const BarrierOutcome outcome = pair.a->next<BarrierOutcome>().value();
  confirm(*pair.a, outcome);
  pair.cluster.pass(20ms);
  CHECK(kept(pair.cluster) == 1);
  confirm(*pair.b, outcome);
  pair.cluster.pass(20ms);
  CHECK(kept(pair.cluster) == 0);
  confirm(*pair.b, outcome);  // Again: nobody minds.
  confirm(*pair.b, BarrierOutcome{});
  pair.cluster.pass(20ms);
  CHECK_FALSE(pair.b->closed);
}

TEST_CASE("an outcome that was not confirmed is told again to who comes back, wherever") {
  Pair pair;
  const auto request = arrive(pair.cluster, *pair.a, 2);
  pair.cluster.settle();
  pair.a->hang_up(HangUp::broken);
  arrive(pair.cluster, *pair.b, 2);
  Client& again = resumed(pair.cluster, *pair.a, 1, 1, pair.welcome);
  const BarrierOutcome told = again.next<BarrierOutcome>().value();
  CHECK(told.request == request);
  confirm(again, told);
  pair.cluster.pass(20ms);
  pair.welcome.generation += 1;
  Client& once_more = resumed(pair.cluster, again, 0, 1, pair.welcome);
  CHECK_FALSE(once_more.next<BarrierOutcome>().has_value());
}

TEST_CASE("an arrival that is sent again after a resume has its answer before its outcome") {
  Pair pair;
  const protocol::BarrierArrive message = arrival(pair.cluster, *pair.a, 2);
  pair.a->send(message);
  pair.cluster.settle();
  arrive(pair.cluster, *pair.b, 2);
  pair.a->hang_up(HangUp::broken);
  Client& again = pair.cluster.connect(0, 1000, 1);
  again.last_request = pair.a->last_request;
  again.resume(pair.welcome);
  again.send(message);
  pair.cluster.settle();
  std::vector<std::string> seen;
  for (const protocol::Response& one : again.received) {
    if (std::holds_alternative<protocol::Reply>(one)) seen.push_back("reply");
    if (std::holds_alternative<BarrierOutcome>(one)) seen.push_back("outcome");
  }
  REQUIRE(!seen.empty());
  CHECK(seen.back() == "outcome");
  CHECK(std::count(seen.begin(), seen.end(), "reply") == 1);
}

TEST_CASE("an arrival that counts as answered is answered again from the table") {
  Pair pair;
  const protocol::BarrierArrive message = arrival(pair.cluster, *pair.a, 2);
  pair.a->send(message);
  pair.cluster.settle();
  pair.a->acknowledged = message.request;
  const auto other = pair.a->acquire("x");  // It brings the mark into the order.
  CHECK(pair.a->answer(other).value().answer == Answer::granted);
  Client& again = resumed(pair.cluster, *pair.a, 0, 1, pair.welcome);
  again.send(message);
  CHECK(again.answer(message.request).value().answer == Answer::arrived);
  arrive(pair.cluster, *pair.b, 2);
  const BarrierOutcome told = again.next<BarrierOutcome>().value();
  CHECK(told.request == message.request);
  confirm(again, told);
  pair.cluster.pass(20ms);
  pair.welcome.generation += 1;
  Client& later = resumed(pair.cluster, again, 0, 1, pair.welcome);
  later.send(message);
  CHECK(later.answer(message.request).value().answer == Answer::stale);
}

TEST_CASE("a withdrawal is answered, or comes too late") {
  Pair pair;
  const auto withdraw = [&](Client& c, base::RequestId arrival) {
    const base::RequestId request = next(c);
    c.send(protocol::BarrierWithdraw{request, c.acknowledged, pair.cluster.now, "default", "b",
                                     arrival});
    return c.answer(request).value().answer;
  };
  const auto first = arrive(pair.cluster, *pair.a, 2);
  CHECK(withdraw(*pair.a, first) == Answer::cancelled);
  const auto second = arrive(pair.cluster, *pair.a, 2);
  arrive(pair.cluster, *pair.b, 2);
  CHECK(withdraw(*pair.a, second) == Answer::too_late);
  CHECK(withdraw(*pair.a, first) == Answer::not_found);
}

TEST_CASE("a step whose patience is over, by the daemons' clocks, breaks for all") {
  Pair pair;
  protocol::BarrierArrive message = arrival(pair.cluster, *pair.a, 2);
  message.config->patience = 300;
  pair.a->send(message);
  pair.cluster.pass(280ms);
  CHECK_FALSE(pair.a->next<BarrierOutcome>().has_value());
  pair.cluster.pass(100ms);
  CHECK(pair.a->next<BarrierOutcome>().value().ending == BarrierEnding::timed_out);
}

TEST_CASE("the clock of a step goes on where the daemon that saw it open is gone") {
  Cluster cluster(3);
  cluster.form_all();
  Client& a = cluster.open(0, 1000, 1);
  Client& b = cluster.open(1, 1000, 2);
  protocol::BarrierArrive message = arrival(cluster, a, 3);
  message.config->patience = 60'000;
  message.config->on_death = protocol::BarrierOnDeath::wait;
  a.send(message);
  protocol::BarrierArrive other = arrival(cluster, b, 3);
  other.config = message.config;
  b.send(other);
  cluster.kill(0);
  cluster.form({1, 2});
  for (int i = 0; i < 130; ++i) {
    b.keepalive();
    cluster.pass(500ms);
  }
  CHECK(b.next<BarrierOutcome>().value().ending == BarrierEnding::timed_out);
}

TEST_CASE("in a minority nobody is told; after the merge the outcome is there") {
  Cluster cluster(3);
  cluster.form_all();
  Client& a = cluster.open(0, 1000, 1);
  Client& b = cluster.open(1, 1000, 2);
  const auto request = arrive(cluster, a, 2);
  CHECK(a.answer(request).value().answer == Answer::arrived);
  cluster.form({1, 2});
  cluster.form({0});
  arrive(cluster, b, 2);
  CHECK(b.next<BarrierOutcome>().value().ending == BarrierEnding::released);
  CHECK_FALSE(a.next<BarrierOutcome>().has_value());
  cluster.form_all();
  cluster.pass(100ms);
  CHECK(a.next<BarrierOutcome>().value().ending == BarrierEnding::released);
}

TEST_CASE("nothing is told as the outcome of a session that has ended before it could be told") {
  Cluster cluster(1);
  cluster.form_all();
  Client& a = cluster.open(0, 0, 1);
  Client& b = cluster.open(0, 0, 2);
  const auto join = [&](Client& c, protocol::JoinKind kind) {
    c.send(protocol::JoinLockspace{next(c), c.acknowledged, cluster.now, kind, 0666, "space"});
  };
  join(a, protocol::JoinKind::create);
  join(b, protocol::JoinKind::open);
  arrive(cluster, a, 2);
  a.received.clear();
  cluster.token_moves = false;
  cluster.pass(1790ms);
  arrive(cluster, b, 2);
  // The last of this node to leave ends the others there.
  b.send(protocol::LeaveLockspace{next(b), b.acknowledged, cluster.now, true, "space"});
  cluster.token_moves = true;
  cluster.pass(10ms);
  CHECK(b.next<BarrierOutcome>().has_value());
  for (const auto& response : a.received) {
    CHECK_FALSE(std::holds_alternative<BarrierOutcome>(response));
  }
  CHECK(a.next<protocol::Lost>().has_value());
}

TEST_CASE("an outcome with many members is told in parts, each as it is asked for") {
  Cluster cluster(1);
  cluster.form_all();
  constexpr std::uint32_t kParties = protocol::kBarrierMembersMax + 8;
  std::vector<Client*> all;
  for (std::uint32_t i = 0; i < kParties; ++i) {
    all.push_back(&cluster.open(0, 1000 + i, static_cast<std::uint8_t>(i)));
    arrive(cluster, *all.back(), kParties, std::to_string(i));
  }
  const BarrierOutcome first = all[0]->next<BarrierOutcome>().value();
  CHECK(first.members_total == kParties);
  REQUIRE(first.members.size() == protocol::kBarrierMembersMax);
  all[0]->send(protocol::BarrierMore{first.generation, first.step, first.members.back().session});
  const BarrierOutcome rest = all[0]->next<BarrierOutcome>().value();
  REQUIRE(rest.members.size() == 8);
  CHECK(rest.members.front().session > first.members.back().session);
  CHECK(rest.members.back().value == std::to_string(kParties - 1));
  CHECK(rest.request == first.request);
}

TEST_CASE("who takes part in a barrier and is not heard of for a whole lease has ended") {
  Pair pair;
  arrive(pair.cluster, *pair.a, 3);
  arrive(pair.cluster, *pair.b, 3);
  for (int i = 0; i < 50; ++i) {
    pair.b->keepalive();
    pair.cluster.pass(100ms);
  }
  CHECK(pair.b->next<BarrierOutcome>().value().ending == BarrierEnding::participant_died);
}

TEST_CASE("barriers are listed by lockspace and name, in pages") {
  Pair pair;
  for (int i = 0; i < 70; ++i) {
    protocol::BarrierArrive message = arrival(pair.cluster, *pair.a, 2);
    message.barrier = "b" + std::to_string(100 + i);
    message.lockspace = i < 60 ? "one" : "two";
    if (i >= 60) message.config->two_steps = true;
    pair.a->send(message);
    if (i % 8 == 7) pair.cluster.settle();
    if (i >= 50) pair.a->send(protocol::Keepalive{pair.a->last_request, pair.cluster.now});
  }
  pair.cluster.settle();
  Client& asks = pair.cluster.connect(1);
  asks.hello(protocol::HelloKind::query);
  asks.send(protocol::BarriersQuery{1, "", "", ""});
  const protocol::BarriersPage first = asks.next<protocol::BarriersPage>().value();
  CHECK(first.primary);
  CHECK_FALSE(first.items.empty());
  CHECK(first.items[0].barrier == "b100");
  CHECK(first.items[0].entering.value().arrived == 1);
  CHECK(first.items[0].entering.value().missing == 1);
  asks.send(protocol::BarriersQuery{2, "one", first.items[0].lockspace, first.items[0].barrier});
  const protocol::BarriersPage behind = asks.next<protocol::BarriersPage>().value();
  CHECK(behind.items[0].barrier == "b101");
  for (const auto& item : behind.items) CHECK(item.lockspace == "one");
}

}  // namespace lockd::test
