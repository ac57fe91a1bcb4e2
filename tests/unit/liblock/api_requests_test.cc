#include <liblock/request.h>

#include <cstring>
#include <thread>

#include "tests/unit/liblock/api.h"

using namespace liblock_test;

namespace {

lock_request request_for(const char* name, lock_mode mode, unsigned flags = 0) {
  lock_request request{};
  request.size = sizeof request;
  request.name = name;
  request.name_len = std::strlen(name);
  request.mode = mode;
  request.flags = flags;
  return request;
}

lock_conversion conversion_to(lock_mode mode, unsigned flags = 0) {
  lock_conversion conversion{};
  conversion.size = sizeof conversion;
  conversion.mode = mode;
  conversion.flags = flags;
  return conversion;
}

lock_outcome empty_outcome() {
  lock_outcome outcome{};
  outcome.size = sizeof outcome;
  return outcome;
}

lock_outcome take(const Client& client, lock_request request, int timeout_ms = -1) {
  lock_outcome outcome = empty_outcome();
  CHECK(lock_acquire_with(client.get(), &request, timeout_ms, &outcome) == outcome.error);
  return outcome;
}

lock_outcome convert(const Client& client, const lock_grant& grant, lock_conversion conversion,
                     int timeout_ms = -1) {
  lock_outcome outcome = empty_outcome();
  CHECK(lock_convert(client.get(), &grant, &conversion, timeout_ms, &outcome) == outcome.error);
  return outcome;
}

// In the order of the calls: outcomes, and, as modes, notifications.
struct Told {
  std::vector<lock_outcome> outcomes;
  std::vector<lock_mode> blocked;
  std::vector<std::string> order;
};

void note(lock_client*, const lock_outcome* outcome, void* arg) {
  auto& told = *static_cast<Told*>(arg);
  told.outcomes.push_back(*outcome);
  told.order.push_back("outcome");
}

void note_all(lock_client*, const lock_outcome* outcomes, std::size_t count, void* arg) {
  auto& told = *static_cast<Told*>(arg);
  told.outcomes.assign(outcomes, outcomes + count);
  told.order.push_back("outcomes");
}

void note_blocked(lock_client*, const lock_grant*, enum lock_mode mode, void* arg) {
  auto& told = *static_cast<Told*>(arg);
  told.blocked.push_back(mode);
  told.order.push_back("blocked");
}

}  // namespace

TEST_CASE("a lock goes from mode to mode, under a new token each time") {
  FakeDaemon daemon;
  const Client first = connected(daemon);
  const Client second = connected(daemon);
  const lock_outcome taken = take(first, request_for("jobs", LOCK_MODE_PR));
  REQUIRE(taken.error == 0);
  CHECK(taken.mode == LOCK_MODE_PR);
  const lock_outcome other = take(second, request_for("jobs", LOCK_MODE_PR));
  REQUIRE(other.error == 0);

  const lock_outcome busy = convert(first, taken.grant, conversion_to(LOCK_MODE_EX), 0);
  CHECK(busy.error == LOCK_ERROR_BUSY);
  CHECK(busy.grant.token == taken.grant.token);
  CHECK(busy.mode == LOCK_MODE_PR);
  const lock_outcome late = convert(first, taken.grant, conversion_to(LOCK_MODE_EX), 20);
  CHECK(late.error == LOCK_ERROR_TIMEOUT);
  CHECK(lock_is_held(first.get(), &taken.grant) == 1);

  CHECK(lock_release(second.get(), &other.grant) == 0);
  const lock_outcome held = convert(first, taken.grant, conversion_to(LOCK_MODE_EX));
  REQUIRE(held.error == 0);
  CHECK(held.grant.id == taken.grant.id);
  CHECK(held.grant.token > taken.grant.token);
  CHECK(held.mode == LOCK_MODE_EX);
  CHECK(take(second, request_for("jobs", LOCK_MODE_CR, LOCK_FLAG_TRY)).error == LOCK_ERROR_BUSY);
  CHECK(lock_release(first.get(), &held.grant) == 0);
  CHECK(convert(first, held.grant, conversion_to(LOCK_MODE_NL)).error == LOCK_ERROR_NOT_HELD);
}

TEST_CASE("the value goes from who releases to who takes the lock, and from mode to mode") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  const Client reader = connected(daemon);
  const lock_outcome keeper = take(reader, request_for("jobs", LOCK_MODE_NL));
  unsigned char value[LOCK_VALUE_SIZE];
  std::memset(value, 7, sizeof value);
  const lock_outcome writer = take(client, request_for("jobs", LOCK_MODE_EX, LOCK_FLAG_VALUE));
  CHECK(writer.has_value == 1);
  CHECK(writer.value[0] == 0);
  REQUIRE(lock_release_with(client.get(), &writer.grant, LOCK_FLAG_VALUE, value) == 0);

  const lock_outcome read =
      convert(reader, keeper.grant, conversion_to(LOCK_MODE_PW, LOCK_FLAG_VALUE));
  REQUIRE(read.error == 0);
  CHECK(read.has_value == 1);
  CHECK(std::memcmp(read.value, value, sizeof value) == 0);
  std::memset(value, 8, sizeof value);
  lock_conversion write = conversion_to(LOCK_MODE_NL, LOCK_FLAG_VALUE);
  write.value = value;
  CHECK(convert(reader, read.grant, write).has_value == 0);
  const lock_outcome again = take(client, request_for("jobs", LOCK_MODE_PR, LOCK_FLAG_VALUE));
  CHECK(std::memcmp(again.value, value, sizeof value) == 0);

  const lock_outcome last = convert(reader, keeper.grant, conversion_to(LOCK_MODE_PW), 0);
  CHECK(last.error == LOCK_ERROR_BUSY);
  REQUIRE(lock_release(client.get(), &again.grant) == 0);
  const lock_outcome invalid = take(client, request_for("jobs", LOCK_MODE_EX));
  REQUIRE(lock_release_with(client.get(), &invalid.grant, LOCK_FLAG_INVALIDATE_VALUE, nullptr) ==
          0);
  CHECK((take(client, request_for("jobs", LOCK_MODE_PR, LOCK_FLAG_VALUE)).notes &
         LOCK_NOTE_VALUE_INVALID) != 0);
}

TEST_CASE("a holder that wants to hears who waits, after he has heard that he holds it") {
  FakeDaemon daemon;
  const Client holder = connected(daemon);
  const Client waiter = connected(daemon);
  Told told;
  lock_request wanted = request_for("jobs", LOCK_MODE_EX);
  wanted.notify = note_blocked;
  wanted.notify_arg = &told;
  REQUIRE(lock_acquire_with_async(holder.get(), &wanted, note, &told, nullptr) == 0);
  REQUIRE(turn_until(waiter.get(), [&] { return daemon.acquires() == 1; }));
  Told waits;
  const lock_request other = request_for("jobs", LOCK_MODE_PR);
  REQUIRE(lock_acquire_with_async(waiter.get(), &other, note, &waits, nullptr) == 0);
  REQUIRE(turn_until(waiter.get(), [&] { return daemon.acquires() == 2; }));
  REQUIRE(turn_until(holder.get(), [&] { return !told.blocked.empty(); }));
  CHECK(told.order == std::vector<std::string>{"outcome", "blocked"});
  CHECK(told.blocked == std::vector<lock_mode>{LOCK_MODE_PR});

  // He makes way, and wants to go on hearing.
  lock_conversion less = conversion_to(LOCK_MODE_PR);
  less.notify = note_blocked;
  less.notify_arg = &told;
  const lock_outcome shared = convert(holder, told.outcomes[0].grant, less);
  REQUIRE(shared.error == 0);
  REQUIRE(turn_until(waiter.get(), [&] { return waits.outcomes.size() == 1; }));
  CHECK(waits.outcomes[0].error == 0);
  const lock_request exclusive = request_for("jobs", LOCK_MODE_EX);
  REQUIRE(lock_acquire_with_async(waiter.get(), &exclusive, note, &waits, nullptr) == 0);
  REQUIRE(turn_until(waiter.get(), [&] { return daemon.acquires() == 3; }));
  REQUIRE(turn_until(holder.get(), [&] { return told.blocked.size() == 2; }));
  CHECK(told.blocked[1] == LOCK_MODE_EX);
  // What is due of a lock that was given back is not told.
  CHECK(lock_release(holder.get(), &shared.grant) == 0);
}

TEST_CASE("what was due of a lock that is given back before the dispatch is not told") {
  FakeDaemon daemon;
  const Client holder = connected(daemon);
  const Client waiter = connected(daemon);
  Told told;
  lock_request wanted = request_for("jobs", LOCK_MODE_EX);
  wanted.notify = note_blocked;
  wanted.notify_arg = &told;
  const lock_outcome held = take(holder, wanted);
  REQUIRE(held.error == 0);
  Told waits;
  const lock_request other = request_for("jobs", LOCK_MODE_PR);
  REQUIRE(lock_acquire_with_async(waiter.get(), &other, note, &waits, nullptr) == 0);
  REQUIRE(turn_until(waiter.get(), [&] { return daemon.acquires() == 2; }));
  CHECK(lock_release(holder.get(), &held.grant) == 0);
  CHECK(lock_dispatch(holder.get()) == 0);
  CHECK(told.blocked.empty());
}

TEST_CASE("several locks are taken at one moment, or none") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  const Client other = connected(daemon);
  const lock_outcome held = take(other, request_for("b", LOCK_MODE_EX));
  const lock_request both[2] = {request_for("a", LOCK_MODE_EX), request_for("b", LOCK_MODE_PR)};
  lock_outcome outcomes[2] = {empty_outcome(), empty_outcome()};
  CHECK(lock_acquire_all(client.get(), both, 2, 0, outcomes) == LOCK_ERROR_BUSY);
  CHECK(outcomes[0].error == LOCK_ERROR_BUSY);
  CHECK(lock_acquire_all(client.get(), both, 2, 20, outcomes) == LOCK_ERROR_TIMEOUT);
  CHECK(outcomes[1].error == LOCK_ERROR_TIMEOUT);
  CHECK(take(other, request_for("a", LOCK_MODE_EX, LOCK_FLAG_TRY)).error == 0);  // It was free.

  Told told;
  std::uint64_t first = 0;
  REQUIRE(lock_acquire_all_async(client.get(), both, 2, note_all, &told, &first) == 0);
  CHECK(lock_cancel(client.get(), first + 1) == 0);
  REQUIRE(turn_until(client.get(), [&] { return !told.outcomes.empty(); }));
  REQUIRE(told.outcomes.size() == 2);
  CHECK(told.outcomes[1].error == LOCK_ERROR_CANCELLED);

  const lock_request free[2] = {request_for("c", LOCK_MODE_EX), request_for("d", LOCK_MODE_PR)};
  REQUIRE(lock_acquire_all(client.get(), free, 2, -1, outcomes) == 0);
  CHECK(outcomes[0].grant.id + 1 == outcomes[1].grant.id);
  CHECK(outcomes[1].mode == LOCK_MODE_PR);
  for (const lock_outcome& outcome : outcomes) {
    CHECK(lock_is_held(client.get(), &outcome.grant) == 1);
    CHECK(lock_release(client.get(), &outcome.grant) == 0);
  }
  const lock_request same[2] = {request_for("a", LOCK_MODE_EX), request_for("a", LOCK_MODE_EX)};
  CHECK(lock_acquire_all(client.get(), same, 2, -1, outcomes) == LOCK_ERROR_INVALID);
  lock_request unlike[2] = {request_for("a", LOCK_MODE_EX), request_for("b", LOCK_MODE_EX)};
  unlike[1].patience_ms = 5;
  CHECK(lock_acquire_all(client.get(), unlike, 2, -1, outcomes) == LOCK_ERROR_INVALID);
  CHECK(lock_acquire_all(client.get(), both, 0, -1, outcomes) == LOCK_ERROR_INVALID);
  CHECK(lock_release(other.get(), &held.grant) == 0);
}

TEST_CASE("a thread that waits for its own lock hears of the deadlock, and which it is") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  lock_grant held{};
  REQUIRE(acquire(client, "jobs", -1, held) == 0);
  CHECK(lock_deadlock(client.get(), 0, nullptr, 0) == LOCK_ERROR_NOT_FOUND);
  char text[256];
  CHECK(lock_deadlock_text(client.get(), 0, text, sizeof text) == 0);
  lock_grant again{};
  CHECK(acquire(client, "jobs", -1, again) == LOCK_ERROR_DEADLOCK);
  CHECK(acquire(client, "jobs", 60'000, again) == LOCK_ERROR_DEADLOCK);
  CHECK(acquire(client, "jobs", 0, again) == LOCK_ERROR_BUSY);

  lock_deadlock_step steps[2] = {};
  steps[0].size = sizeof steps[0];
  REQUIRE(lock_deadlock(client.get(), again.id, steps, 2) == 1);
  CHECK(steps[0].waits.id == again.id);
  CHECK(steps[0].blocker.id == held.id);
  CHECK(steps[0].wants == LOCK_MODE_EX);
  CHECK(steps[0].waits.pid == 77);
  CHECK(std::string(steps[0].waits.command) == "test");
  CHECK(std::string(steps[0].name) == "jobs");
  CHECK(std::string(steps[0].lockspace) == "default");
  CHECK(lock_deadlock_text(client.get(), again.id, text, sizeof text) > 0);
  CHECK(std::string(text).find("waits for EX on default/jobs behind EX lock") != std::string::npos);

  // Another thread is somebody else, and so is nobody.
  std::thread thread([&] { CHECK(acquire(client, "jobs", 20, again) == LOCK_ERROR_TIMEOUT); });
  thread.join();
  lock_request nobody = request_for("jobs", LOCK_MODE_EX);
  nobody.owner = LOCK_OWNER_NONE;
  CHECK(take(client, nobody, 20).error == LOCK_ERROR_TIMEOUT);
  lock_request bad = request_for("jobs", LOCK_MODE_EX);
  bad.owner = UINT64_MAX - 2;
  CHECK(take(client, bad).error == LOCK_ERROR_INVALID);
}

TEST_CASE("two owners that wait for each other: one of them hears so") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  const auto own = [](const char* name, std::uint64_t owner) {
    lock_request request = request_for(name, LOCK_MODE_EX);
    request.owner = owner;
    return request;
  };
  REQUIRE(take(client, own("a", 1)).error == 0);
  REQUIRE(take(client, own("b", 2)).error == 0);
  Told told;
  const lock_request first = own("b", 1);
  REQUIRE(lock_acquire_with_async(client.get(), &first, note, &told, nullptr) == 0);
  const lock_outcome second = take(client, own("a", 2));
  CHECK(second.error == LOCK_ERROR_DEADLOCK);
  CHECK(lock_deadlock(client.get(), second.grant.id, nullptr, 0) == 2);
  CHECK(told.outcomes.empty());
}

TEST_CASE("conversions that wait for each other: one of them hears so") {
  FakeDaemon daemon;
  const Client first = connected(daemon);
  const Client second = connected(daemon);
  const lock_outcome one = take(first, request_for("jobs", LOCK_MODE_PR));
  const lock_outcome two = take(second, request_for("jobs", LOCK_MODE_PR));
  Told told;
  const lock_conversion more = conversion_to(LOCK_MODE_EX);
  REQUIRE(lock_convert_async(first.get(), &one.grant, &more, note, &told) == 0);
  CHECK(lock_convert_async(first.get(), &one.grant, &more, note, &told) == LOCK_ERROR_IN_PROGRESS);
  CHECK(lock_release(first.get(), &one.grant) == LOCK_ERROR_IN_PROGRESS);
  lock_outcome failed = convert(second, two.grant, more, 60'000);
  // Whose conversion came second.
  if (failed.error == LOCK_ERROR_DEADLOCK) {
    CHECK(failed.grant.token == two.grant.token);
    CHECK(lock_deadlock(second.get(), two.grant.id, nullptr, 0) == 2);
    CHECK(lock_release(second.get(), &two.grant) == 0);
    REQUIRE(turn_until(first.get(), [&] { return told.outcomes.size() == 1; }));
    CHECK(told.outcomes[0].error == 0);
  } else {
    REQUIRE(turn_until(first.get(), [&] { return told.outcomes.size() == 1; }));
    CHECK(told.outcomes[0].error == LOCK_ERROR_DEADLOCK);
  }
}

TEST_CASE("what waits or converts is released by force, and its own outcome comes first") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  const lock_outcome held = take(client, request_for("jobs", LOCK_MODE_PR));
  const lock_outcome other = take(client, request_for("jobs", LOCK_MODE_PR));
  Told told;
  Outcome released;
  const lock_conversion more = conversion_to(LOCK_MODE_EX);
  REQUIRE(lock_convert_async(client.get(), &held.grant, &more, note, &told) == 0);
  REQUIRE(lock_release_with_async(client.get(), &held.grant, LOCK_FLAG_FORCE, nullptr, note_outcome,
                                  &released) == 0);
  REQUIRE(turn_until(client.get(), [&] { return released.calls == 1; }));
  CHECK(released.error == 0);
  REQUIRE(told.outcomes.size() == 1);
  CHECK(told.outcomes[0].error == LOCK_ERROR_CANCELLED);

  lock_grant waiting{};
  const lock_request exclusive = request_for("jobs", LOCK_MODE_EX);
  REQUIRE(lock_acquire_with_async(client.get(), &exclusive, note, &told, &waiting.id) == 0);
  CHECK(lock_release_with(client.get(), &waiting, 0, nullptr) == LOCK_ERROR_NOT_HELD);
  CHECK(lock_release_with(client.get(), &waiting, LOCK_FLAG_FORCE, nullptr) == 0);
  CHECK(lock_dispatch(client.get()) == 0);
  REQUIRE(told.outcomes.size() == 2);
  CHECK(told.outcomes[1].error == LOCK_ERROR_CANCELLED);
  CHECK(lock_release(client.get(), &other.grant) == 0);
}

TEST_CASE("a conversion is lost with its lock, and both are told, the loss first") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  const Client other = connected(daemon);
  Losses losses;
  lock_on_lost(client.get(), note_loss, &losses);
  const lock_outcome held = take(client, request_for("jobs", LOCK_MODE_PR));
  const lock_outcome against = take(other, request_for("jobs", LOCK_MODE_PR));
  CHECK(against.error == 0);
  Told told;
  const lock_conversion more = conversion_to(LOCK_MODE_EX);
  REQUIRE(lock_convert_async(client.get(), &held.grant, &more, note, &told) == 0);
  daemon.forget_sessions();
  REQUIRE(turn_until(client.get(), [&] { return told.outcomes.size() == 1; }));
  CHECK(losses.tokens == std::vector<std::uint64_t>{held.grant.token});
  CHECK(told.outcomes[0].error == LOCK_ERROR_LOST);
  CHECK(told.outcomes[0].grant.token == 0);
}

TEST_CASE("structs of another age, and flags that are none, are read as far as they go") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  lock_request request = request_for("jobs", LOCK_MODE_EX);
  lock_outcome outcome = empty_outcome();
  CHECK(lock_acquire_with(client.get(), nullptr, -1, &outcome) == LOCK_ERROR_INVALID);
  CHECK(lock_acquire_with(client.get(), &request, -1, nullptr) == LOCK_ERROR_INVALID);
  request.size = 0;
  CHECK(lock_acquire_with(client.get(), &request, -1, &outcome) == LOCK_ERROR_INVALID);
  // Before there was an owner.
  request = request_for("jobs", LOCK_MODE_EX);
  request.size = offsetof(lock_request, owner);
  outcome.size = offsetof(lock_outcome, notes);
  outcome.notes = 99;
  CHECK(lock_acquire_with(client.get(), &request, -1, &outcome) == 0);
  CHECK(outcome.grant.token != 0);
  CHECK(outcome.notes == 99);
  CHECK(take(client, request_for("a", LOCK_MODE_EX, LOCK_FLAG_NOTIFY)).error == LOCK_ERROR_INVALID);
  CHECK(take(client, request_for("a", LOCK_MODE_EX, 0x80000000)).error == LOCK_ERROR_INVALID);
  CHECK(lock_release_with(client.get(), &outcome.grant, LOCK_FLAG_PERSISTENT, nullptr) ==
        LOCK_ERROR_INVALID);
}

TEST_CASE("orphans are dropped, or the error says why not") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  CHECK(lock_drop_orphans(client.get(), 0, 0) == 0);
  CHECK(lock_drop_orphans(client.get(), 9, 5) == LOCK_ERROR_PERMISSION);
  Outcome dropped;
  REQUIRE(lock_drop_orphans_async(client.get(), 1, 5, note_outcome, &dropped) == 0);
  REQUIRE(turn_until(client.get(), [&] { return dropped.calls == 1; }));
  CHECK(dropped.error == 0);
}
