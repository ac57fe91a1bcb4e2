#include <doctest/doctest.h>

#include "tests/unit/lockd/test_cluster.h"

using namespace lockd;
using namespace lockd::test;
using protocol::Answer;

namespace {

template <typename Event>
std::size_t count(const Cluster& cluster) {
  std::size_t found = 0;
  for (const DaemonEvent& event : cluster.events)
    found += std::holds_alternative<Event>(event) ? 1 : 0;
  return found;
}

Client& asking(Cluster& cluster, std::size_t node) {
  Client& client = cluster.connect(node);
  client.hello(protocol::HelloKind::query);
  CHECK(client.next<protocol::Welcome>().has_value());
  return client;
}

}  // namespace

TEST_CASE("three daemons share one table, and the third sees what the first two hold") {
  Cluster cluster(3);
  cluster.form_all();
  Client& a = cluster.open(0, 1000, 1);
  Client& b = cluster.open(1, 1000, 2);
  a.acquire("jobs");
  b.acquire("jobs");
  b.acquire("other");

  Client& query = asking(cluster, 2);
  query.send(protocol::List{7, "", "", 0});
  const auto list = query.next<protocol::ListPage>().value();
  CHECK(list.query == 7);
  CHECK_FALSE(list.stale);
  CHECK_FALSE(list.more);
  REQUIRE(list.items.size() == 2);
  const auto& jobs = list.items[0].resource == "jobs" ? list.items[0] : list.items[1];
  CHECK(jobs.lockspace == "default");
  CHECK(jobs.granted == 1);
  CHECK(jobs.waiting == 1);
  CHECK(jobs.mode == protocol::Mode::ex);
  CHECK(jobs.node == base::NodeId{1});
  CHECK(jobs.command == "a test");

  query.send(protocol::Show{8, "default", "jobs", 0});
  const auto show = query.next<protocol::ShowPage>().value();
  REQUIRE(show.locks.size() == 2);
  CHECK(show.locks[0].granted);
  CHECK(show.locks[0].node == base::NodeId{1});
  CHECK(show.locks[0].uid == 1000);
  CHECK(show.locks[0].pid == 4711);
  CHECK_FALSE(show.locks[1].granted);
  CHECK(show.locks[1].node == base::NodeId{2});

  query.send(protocol::List{9, "default", "oth", 0});
  CHECK(query.next<protocol::ListPage>().value().items.size() == 1);
  query.send(protocol::Show{10, "default", "nothing", 0});
  CHECK(query.next<protocol::ShowPage>().value().locks.empty());
}

TEST_CASE("a long listing comes in pages that miss nothing and repeat nothing") {
  Cluster cluster(1);
  Client& client = cluster.open(0);
  for (int i = 0; i < 500; ++i) {
    client.acknowledged = client.last_request;
    client.acquire("name " + std::to_string(i));
  }
  Client& query = asking(cluster, 0);
  std::set<std::string> seen;
  std::size_t items = 0;
  std::uint64_t cursor = 0;
  for (bool more = true; more;) {
    query.send(protocol::List{1, "", "", cursor});
    const auto page = query.next<protocol::ListPage>().value();
    for (const auto& item : page.items) seen.insert(item.resource);
    items += page.items.size();
    more = page.more;
    cursor = page.cursor;
  }
  CHECK(items == 500);
  CHECK(seen.size() == 500);
}

TEST_CASE("a long queue is shown in pages") {
  Cluster cluster(1);
  Client& client = cluster.open(0);
  for (int i = 0; i < 100; ++i) {
    client.acknowledged = client.last_request;
    client.acquire("a");
  }
  Client& query = asking(cluster, 0);
  query.send(protocol::Show{1, "default", "a", 0});
  const auto first = query.next<protocol::ShowPage>().value();
  CHECK(first.locks.size() == 64);
  CHECK(first.more);
  query.send(protocol::Show{1, "default", "a", 64});
  const auto second = query.next<protocol::ShowPage>().value();
  CHECK(second.locks.size() == 36);
  CHECK_FALSE(second.more);
}

TEST_CASE("status and members say how the daemon stands, with and without a quorum") {
  Cluster cluster(3);
  cluster.form_all();
  cluster.open(0).acquire("a");
  Client& query = asking(cluster, 0);
  query.send(protocol::StatusQuery{1});
  const auto status = query.next<protocol::Status>().value();
  CHECK(status.primary);
  CHECK(status.state == "active");
  CHECK(status.voter);
  CHECK(status.epoch > 0);
  CHECK(status.votes == 3);
  CHECK(status.quorum == 2);
  CHECK(status.votes_configured == 3);
  CHECK(status.holders == 3);
  CHECK(status.sessions == 1);
  CHECK(status.locks == 1);
  CHECK(status.lease == 1800ms);
  CHECK_FALSE(status.counters.empty());
  query.send(protocol::MembersQuery{2});
  const auto members = query.next<protocol::Members>().value();
  REQUIRE(members.members.size() == 3);
  CHECK(members.members[0].self);
  CHECK(members.members[2].state == protocol::MemberState::active);

  cluster.form({0});
  query.send(protocol::StatusQuery{3});
  const auto alone = query.next<protocol::Status>().value();
  CHECK_FALSE(alone.primary);
  CHECK(alone.state == "inactive");
  CHECK(alone.votes == 1);
  query.send(protocol::MembersQuery{4});
  CHECK(query.next<protocol::Members>().value().members[2].state == protocol::MemberState::absent);
  query.send(protocol::List{5, "", "", 0});
  CHECK(query.next<protocol::ListPage>().value().stale);
}

TEST_CASE(
    "a daemon that leaves tells its clients, and their locks wait for what they were promised") {
  Cluster cluster(3);
  cluster.form_all();
  Client& client = cluster.open(0);
  CHECK(client.next<protocol::Welcome>().has_value());
  const auto lock = client.acquire("a");
  const auto granted = client.answer(lock).value();
  const base::Instant promised = granted.note.echo + granted.note.remaining;
  Client& other = cluster.open(1, 1000, 2);
  const auto wait = other.acquire("a");
  CHECK(other.answer(wait).value().answer == Answer::queued);

  cluster.daemon(0).stop(cluster.now);
  cluster.settle();
  CHECK(client.next<protocol::Lost>().value().reason == protocol::LostReason::shutdown);
  CHECK(client.closed);
  Client& late = cluster.connect(0);
  CHECK(late.next<protocol::Refused>().value().error == protocol::Refusal::no_clients);
  CHECK(cluster.daemon(0).may_leave(cluster.now));
  cluster.kill(0);
  cluster.form_all();

  while (cluster.now.boot < promised.boot) {
    cluster.pass(100ms);
    other.keepalive();
    REQUIRE_FALSE(other.answer(wait).has_value());
  }
  for (int i = 0; i < 5; ++i) {
    cluster.pass(100ms);
    other.keepalive();
  }
  CHECK(other.answer(wait).value().answer == Answer::granted);
}

TEST_CASE("changes of the ring and of the phase are told to the log") {
  Cluster cluster(3);
  cluster.form_all();
  CHECK(count<ConfigurationChanged>(cluster) > 0);
  cluster.events.clear();
  cluster.form({0});
  bool inactive = false;
  for (const DaemonEvent& event : cluster.events) {
    const auto* phase = std::get_if<PhaseChanged>(&event);
    inactive = inactive || (phase != nullptr && phase->to.phase == ReplicaPhase::inactive);
  }
  CHECK(inactive);
}

TEST_CASE("a thousand locks of many clients over three daemons end in one table") {
  Cluster cluster(3);
  cluster.form_all();
  std::vector<Client*> clients;
  for (std::uint8_t i = 0; i < 12; ++i) clients.push_back(&cluster.open(i % 3u, 1000, i));
  std::size_t granted = 0;
  for (int round = 0; round < 20; ++round) {
    for (Client* client : clients) {
      client->acknowledged = client->last_request;
      const auto lock = client->acquire("r" + std::to_string(round % 7));
      if (const auto reply = client->answer(lock); reply && reply->answer == Answer::granted) {
        ++granted;
        client->acknowledged = lock;
        CHECK(client->answer(client->release(lock, reply->token)).value().answer ==
              Answer::released);
      }
    }
  }
  CHECK(granted == 240);
  const auto digest = cluster.daemon(0).replica().table()->digest();
  CHECK(cluster.daemon(1).replica().table()->digest() == digest);
  CHECK(cluster.daemon(2).replica().table()->digest() == digest);
}
