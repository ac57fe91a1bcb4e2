#include <doctest/doctest.h>
#include <liblock/lock.h>
#include <liblock/query.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/liblock/api.h"

using liblock::protocol::Refusal;
using namespace liblock_test;

TEST_CASE("a lock is taken, held, and given back") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  CHECK(lock_state(client.get()) == LOCK_STATE_READY);
  lock_grant first{};
  REQUIRE(acquire(client, "jobs", -1, first) == 0);
  CHECK(lock_is_held(client.get(), &first) == 1);
  CHECK(lock_valid_for_ns(client.get(), &first) <= 2'000'000'000u);
  CHECK(lock_token(&first) == first.token);
  CHECK(lock_release(client.get(), &first) == 0);
  CHECK(lock_is_held(client.get(), &first) == 0);
  CHECK(lock_release(client.get(), &first) == LOCK_ERROR_NOT_HELD);
  lock_grant second{};
  REQUIRE(acquire(client, "jobs", -1, second) == 0);
  CHECK(second.token > first.token);
}

TEST_CASE(
    "who does not want to wait hears busy, who waits a while hears timeout, who waits gets it") {
  FakeDaemon daemon;
  const Client holder = connected(daemon);
  const Client waiter = connected(daemon);
  lock_grant held{};
  REQUIRE(acquire(holder, "jobs", -1, held) == 0);
  lock_grant grant{};
  CHECK(lock_try(waiter.get(), nullptr, "jobs", 4, LOCK_MODE_EX, &grant) == LOCK_ERROR_BUSY);
  CHECK(acquire(waiter, "jobs", 0, grant) == LOCK_ERROR_BUSY);
  CHECK(acquire(waiter, "jobs", 20, grant) == LOCK_ERROR_TIMEOUT);
  std::thread thread([&] { CHECK(acquire(waiter, "jobs", -1, grant) == 0); });
  CHECK(turn_until(holder.get(), [&] { return daemon.acquires() == 5; }));
  CHECK(lock_release(holder.get(), &held) == 0);
  thread.join();
  CHECK(grant.token > held.token);
}

TEST_CASE("without a daemon, or with something else in its place, the error says which") {
  FakeDaemon daemon;
  CHECK(try_connect(daemon.path() + "x", 10'000) == LOCK_ERROR_NO_DAEMON);
  CHECK(try_connect("/dev/null", 10'000) == LOCK_ERROR_NO_DAEMON);
  CHECK(try_connect(std::string(200, 'p'), 10'000) == LOCK_ERROR_INVALID);
  daemon.garbage = true;
  CHECK(try_connect(daemon.path(), 10'000) == LOCK_ERROR_PROTOCOL);
  daemon.garbage = false;
  daemon.silent = true;
  CHECK(try_connect(daemon.path(), 50) == LOCK_ERROR_DAEMON_GONE);
  daemon.silent = false;
  daemon.primary = false;
  CHECK(try_connect(daemon.path(), 50) == LOCK_ERROR_NOT_QUORATE);

  // Who does not want to wait for a quorum hears at once: this test would run for a day.
  lock_options options = options_for(daemon.path(), 24 * 3600 * 1000);
  options.quorum_now = 1;
  lock_client* client = nullptr;
  CHECK(lock_connect(&options, &client) == LOCK_ERROR_NOT_QUORATE);
  daemon.primary = true;
  REQUIRE(lock_connect(&options, &client) == 0);
  lock_close(client);
}

TEST_CASE("of several sockets the first that takes the connection serves") {
  FakeDaemon first;
  FakeDaemon second;
  const std::string both = first.path() + ":" + second.path();
  const lock_options options = options_for(both, 10'000);
  lock_client* made = nullptr;
  REQUIRE(lock_connect(&options, &made) == 0);
  const Client client(made);
  lock_grant grant{};
  REQUIRE(acquire(client, "jobs", -1, grant) == 0);
  CHECK(first.acquires() == 1);
  first.stop();
  first.forget_sessions();
  second
      .forget_sessions();  // Nor does the other know the session: it is lost, and a new one opens.
  CHECK(turn_until(client.get(), [&] { return lock_is_held(client.get(), &grant) == 0; }));
  REQUIRE(acquire(client, "jobs", -1, grant) == 0);
  CHECK(second.acquires() == 1);
  second.stop();
  CHECK(try_connect(both, 10'000) == LOCK_ERROR_NO_DAEMON);
}

TEST_CASE("sockets that can not be are refused") {
  CHECK(try_connect("", 1) == LOCK_ERROR_INVALID);
  CHECK(try_connect("/a::/b", 1) == LOCK_ERROR_INVALID);
  CHECK(try_connect("/a:" + std::string(200, 'b'), 1) == LOCK_ERROR_INVALID);
  CHECK(try_connect("/1:/2:/3:/4:/5:/6:/7:/8", 1) == LOCK_ERROR_NO_DAEMON);
  CHECK(try_connect("/1:/2:/3:/4:/5:/6:/7:/8:/9", 1) == LOCK_ERROR_INVALID);
}

TEST_CASE("a refusal comes with its advice") {
  FakeDaemon daemon;
  const std::pair<Refusal, int> refusals[] = {{Refusal::limit, LOCK_ERROR_LIMIT},
                                              {Refusal::version, LOCK_ERROR_VERSION},
                                              {Refusal::not_permitted, LOCK_ERROR_PERMISSION},
                                              {Refusal::no_clients, LOCK_ERROR_NO_DAEMON}};
  for (const auto& [refusal, error] : refusals) {
    daemon.refuse = static_cast<int>(refusal);
    CHECK(try_connect(daemon.path(), 10'000) == error);
    char advice[64];
    CHECK(lock_advice(nullptr, advice, sizeof advice) == 10);
    CHECK(std::string(advice) == "the advice");
    char cut[4];
    CHECK(lock_advice(nullptr, cut, sizeof cut) == 3);
    CHECK(std::string(cut) == "the");
  }
}

TEST_CASE(
    "without a quorum a try is answered at once, and a wait ends with what stood in its way") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  daemon.primary = false;
  lock_grant grant{};
  CHECK(lock_try(client.get(), nullptr, "jobs", 4, LOCK_MODE_EX, &grant) == LOCK_ERROR_NOT_QUORATE);
  CHECK(
      turn_until(client.get(), [&] { return lock_state(client.get()) == LOCK_STATE_NOT_QUORATE; }));
  CHECK(acquire(client, "jobs", 20, grant) == LOCK_ERROR_NOT_QUORATE);
  daemon.primary = true;
  // What was given up does not stay in anybody's way.
  CHECK(acquire(client, "jobs", 60'000, grant) == 0);
}

TEST_CASE("a daemon that falls silent: held until the deadline, lost once, and lost for good") {
  FakeDaemon daemon;
  daemon.lease_ns = 2'000'000'000;
  const Client client = connected(daemon, 50);
  Losses losses;
  CHECK(lock_on_lost(client.get(), note_loss, &losses) == 0);
  lock_grant grant{};
  REQUIRE(acquire(client, "jobs", -1, grant) == 0);
  daemon.silent = true;
  CHECK(turn_until(client.get(), [&] { return !losses.tokens.empty(); }));
  CHECK(losses.tokens == std::vector<std::uint64_t>{grant.token});
  CHECK(losses.sessions == 0);
  CHECK(lock_is_held(client.get(), &grant) == 0);
  daemon.silent = false;
  CHECK(lock_release(client.get(), &grant) == LOCK_ERROR_LOST);
  CHECK(acquire(client, "jobs", 60'000, grant) == 0);
  CHECK(losses.tokens.size() == 1);
}

void note_jeopardy(lock_client*, int in_jeopardy, void* arg) {
  static_cast<std::vector<int>*>(arg)->push_back(in_jeopardy);
}

TEST_CASE("a lock is in jeopardy while its daemon is gone, and as good as before afterwards") {
  FakeDaemon daemon;
  daemon.lease_ns = 60'000'000'000;
  const Client client = connected(daemon);
  std::vector<int> news;
  CHECK(lock_on_jeopardy(client.get(), note_jeopardy, &news) == 0);
  lock_grant grant{};
  CHECK(lock_health(client.get(), &grant) == LOCK_HEALTH_LOST);
  REQUIRE(acquire(client, "jobs", -1, grant) == 0);
  CHECK(lock_health(client.get(), &grant) == LOCK_HEALTH_HELD);
  daemon.stop();
  CHECK(turn_until(client.get(), [&] { return news.size() == 1; }));
  CHECK(lock_health(client.get(), &grant) == LOCK_HEALTH_JEOPARDY);
  CHECK(lock_is_held(client.get(), &grant) == 1);
  daemon.start();
  CHECK(turn_until(client.get(), [&] { return news.size() == 2; }));
  CHECK(news == std::vector<int>{1, 0});
  CHECK(lock_health(client.get(), &grant) == LOCK_HEALTH_HELD);
  CHECK(lock_release(client.get(), &grant) == 0);
  CHECK(lock_health(client.get(), &grant) == LOCK_HEALTH_LOST);
}

TEST_CASE(
    "a daemon that is started again within the lease: the lock is still held, the wait goes on") {
  FakeDaemon daemon;
  daemon.lease_ns = 60'000'000'000;
  const Client holder = connected(daemon);
  const Client waiter = connected(daemon);
  lock_grant held{};
  REQUIRE(acquire(holder, "jobs", -1, held) == 0);
  Outcome outcome;
  REQUIRE(lock_acquire_async(waiter.get(), nullptr, "jobs", 4, LOCK_MODE_EX, 0, note_outcome,
                             &outcome, nullptr) == 0);
  REQUIRE(turn_until(waiter.get(), [&] { return daemon.acquires() == 2; }));
  daemon.stop();
  CHECK(
      turn_until(holder.get(), [&] { return lock_state(holder.get()) == LOCK_STATE_CONNECTING; }));
  CHECK(
      turn_until(waiter.get(), [&] { return lock_state(waiter.get()) == LOCK_STATE_CONNECTING; }));
  CHECK(lock_is_held(holder.get(), &held) == 1);
  daemon.start();
  CHECK(turn_until(holder.get(), [&] { return lock_state(holder.get()) == LOCK_STATE_READY; }));
  CHECK(lock_is_held(holder.get(), &held) == 1);
  CHECK(turn_until(waiter.get(), [&] { return lock_state(waiter.get()) == LOCK_STATE_READY; }));
  CHECK(lock_release(holder.get(), &held) == 0);
  CHECK(turn_until(waiter.get(), [&] { return outcome.calls == 1; }));
  CHECK(outcome.error == 0);
  CHECK(daemon.acquires() == 2);  // Sent again, executed once.
}

TEST_CASE("a session that has ended: its locks are lost, its waits go on in the next") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  Losses losses;
  lock_on_lost(client.get(), note_loss, &losses);
  lock_grant held{};
  REQUIRE(acquire(client, "jobs", -1, held) == 0);
  Outcome outcome;
  REQUIRE(lock_acquire_async(client.get(), nullptr, "jobs", 4, LOCK_MODE_EX, 0, note_outcome,
                             &outcome, nullptr) == 0);
  REQUIRE(turn_until(client.get(), [&] { return daemon.acquires() == 2; }));
  daemon.forget_sessions();
  CHECK(turn_until(client.get(), [&] { return outcome.calls == 1; }));
  CHECK(losses.tokens == std::vector<std::uint64_t>{held.token});
  CHECK(losses.sessions == 1);
  CHECK(outcome.error == 0);
  CHECK(lock_is_held(client.get(), &outcome.grant) == 1);
}

TEST_CASE(
    "a release that nobody answers is an error, and is told to the daemon later all the same") {
  FakeDaemon daemon;
  daemon.lease_ns = 60'000'000'000;
  const Client client = connected(daemon, 50);
  lock_grant grant{};
  REQUIRE(acquire(client, "jobs", -1, grant) == 0);
  daemon.stop();
  CHECK(lock_release(client.get(), &grant) == LOCK_ERROR_DAEMON_GONE);
  CHECK(lock_is_held(client.get(), &grant) == 0);
  daemon.start();
  CHECK(acquire(client, "jobs", 60'000, grant) == 0);
}

TEST_CASE("asynchronous calls answer in dispatch, once") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  const Client other = connected(daemon);
  Outcome first;
  Outcome second;
  Outcome released;
  std::uint64_t request = 0;
  const auto ask = [&](const Client& who, unsigned flags, Outcome& outcome) {
    return lock_acquire_async(who.get(), nullptr, "jobs", 4, LOCK_MODE_EX, flags, note_outcome,
                              &outcome, &request);
  };
  REQUIRE(ask(client, 0, first) == 0);
  CHECK(first.calls == 0);
  CHECK(turn_until(client.get(), [&] { return first.calls == 1; }));
  CHECK(first.error == 0);

  Outcome tried;
  REQUIRE(ask(other, LOCK_FLAG_TRY, tried) == 0);
  CHECK(turn_until(other.get(), [&] { return tried.calls == 1; }));
  CHECK(tried.error == LOCK_ERROR_BUSY);

  REQUIRE(ask(other, 0, second) == 0);
  REQUIRE(lock_cancel(other.get(), request) == 0);
  CHECK(turn_until(other.get(), [&] { return second.calls == 1; }));
  CHECK(second.error == LOCK_ERROR_CANCELLED);
  CHECK(lock_cancel(other.get(), request) == LOCK_ERROR_NOT_HELD);

  REQUIRE(lock_release_async(client.get(), &first.grant, note_outcome, &released) == 0);
  CHECK(lock_is_held(client.get(), &first.grant) == 0);
  CHECK(turn_until(client.get(), [&] { return released.calls == 1; }));
  CHECK(released.error == 0);
  CHECK(lock_release_async(client.get(), &first.grant, nullptr, nullptr) == LOCK_ERROR_NOT_HELD);
  CHECK(ask(client, 2, first) == LOCK_ERROR_INVALID);
}

TEST_CASE("a callback may ask for more") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  struct Chain {
    int left = 20;
    int error = 0;
    static void granted(lock_client* client, int error, const lock_grant* grant, void* arg) {
      auto& chain = *static_cast<Chain*>(arg);
      chain.error = error != 0 ? error : lock_release_async(client, grant, released, arg);
    }
    static void released(lock_client* client, int error, const lock_grant*, void* arg) {
      auto& chain = *static_cast<Chain*>(arg);
      chain.error = error;
      if (--chain.left > 0) chain.ask(client);
    }
    void ask(lock_client* client) {
      error =
          lock_acquire_async(client, nullptr, "jobs", 4, LOCK_MODE_EX, 0, granted, this, nullptr);
    }
  } chain;
  chain.ask(client.get());
  CHECK(turn_until(client.get(), [&] { return chain.left == 0 || chain.error != 0; }));
  CHECK(chain.error == 0);
}

TEST_CASE(
    "threads that share a client exclude each other, and wait without a thread of the library's") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  constexpr int kThreads = 4;
  constexpr int kLoops = 25;
  int shared = 0;
  std::atomic<int> errors{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int loop = 0; loop < kLoops; ++loop) {
        lock_grant grant{};
        if (acquire(client, "jobs", 60'000, grant) != 0) ++errors;
        ++shared;
        if (lock_release(client.get(), &grant) != 0) ++errors;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(errors == 0);
  CHECK(shared == kThreads * kLoops);
}

TEST_CASE("arguments out of their range are refused") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  lock_grant grant{};
  const std::string longest(256, 'n');
  CHECK(acquire(client, "", -1, grant) == LOCK_ERROR_INVALID);
  CHECK(acquire(client, longest, -1, grant) == LOCK_ERROR_INVALID);
  CHECK(lock_acquire(client.get(), "", "n", 1, LOCK_MODE_EX, -1, &grant) == LOCK_ERROR_INVALID);
  CHECK(lock_acquire(client.get(), nullptr, nullptr, 1, LOCK_MODE_EX, -1, &grant) ==
        LOCK_ERROR_INVALID);
  CHECK(lock_acquire(client.get(), nullptr, "n", 1, static_cast<lock_mode>(6), -1, &grant) ==
        LOCK_ERROR_INVALID);
  CHECK(lock_connect(nullptr, nullptr) == LOCK_ERROR_INVALID);
  CHECK(acquire(client, longest.substr(1), -1, grant) == 0);
}

TEST_CASE("a forked child owns nothing") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  lock_grant grant{};
  REQUIRE(acquire(client, "jobs", -1, grant) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    lock_grant other{};
    const bool fine = acquire(client, "jobs", -1, other) == LOCK_ERROR_FORKED &&
                      lock_release(client.get(), &grant) == LOCK_ERROR_FORKED &&
                      lock_dispatch(client.get()) == LOCK_ERROR_FORKED &&
                      lock_valid_for_ns(client.get(), &grant) == 0;
    lock_close(client.get());
    ::_exit(fine ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(lock_is_held(client.get(), &grant) == 1);
  CHECK(lock_release(client.get(), &grant) == 0);
}

TEST_CASE("a client that closes gives back what it holds") {
  FakeDaemon daemon;
  Client holder = connected(daemon);
  const Client waiter = connected(daemon);
  lock_grant grant{};
  REQUIRE(acquire(holder, "jobs", -1, grant) == 0);
  holder.reset();
  CHECK(acquire(waiter, "jobs", 60'000, grant) == 0);
}

TEST_CASE("questions are answered page by page, without a session and without a quorum") {
  FakeDaemon daemon;
  daemon.primary = false;
  lock_options options = options_for(daemon.path(), 10'000);
  options.query_only = 1;
  lock_client* client = nullptr;
  REQUIRE(lock_connect(&options, &client) == 0);
  const Client owner(client);

  std::vector<std::string> names;
  CHECK(lock_list(
            client, nullptr, "a/", 2,
            [](const lock_list_item* item, void* arg) {
              static_cast<std::vector<std::string>*>(arg)->emplace_back(item->name.data,
                                                                        item->name.len);
              return 0;
            },
            &names) == 0);
  CHECK(names == std::vector<std::string>{"a/0", "a/2", "a/3"});
  CHECK(lock_list(
            client, nullptr, nullptr, 0, [](const lock_list_item*, void*) { return 7; }, nullptr) ==
        7);

  int locks = 0;
  CHECK(lock_show(
            client, nullptr, "n", 1,
            [](const lock_show_item* item, void* arg) {
              CHECK(item->has_value);
              CHECK(item->value_invalid);
              CHECK(item->value[0] == 7);
              *static_cast<int*>(arg) += item->stale;
              return 0;
            },
            &locks) == 0);
  CHECK(locks == 2);

  std::uint64_t session = 0;
  std::uint64_t request = 0;
  std::vector<lock_deadlock_step> steps(3);
  steps[0].size = sizeof steps[0];
  CHECK(lock_past_deadlock(client, 0, &session, &request, steps.data(), steps.size()) == 2);
  CHECK(session == 5);
  CHECK(request == 6);
  CHECK(steps[1].wants == LOCK_MODE_EX);
  CHECK(std::string(steps[1].name) == "jobs");
  CHECK(lock_past_deadlock(client, 0, nullptr, nullptr, nullptr, 0) == 2);
  CHECK(lock_past_deadlock(client, 0, nullptr, nullptr, nullptr, 1) == LOCK_ERROR_INVALID);
  CHECK(lock_past_deadlock(client, 1, nullptr, nullptr, nullptr, 0) == LOCK_ERROR_NOT_FOUND);

  std::vector<std::string> lockspaces;
  CHECK(lock_lockspaces(
            client,
            [](const lock_lockspace_item* item, void* arg) {
              CHECK(item->stale);
              CHECK(item->permissions == 0640);
              CHECK(item->members_len == 1);
              CHECK(item->members[0].slot == 4);
              static_cast<std::vector<std::string>*>(arg)->emplace_back(item->name.data,
                                                                        item->name.len);
              return 0;
            },
            &lockspaces) == 0);
  CHECK(lockspaces == std::vector<std::string>{"w", "ww"});
  CHECK(lock_lockspaces(client, nullptr, nullptr) == LOCK_ERROR_INVALID);

  lock_status_info info{};
  info.size = sizeof info;
  CHECK(lock_status(client, &info) == 0);
  CHECK(info.epoch == 12);
  CHECK(std::string(info.state.data) == "active");
  REQUIRE(info.counters_len == 1);
  CHECK(info.counters[0].value == 7);

  // A program built against a shorter struct gets what it knows.
  lock_status_info shorter{};
  shorter.size = offsetof(lock_status_info, lease_ns);
  shorter.lease_ns = 99;
  CHECK(lock_status(client, &shorter) == 0);
  CHECK(shorter.epoch == 12);
  CHECK(shorter.lease_ns == 99);

  int members = 0;
  lock_ring_info ring{};
  ring.size = sizeof ring;
  CHECK(lock_ring_status(client, &ring) == 0);
  CHECK(ring.state == LOCK_RING_GATHER);
  CHECK(ring.rotation_average_ns == 210);
  CHECK(ring.outstanding_max == 1024);
  REQUIRE(ring.peers_len == 2);
  CHECK_FALSE(ring.peers[0].heard);
  CHECK(ring.peers[1].node == 2);
  CHECK(ring.peers[1].heard_ago_ns == 77);
  CHECK(ring.peers[1].key == 9);
  CHECK(lock_ring_status(client, nullptr) == LOCK_ERROR_INVALID);
  std::vector<std::uint64_t> events;
  CHECK(lock_ring_log(
            client, 0,
            [](const lock_ring_event* event, void* arg) {
              CHECK(std::string(event->event.data) == "install_regular");
              CHECK(event->ago_ns == 5);
              static_cast<std::vector<std::uint64_t>*>(arg)->push_back(event->number);
              return 0;
            },
            &events) == 0);
  CHECK(events == std::vector<std::uint64_t>{1, 2, 3});
  lock_why_info why{};
  why.size = sizeof why;
  CHECK(lock_why(client, 3, &why) == 0);
  CHECK(why.changed);
  CHECK(std::string(why.trigger.data) == "a test");
  REQUIRE(why.nodes_len == 1);
  CHECK(why.nodes[0] == 5);
  REQUIRE(why.changes_len == 1);
  CHECK(why.changes[0].node == 3);
  CHECK(why.changes[0].incarnation == 8);
  CHECK(why.changes[0].came);
  CHECK(std::string(why.changes[0].why.data) == "it said so");
  CHECK(lock_members(
            client,
            [](const lock_member*, void* arg) {
              ++*static_cast<int*>(arg);
              return 0;
            },
            &members) == 0);
  CHECK(members == 3);
  CHECK(lock_show(
            client, nullptr, "", 0, [](const lock_show_item*, void*) { return 0; }, nullptr) ==
        LOCK_ERROR_INVALID);
  lock_grant grant{};
  CHECK(acquire(owner, "n", -1, grant) == LOCK_ERROR_INVALID);
}

TEST_CASE("every error has a sentence of its own") {
  std::vector<std::string> sentences;
  for (int error = 0; error >= LOCK_ERROR_SYSTEM; --error)
    sentences.emplace_back(lock_strerror(error));
  std::sort(sentences.begin(), sentences.end());
  CHECK(std::adjacent_find(sentences.begin(), sentences.end()) == sentences.end());
  CHECK(std::string(lock_strerror(1)) == lock_strerror(-99));
}

TEST_CASE("the example in lock.h works as it is written") {
  FakeDaemon daemon;
  const std::string program = LIBLOCK_EXAMPLE;
  CHECK(std::system(("LOCKD_SOCKET=" + daemon.path() + " " + program + " >/dev/null").c_str()) ==
        0);
  CHECK(std::system(("LOCKD_SOCKET=" + daemon.path() + "x " + program + " 2>/dev/null").c_str()) !=
        0);
}
