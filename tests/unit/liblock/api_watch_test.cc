#include <liblock/watch.h>

#include <algorithm>

#include "tests/unit/liblock/api.h"

using namespace liblock_test;

namespace {

// What a callback has heard, and what it does then.
struct Heard {
  std::vector<lock_watch_kind> kinds;
  std::string name;
  std::string command;
  std::uint64_t token = 0;
  int reason = 1;
  int idle = 0;
  std::size_t enough = 3;
  int (*then)(lock_client* client) = nullptr;
  FakeDaemon* restart = nullptr;
};

int note(lock_client* client, const lock_watch_event* event, void* arg) {
  auto& heard = *static_cast<Heard*>(arg);
  if (event == nullptr) return ++heard.idle < 2 ? 0 : 78;
  heard.kinds.push_back(event->kind);
  if (event->kind == LOCK_WATCH_GRANTED) {
    heard.name.assign(event->name.data, event->name.len);
    heard.command.assign(event->command.data, event->command.len);
    heard.token = event->token;
    heard.reason = event->reason;
    if (heard.restart != nullptr) {
      heard.restart->stop();
      heard.restart->start();
      heard.restart = nullptr;
    }
  }
  if (heard.kinds.size() < heard.enough) return 0;
  return heard.then == nullptr ? 77 : heard.then(client);
}

}  // namespace

TEST_CASE("a watch tells until its callback has heard enough") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  Heard heard;
  CHECK(lock_watch(client.get(), nullptr, note, &heard) == 77);
  CHECK(heard.kinds ==
        std::vector<lock_watch_kind>{LOCK_WATCH_RESYNC, LOCK_WATCH_GRANTED, LOCK_WATCH_DEADLOCK});
  CHECK(heard.name == "jobs");
  CHECK(heard.command == "a fake");
  CHECK(heard.token == 5);
  CHECK(heard.reason == 0);
  // The client is as good as before, and can watch again.
  lock_grant grant{};
  CHECK(acquire(client, "x", 0, grant) == 0);
  CHECK(lock_watch(client.get(), nullptr, note, &heard) == 77);
}

TEST_CASE("a watch tells that nothing comes, if it is to") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  Heard heard;
  heard.enough = 100;
  lock_watch_options options{};
  options.size = sizeof options;
  options.kinds = LOCK_WATCH_BIT(LOCK_WATCH_SESSION);  // The fake has none.
  options.idle_ms = 20;
  CHECK(lock_watch(client.get(), &options, note, &heard) == 78);
  CHECK(heard.kinds == std::vector<lock_watch_kind>{LOCK_WATCH_RESYNC});
}

TEST_CASE("a watch goes on, anew, when its daemon is back") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  Heard heard;
  heard.restart = &daemon;
  heard.enough = 5;
  CHECK(lock_watch(client.get(), nullptr, note, &heard) == 77);
  CHECK(std::count(heard.kinds.begin(), heard.kinds.end(), LOCK_WATCH_RESYNC) == 2);
}

TEST_CASE("a callback may use its client, but not watch again") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  Heard heard;
  heard.then = [](lock_client* of) {
    lock_grant grant{};
    if (lock_acquire(of, nullptr, "x", 1, LOCK_MODE_EX, 0, &grant) != 0) return 1;
    Heard other;
    return lock_watch(of, nullptr, note, &other) == LOCK_ERROR_LIMIT ? 79 : 2;
  };
  CHECK(lock_watch(client.get(), nullptr, note, &heard) == 79);
}

TEST_CASE("a watch that makes no sense, or that the daemon refuses, is an error") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  Heard heard;
  lock_watch_options options{};
  options.size = sizeof options;
  CHECK(lock_watch(client.get(), nullptr, nullptr, nullptr) == LOCK_ERROR_INVALID);
  options.idle_ms = -1;
  CHECK(lock_watch(client.get(), &options, note, &heard) == LOCK_ERROR_INVALID);
  options.idle_ms = 0;
  options.name_len = 3;
  CHECK(lock_watch(client.get(), &options, note, &heard) == LOCK_ERROR_INVALID);
  options.name = "abc";
  options.name_len = 256;
  CHECK(lock_watch(client.get(), &options, note, &heard) == LOCK_ERROR_INVALID);
  options.name_len = 3;
  options.kinds = LOCK_WATCH_BIT(LOCK_WATCH_RESYNC);
  CHECK(lock_watch(client.get(), &options, note, &heard) == LOCK_ERROR_INVALID);
  options.kinds = 0;
  options.lockspace = "full";  // The fake refuses this one.
  CHECK(lock_watch(client.get(), &options, note, &heard) == LOCK_ERROR_LIMIT);
  CHECK(heard.kinds.empty());
}
