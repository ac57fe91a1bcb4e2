// What watchers are told, by whole daemons and by the table of watchers itself.
#include "lockd/watchers.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/unit/lockd/test_cluster.h"

namespace lockd::test {
namespace {

using protocol::WatchedEvent;
using namespace std::chrono_literals;

protocol::Watch all() {
  return {7, protocol::kAllWatchEvents, "", "", false};
}

// A word for each event, as far as a test needs it.
std::string word_of(const protocol::Response& event) {
  const auto name = [](WatchedEvent kind) {
    const char* words[] = {"granted", "converted", "waits", "cancelled", "denied", "released"};
    return std::string(words[static_cast<int>(kind)]);
  };
  if (const auto* gap = std::get_if<protocol::WatchGap>(&event)) {
    return gap->resync ? "resync" : "lost " + std::to_string(gap->lost);
  }
  if (const auto* lock = std::get_if<protocol::LockWatched>(&event)) {
    return name(lock->event) + " " + lock->resource;
  }
  if (const auto* session = std::get_if<protocol::SessionWatched>(&event)) {
    const char* words[] = {"opened", "resumed", "orphaned", "closed", "expired"};
    return words[static_cast<int>(session->change)];
  }
  if (const auto* lockspace = std::get_if<protocol::LockspaceWatched>(&event)) {
    return "lockspace " + std::to_string(lockspace->state.members.size());
  }
  if (std::holds_alternative<protocol::DeadlockWatched>(event)) return "deadlock";
  if (std::holds_alternative<protocol::ConfigurationWatched>(event)) return "configuration";
  if (const auto* quorum = std::get_if<protocol::QuorumWatched>(&event)) {
    return quorum->primary ? "primary" : "not primary";
  }
  return "?";
}

std::vector<std::string> words(Client& watcher) {
  std::vector<std::string> words;
  while (!watcher.received.empty()) {
    words.push_back(word_of(watcher.received.front()));
    watcher.received.pop_front();
  }
  return words;
}

Client& watch(Cluster& cluster, std::size_t node, const protocol::Watch& wish) {
  Client& watcher = cluster.connect(node);
  watcher.hello(protocol::HelloKind::query);
  REQUIRE(watcher.next<protocol::Welcome>().has_value());
  watcher.send(wish);
  return watcher;
}

using Words = std::vector<std::string>;

base::RequestId acquire(Cluster& cluster, Client& client, const std::string& lockspace,
                        const std::string& name, protocol::Mode mode, base::LockFlags flags = 0,
                        std::uint64_t owner = 0) {
  protocol::Acquire acquire;
  acquire.request = client.last_request = base::RequestId{base::value(client.last_request) + 1};
  acquire.stamp = cluster.now;
  acquire.mode = mode;
  acquire.flags = flags;
  acquire.owner = owner;
  acquire.lockspace = lockspace;
  acquire.resource = name;
  client.send(acquire);
  return acquire.request;
}

}  // namespace

TEST_CASE("a watcher hears of a lock's life at whatever daemon, with its holder") {
  Cluster cluster(2);
  cluster.form_all();
  Client& holder = cluster.open(0, 1000, 1);
  Client& waiter = cluster.open(1, 1001, 2);
  Client& watcher = watch(cluster, 1, all());
  CHECK(words(watcher) == Words{"resync", "primary"});

  const auto mine = holder.acquire("x");
  const auto token = holder.answer(mine).value().token;
  const auto granted = watcher.next<protocol::LockWatched>().value();
  CHECK(granted.query == 7);
  CHECK(granted.event == WatchedEvent::granted);
  CHECK(granted.lockspace == "default");
  CHECK(granted.mode == protocol::Mode::ex);
  CHECK(granted.token == token);
  CHECK(granted.node == cluster.config().nodes[0].id);
  CHECK(granted.uid == 1000);
  CHECK(granted.pid == 4711);
  CHECK(granted.command == "a test");
  CHECK(granted.request == mine);

  const auto theirs = waiter.acquire("x");
  CHECK(words(watcher) == Words{"waits x"});
  holder.release(mine, token);
  CHECK(words(watcher) == Words{"released x", "granted x"});
  const auto again = holder.acquire("x", true);
  CHECK(holder.answer(again).value().answer == protocol::Answer::busy);
  const auto denied = watcher.next<protocol::LockWatched>().value();
  CHECK(denied.event == WatchedEvent::denied);
  CHECK(denied.reason == protocol::Answer::busy);
  const auto third = holder.acquire("x");
  holder.cancel(third);
  CHECK(words(watcher) == Words{"waits x", "cancelled x"});
  CHECK(waiter.answer(theirs).has_value());
  waiter.hang_up();
  CHECK(words(watcher) == Words{"released x", "closed"});
}

TEST_CASE("when a client goes, what it held is told with who it was") {
  Cluster cluster(1);
  Client& holder = cluster.open(0, 1000, 1);
  holder.acquire("x");
  Client& watcher = watch(cluster, 0, all());
  words(watcher);
  holder.hang_up();
  const auto released = watcher.next<protocol::LockWatched>().value();
  CHECK(released.event == WatchedEvent::released);
  CHECK(released.resource == "x");
  CHECK(released.uid == 1000);
  CHECK(released.node == cluster.config().nodes[0].id);
  const auto closed = watcher.next<protocol::SessionWatched>().value();
  CHECK(closed.change == protocol::SessionChange::closed);
  CHECK(closed.uid == 1000);
}

TEST_CASE("conversions are told as such, waiting ones with what is held meanwhile") {
  Cluster cluster(1);
  Client& a = cluster.open(0, 1000, 1);
  Client& b = cluster.open(0, 1000, 2);
  const auto mine = acquire(cluster, a, "default", "x", protocol::Mode::pr);
  const auto theirs = acquire(cluster, b, "default", "x", protocol::Mode::pr);
  const auto their_token = b.answer(theirs).value().token;
  Client& watcher = watch(cluster, 0, all());
  words(watcher);
  a.send(protocol::Convert{base::RequestId{9}, {}, cluster.now, mine, protocol::Mode::ex});
  const auto waits = watcher.next<protocol::LockWatched>().value();
  CHECK(waits.event == WatchedEvent::waits);
  CHECK(waits.mode == protocol::Mode::pr);
  CHECK(waits.wants == protocol::Mode::ex);
  CHECK(waits.token != base::Token{});
  b.release(theirs, their_token);
  CHECK(words(watcher) == Words{"released x", "converted x"});
}

TEST_CASE("a filter narrows what is told of locks and lockspaces, and of nothing else") {
  Cluster cluster(1);
  Client& client = cluster.open(0, 0, 1);
  Client& name = watch(cluster, 0, {1, protocol::kAllWatchEvents, "", "job", false});
  Client& prefix = watch(cluster, 0, {2, protocol::kAllWatchEvents, "", "job", true});
  Client& space = watch(cluster, 0, {3, protocol::kAllWatchEvents, "web", "", false});
  Client& type = watch(cluster, 0, {4, protocol::bit_of(WatchedEvent::released), "", "", false});
  for (Client* watcher : {&name, &prefix, &space, &type}) words(*watcher);

  acquire(cluster, client, "default", "job", protocol::Mode::ex);
  acquire(cluster, client, "default", "jobs", protocol::Mode::ex);
  acquire(cluster, client, "web", "ajob", protocol::Mode::ex);
  client.send(protocol::JoinLockspace{
      base::RequestId{8}, {}, cluster.now, protocol::JoinKind::create, 0, "space"});
  client.last_request = base::RequestId{8};
  CHECK(words(name) == Words{"granted job", "lockspace 1"});
  CHECK(words(prefix) == Words{"granted job", "granted jobs", "lockspace 1"});
  CHECK(words(space) == Words{"granted ajob"});
  CHECK(words(type).empty());
  client.hang_up();
  CHECK(words(name) == Words{"released job", "closed"});
  CHECK(words(type) == Words{"released job", "released jobs", "released ajob"});
}

TEST_CASE("a lockspace is told of when its members change, fail and are recovered") {
  Cluster cluster(3);
  cluster.form_all();
  cluster.pass(5s);
  Client& user = cluster.open(2, 0, 1);
  Client& watcher =
      watch(cluster, 0, {1, protocol::bit_of(WatchedEvent::lockspace), "", "", false});
  words(watcher);
  user.send(protocol::JoinLockspace{
      base::RequestId{1}, {}, cluster.now, protocol::JoinKind::create, 0, "space"});
  CHECK(words(watcher) == Words{"lockspace 1"});
  cluster.kill(2);
  cluster.form({0, 1});
  const auto failed = watcher.next<protocol::LockspaceWatched>().value();
  CHECK(failed.state.failed.size() == 1);
  CHECK_FALSE(failed.state.recovered);
  cluster.pass(10s);
  const auto recovered = watcher.next<protocol::LockspaceWatched>();
  if (recovered) CHECK(recovered->state.recovered);
}

TEST_CASE("configurations, the quorum, orphans and expiries are told") {
  Cluster cluster(3);
  cluster.form_all();
  cluster.pass(5s);
  Client& client = cluster.open(2, 0, 1);
  client.acquire("x");
  Client& watcher = watch(cluster, 0, all());
  words(watcher);
  cluster.kill(2);
  cluster.form({0, 1});
  const Words change = words(watcher);
  CHECK(std::count(change.begin(), change.end(), "configuration") == 2);
  CHECK(std::count(change.begin(), change.end(), "orphaned") == 1);
  CHECK(change.back() == "primary");
  cluster.pass(10s);
  const Words expiry = words(watcher);
  CHECK(expiry == Words{"expired", "released x"});
  cluster.break_ring(0);
  const Words alone = words(watcher);
  CHECK(alone.back() == "not primary");
}

TEST_CASE("the stream begins anew when the daemon has loaded another table") {
  Cluster cluster(3);
  cluster.form_all();
  cluster.break_ring(2);
  cluster.form({0, 1});
  Client& watcher = watch(cluster, 2, all());
  CHECK(words(watcher) == Words{"resync", "not primary"});
  Client& client = cluster.open(0, 0, 1);
  client.acquire("x");
  CHECK(words(watcher).empty());
  cluster.form_all();
  const Words change = words(watcher);
  CHECK(std::count(change.begin(), change.end(), "resync") == 1);
  CHECK(change.back() == "primary");
}

TEST_CASE("a deadlock is told to watchers of any name in it") {
  Cluster cluster(1);
  Client& a = cluster.open(0, 0, 1);
  Client& b = cluster.open(0, 0, 2);
  Client& watcher = watch(cluster, 0, {1, protocol::kAllWatchEvents, "", "y", false});
  acquire(cluster, a, "default", "x", protocol::Mode::ex, 0, 1);
  acquire(cluster, b, "default", "y", protocol::Mode::ex, 0, 2);
  acquire(cluster, a, "default", "y", protocol::Mode::ex, 0, 1);
  words(watcher);
  acquire(cluster, b, "default", "x", protocol::Mode::ex, 0, 2);
  const auto deadlock = watcher.next<protocol::DeadlockWatched>().value();
  CHECK(deadlock.steps.size() == 2);
}

TEST_CASE("who does not read is told less, and how much less, and is not hung up on") {
  Cluster cluster(1);
  Client& client = cluster.open(0, 0, 1);
  Client& watcher = watch(cluster, 0, all());
  words(watcher);
  watcher.reads = false;
  std::uint64_t happened = 0;
  for (int i = 0; i < 1500; ++i) {
    const auto lock = client.acquire("x" + std::to_string(i));
    client.release(lock, client.answer(lock).value().token);
    client.acknowledged = client.last_request;
    happened += 2;
  }
  CHECK_FALSE(watcher.closed);
  CHECK(cluster.daemon(0).sessions().connections() == 2);
  watcher.reads = true;
  cluster.daemon(0).handle_writable(watcher.connection());
  cluster.settle();
  std::uint64_t told = 0;
  std::uint64_t lost = 0;
  while (!watcher.received.empty()) {
    if (const auto* gap = std::get_if<protocol::WatchGap>(&watcher.received.front())) {
      CHECK_FALSE(gap->resync);
      lost += gap->lost;
    } else {
      ++told;
    }
    watcher.received.pop_front();
  }
  CHECK(lost > 0);
  CHECK(told + lost == happened);
  const auto after = client.acquire("after");
  CHECK(client.answer(after).value().answer == protocol::Answer::granted);
  CHECK(words(watcher) == Words{"granted after"});
}

TEST_CASE("more at one moment than is kept begins the stream anew, once") {
  Cluster cluster(1);
  const Queries queries({}, {}, cluster.daemon(0).replica());
  WatchersConfig config;
  config.pending_max = 2;
  Watchers watchers(config, queries);
  const ConnectionId id{1};
  REQUIRE(watchers.begin(id, all(), nullptr));
  for (const bool again : {false, true}) {
    CAPTURE(again);
    for (int i = 0; i < 5; ++i) watchers.on_quorum({}, {});
    Words told;
    while (const auto news = watchers.poll()) {
      CHECK(news->to == std::vector<ConnectionId>{id});
      for (const auto& event : watchers.take(id, 0, news->event)) told.push_back(word_of(event));
    }
    CHECK(told == Words{"not primary", "not primary", "resync"});
    for (int i = 0; i < 5; ++i) watchers.on_quorum({}, {});
    watchers.end(id);
    CHECK_FALSE(watchers.poll().has_value());
    REQUIRE(watchers.begin(id, all(), nullptr));
  }
}

TEST_CASE("a connection has one stream: another watch takes its place, none ends it") {
  Cluster cluster(1);
  Client& client = cluster.open(0, 0, 1);
  Client& watcher = watch(cluster, 0, {1, protocol::kAllWatchEvents, "", "a", false});
  words(watcher);
  watcher.send(protocol::Watch{2, protocol::kAllWatchEvents, "", "b", false});
  CHECK(words(watcher) == Words{"resync", "primary"});
  client.acquire("a");
  client.acquire("b");
  const auto told = watcher.next<protocol::LockWatched>().value();
  CHECK(told.query == 2);
  CHECK(told.resource == "b");
  watcher.send(protocol::Watch{2, 0, "", "", false});
  client.acquire("b2");
  CHECK(words(watcher).empty());
}

TEST_CASE("a daemon has so many watchers, and no more once they are gone") {
  Cluster cluster(1);
  std::vector<Client*> watchers;
  for (std::size_t i = 0; i < WatchersConfig().watchers_max; ++i) {
    watchers.push_back(&watch(cluster, 0, all()));
  }
  Client& one_more = watch(cluster, 0, all());
  CHECK(one_more.next<protocol::Refused>().value().error == protocol::Refusal::limit);
  CHECK(one_more.closed);
  watchers[3]->hang_up();
  CHECK(words(watch(cluster, 0, all())) == Words{"resync", "primary"});
}

TEST_CASE("only a client for locks that has said Hello can watch") {
  Cluster cluster(1);
  Client& silent = cluster.connect(0);
  silent.send(all());
  CHECK(silent.next<protocol::Refused>().value().error == protocol::Refusal::malformed);
  Client& instance = cluster.connect(0);
  instance.hello(protocol::HelloKind::evs);
  instance.send(all());
  CHECK(instance.next<protocol::Refused>().value().error == protocol::Refusal::malformed);
}

TEST_CASE("a table that is watched is the same table") {
  Cluster watched(1);
  Cluster plain(1);
  watch(watched, 0, all());
  for (Cluster* cluster : {&watched, &plain}) {
    Client& client = cluster->open(0, 0, 1);
    const auto lock = client.acquire("x");
    client.acquire("y");
    client.release(lock, client.answer(lock).value().token);
  }
  CHECK(watched.daemon(0).replica().table()->digest() ==
        plain.daemon(0).replica().table()->digest());
}

}  // namespace lockd::test
