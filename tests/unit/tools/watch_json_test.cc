#include "tools/lockctl/watch_json.h"

#include <doctest/doctest.h>

#include <cstring>

using namespace tools::lockctl;

namespace {

lock_bytes bytes(const char* text) {
  return {text, std::strlen(text)};
}

lock_watch_event event_of(lock_watch_kind kind) {
  lock_watch_event event{};
  event.size = sizeof event;
  event.kind = kind;
  event.second = 1700000000;
  event.lockspace = bytes("default");
  event.name = bytes("jobs");
  event.command = bytes("make all");
  event.session = 7;
  event.request = 8;
  event.node = 2;
  event.pid = 100;
  event.uid = 1000;
  event.mode = event.wants = LOCK_MODE_EX;
  return event;
}

}  // namespace

TEST_CASE("an event of a lock has the lock and whose it is") {
  lock_watch_event event = event_of(LOCK_WATCH_GRANTED);
  event.token = 12;
  CHECK(json_of(event) ==
        "{\"event\":\"granted\",\"time\":1700000000,\"lockspace\":\"default\",\"name\":\"jobs\","
        "\"mode\":\"EX\",\"token\":12,\"session\":7,\"request\":8,\"node\":2,\"pid\":100,"
        "\"uid\":1000,\"command\":\"make all\"}\n");
}

TEST_CASE("what is not held has no mode and no token, what is not known is null") {
  lock_watch_event event = event_of(LOCK_WATCH_DENIED);
  event.second = 0;
  event.reason = LOCK_ERROR_BUSY;
  event.node = 0;
  CHECK(json_of(event) ==
        "{\"event\":\"denied\",\"time\":null,\"lockspace\":\"default\",\"name\":\"jobs\","
        "\"mode\":null,\"token\":null,\"wants\":\"EX\",\"reason\":\"busy\",\"session\":7,"
        "\"request\":8,\"node\":null,\"pid\":null,\"uid\":null,\"command\":null}\n");
}

TEST_CASE("holes are told without anything else") {
  lock_watch_event event = event_of(LOCK_WATCH_RESYNC);
  CHECK(json_of(event) == "{\"event\":\"resync\"}\n");
  event = event_of(LOCK_WATCH_LOST);
  event.lost = 3;
  CHECK(json_of(event) == "{\"event\":\"lost\",\"count\":3}\n");
}

TEST_CASE("names that are no text are escaped, and stay on one line") {
  lock_watch_event event = event_of(LOCK_WATCH_RELEASED);
  event.name = {"a\n\xff", 3};
  const std::string line = json_of(event);
  CHECK(line.find('\n') == line.size() - 1);
  CHECK(line.find("\xff") == std::string::npos);
}

TEST_CASE("lockspaces, configurations, deadlocks, sessions and the quorum have their own") {
  lock_watch_event event = event_of(LOCK_WATCH_LOCKSPACE);
  const lock_lockspace_member member{2, 1};
  event.members = &member;
  event.members_len = 1;
  event.generation = 3;
  CHECK(json_of(event).find("\"generation\":3,\"recovered\":false,\"members\":[{\"node\":2,"
                            "\"slot\":1}],\"failed\":[]") != std::string::npos);
  event = event_of(LOCK_WATCH_CONFIGURATION);
  const std::uint32_t node = 4;
  event.nodes = &node;
  event.nodes_len = 1;
  event.transitional = 1;
  CHECK(json_of(event).find("\"kind\":\"transitional\"") != std::string::npos);
  CHECK(json_of(event).find("\"members\":[4],\"left\":[],\"joined\":[]") != std::string::npos);
  event = event_of(LOCK_WATCH_DEADLOCK);
  lock_deadlock_step step{};
  step.size = sizeof step;
  std::strcpy(step.name, "jobs");
  step.name_len = 4;
  event.steps = &step;
  event.steps_len = 1;
  CHECK(json_of(event).find("\"steps\":[{\"lockspace\":\"\",\"name\":\"jobs\"") !=
        std::string::npos);
  event = event_of(LOCK_WATCH_SESSION);
  event.change = LOCK_WATCH_ORPHANED;
  CHECK(json_of(event).find("\"change\":\"orphaned\",\"session\":7,\"node\":2") !=
        std::string::npos);
  event = event_of(LOCK_WATCH_QUORUM);
  event.primary = 1;
  event.epoch = 5;
  CHECK(json_of(event).find("\"primary\":true") != std::string::npos);
  CHECK(json_of(event).find("\"epoch\":5") != std::string::npos);
}

TEST_CASE("each type that can be asked for is one of the library") {
  CHECK(watch_words().size() == LOCK_WATCH_QUORUM + 1);
  for (const std::string& word : watch_words()) {
    lock_watch_event event = event_of(*watch_kind_of(word));
    CHECK(json_of(event).find("{\"event\":\"" + word + "\"") == 0);
  }
  CHECK_FALSE(watch_kind_of("resync").has_value());
}
