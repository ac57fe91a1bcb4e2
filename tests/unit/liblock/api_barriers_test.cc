#include <liblock/barrier.h>
#include <liblock/lockspace.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/liblock/api.h"

using namespace liblock_test;

namespace {

struct FreeOutcome {
  void operator()(lock_barrier_outcome* outcome) const { lock_barrier_outcome_free(outcome); }
};
using BarrierOutcome = std::unique_ptr<lock_barrier_outcome, FreeOutcome>;

lock_barrier barrier_of(unsigned parties, unsigned flags = 0, const char* name = "loaded") {
  lock_barrier barrier{};
  barrier.size = sizeof barrier;
  barrier.name = name;
  barrier.name_len = std::strlen(name);
  barrier.parties = parties;
  barrier.flags = flags;
  return barrier;
}

struct Answered {
  int error = 1;
  BarrierOutcome outcome;
};

Answered wait(const Client& client, const lock_barrier& barrier, const std::string& value = "",
              int timeout_ms = 60'000) {
  Answered answered;
  lock_barrier_outcome* outcome = nullptr;
  answered.error =
      lock_barrier_wait(client.get(), &barrier, value.data(), value.size(), timeout_ms, &outcome);
  answered.outcome.reset(outcome);
  return answered;
}

std::uint64_t arrive(const Client& client, const lock_barrier& barrier) {
  std::uint64_t arrival = 0;
  REQUIRE(lock_barrier_arrive(client.get(), &barrier, "v", 1, &arrival) == 0);
  return arrival;
}

Answered await(const Client& client, std::uint64_t arrival, int timeout_ms = 60'000) {
  Answered answered;
  lock_barrier_outcome* outcome = nullptr;
  answered.error = lock_barrier_await(client.get(), arrival, timeout_ms, &outcome);
  answered.outcome.reset(outcome);
  return answered;
}

Answered leave(const Client& client, std::uint64_t generation, int timeout_ms = 60'000) {
  Answered answered;
  lock_barrier_outcome* outcome = nullptr;
  answered.error = lock_barrier_leave(client.get(), generation, "bye", 3, timeout_ms, &outcome);
  answered.outcome.reset(outcome);
  return answered;
}

// Two clients that have been released into a barrier with two steps.
std::uint64_t enter(const Client& one, const Client& other) {
  const lock_barrier barrier = barrier_of(2, LOCK_BARRIER_TWO_STEPS);
  const std::uint64_t arrival = arrive(one, barrier);
  const Answered answered = wait(other, barrier);
  REQUIRE(answered.error == 0);
  REQUIRE(await(one, arrival).error == 0);
  return answered.outcome->generation;
}

struct Told {
  int calls = 0;
  std::uint64_t arrival = 77;
  int error = 1;
  std::vector<std::string> values;
  int ending = -1;
};

void note_told(lock_client*, std::uint64_t arrival, int error, const lock_barrier_outcome* outcome,
               void* arg) {
  auto& told = *static_cast<Told*>(arg);
  ++told.calls;
  told.arrival = arrival;
  told.error = error;
  if (outcome == nullptr) return;
  told.ending = outcome->ending;
  for (std::size_t i = 0; i < outcome->members_len; ++i) {
    told.values.emplace_back(static_cast<const char*>(outcome->members[i].value),
                             outcome->members[i].value_len);
  }
}

void note_broken(lock_client*, const lock_barrier_outcome* outcome, void* arg) {
  auto& told = *static_cast<Told*>(arg);
  ++told.calls;
  told.ending = outcome->ending;
}

// One that a C program can pass, and has no name.
template <typename Enum>
Enum no_number(unsigned number) {
  return static_cast<Enum>(number);
}

bool outcomes_fall_to(FakeDaemon& daemon, const Client& client, std::size_t count) {
  return turn_until(client.get(), [&] { return daemon.outcomes() == count; });
}

}  // namespace

TEST_CASE("all who wait are released when the last one has come, and are told the same") {
  FakeDaemon daemon;
  const Client one = connected(daemon);
  const Client two = connected(daemon);
  const Client three = connected(daemon);
  const lock_barrier barrier = barrier_of(3);
  Answered answered[3];
  std::thread first([&] { answered[0] = wait(one, barrier, "first"); });
  std::thread second([&] { answered[1] = wait(two, barrier, "second"); });
  answered[2] = wait(three, barrier, std::string(LOCK_BARRIER_VALUE_MAX, '3'));
  first.join();
  second.join();
  for (const Answered& each : answered) {
    REQUIRE(each.error == 0);
    const lock_barrier_outcome& outcome = *each.outcome;
    CHECK(outcome.size == sizeof outcome);
    CHECK(outcome.ending == LOCK_BARRIER_RELEASED);
    CHECK(outcome.step == LOCK_BARRIER_ENTER);
    CHECK(outcome.generation == answered[0].outcome->generation);
    CHECK(outcome.generation > 0);
    CHECK(outcome.membership == 1);
    CHECK(outcome.losses == 0);
    CHECK(outcome.lost_len == 0);
    REQUIRE(outcome.members_len == 3);
    CHECK(outcome.members[0].node == 1);
    CHECK(outcome.members[0].session < outcome.members[1].session);
  }
  CHECK(answered[0].outcome->self == answered[2].outcome->members[0].session);
  const lock_barrier_member& last = answered[0].outcome->members[2];
  CHECK(last.session == answered[2].outcome->self);
  CHECK(std::string(static_cast<const char*>(last.value), last.value_len) ==
        std::string(LOCK_BARRIER_VALUE_MAX, '3'));
  CHECK(outcomes_fall_to(daemon, one, 0));  // All have confirmed.
}

TEST_CASE("an outcome in many parts is told as one") {
  FakeDaemon daemon;
  daemon.tell_members_by(1);
  std::vector<Client> clients;
  std::vector<std::uint64_t> arrivals;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(connected(daemon));
    arrivals.push_back(arrive(clients.back(), barrier_of(5)));
  }
  for (std::size_t i = 0; i < 5; ++i) {
    const Answered answered = await(clients[i], arrivals[i]);
    REQUIRE(answered.error == 0);
    CHECK(answered.outcome->members_len == 5);
  }
  CHECK(outcomes_fall_to(daemon, clients[0], 0));
}

TEST_CASE("who arrives can look for the outcome later, once") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  const Client other = connected(daemon);
  const std::uint64_t arrival = arrive(client, barrier_of(2));
  CHECK(await(client, arrival, 0).error == LOCK_ERROR_BUSY);
  CHECK(await(other, arrival, 0).error == LOCK_ERROR_NOT_HELD);
  CHECK(wait(client, barrier_of(2)).error == LOCK_ERROR_IN_PROGRESS);
  CHECK(wait(other, barrier_of(2)).error == 0);
  CHECK(lock_barrier_await(client.get(), arrival, -1, nullptr) == 0);
  CHECK(await(client, arrival).error == LOCK_ERROR_NOT_HELD);
}

TEST_CASE("the death of one who waits breaks the barrier for the others, and is named") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  Client other = connected(daemon);
  const std::uint64_t first = arrive(client, barrier_of(3));
  std::uint64_t arrival = arrive(other, barrier_of(3));
  CHECK(await(other, arrival, 0).error == LOCK_ERROR_BUSY);
  REQUIRE(turn_until(client.get(), [&] {
    return wait(other, barrier_of(3)).error == LOCK_ERROR_IN_PROGRESS;  // It is there.
  }));
  other.reset();
  const Answered answered = await(client, first);
  CHECK(answered.error == LOCK_ERROR_BROKEN);
  REQUIRE(answered.outcome != nullptr);
  CHECK(answered.outcome->ending == LOCK_BARRIER_DIED);
  CHECK(answered.outcome->losses == 1);
  REQUIRE(answered.outcome->lost_len == 1);
  CHECK(answered.outcome->lost[0].session != answered.outcome->self);
  CHECK(answered.outcome->lost[0].node == 1);
}

TEST_CASE("who waited long enough takes the arrival back, and counts for nobody") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  const Answered answered = wait(client, barrier_of(2), "", 0);
  CHECK(answered.error == LOCK_ERROR_TIMEOUT);
  CHECK(answered.outcome == nullptr);
  const Client other = connected(daemon);
  CHECK(wait(other, barrier_of(2), "", 1).error == LOCK_ERROR_TIMEOUT);
  const std::uint64_t arrival = arrive(client, barrier_of(2));
  CHECK(await(client, arrival, 1).error == LOCK_ERROR_TIMEOUT);
  CHECK(await(client, arrival, 1).error == LOCK_ERROR_NOT_HELD);
}

TEST_CASE("an arrival is withdrawn by whoever has its number") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  const std::uint64_t arrival = arrive(client, barrier_of(2));
  CHECK(lock_barrier_withdraw(client.get(), arrival) == 0);
  CHECK(await(client, arrival).error == LOCK_ERROR_CANCELLED);
  CHECK(lock_barrier_withdraw(client.get(), arrival) == LOCK_ERROR_NOT_HELD);
  CHECK(lock_barrier_withdraw(client.get(), 12345) == LOCK_ERROR_NOT_HELD);
}

TEST_CASE("without a quorum nobody knows what became of an arrival that was given up") {
  FakeDaemon daemon;
  const Client client = connected(daemon, 200);
  const Client other = connected(daemon);
  daemon.primary = false;
  const int error = wait(client, barrier_of(2), "", 1).error;
  CHECK((error == LOCK_ERROR_DAEMON_GONE || error == LOCK_ERROR_NOT_QUORATE));

  // The library goes on taking it back.
  daemon.primary = true;
  for (const char* name : {"one", "two"}) {  // Before the second one all that waited is answered.
    lock_grant grant{};
    CHECK(turn_until(client.get(), [&] { return acquire(client, name, 10'000, grant) == 0; }));
  }
  CHECK(wait(other, barrier_of(2), "", 1).error == LOCK_ERROR_TIMEOUT);
}

TEST_CASE("an arrival outlives the daemon's restart, and the outcome is told once") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  const Client other = connected(daemon);
  const std::uint64_t arrival = arrive(client, barrier_of(2));
  CHECK(wait(client, barrier_of(2)).error == LOCK_ERROR_IN_PROGRESS);
  daemon.stop();
  CHECK(await(client, arrival, 0).error == LOCK_ERROR_BUSY);
  daemon.start();
  CHECK(wait(other, barrier_of(2)).error == 0);
  CHECK(await(client, arrival).error == 0);
  CHECK(outcomes_fall_to(daemon, client, 0));
}

TEST_CASE("with the session ends what it waits for") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  const std::uint64_t arrival = arrive(client, barrier_of(2));
  CHECK(wait(client, barrier_of(2)).error == LOCK_ERROR_IN_PROGRESS);
  daemon.forget_sessions();
  const Answered answered = await(client, arrival);
  CHECK(answered.error == LOCK_ERROR_LOST);
  CHECK(answered.outcome == nullptr);
}

TEST_CASE("callbacks are told the outcome in dispatch, once") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  const Client other = connected(daemon);
  const lock_barrier barrier = barrier_of(2, LOCK_BARRIER_TWO_STEPS);
  Told told;
  std::uint64_t arrival = 0;
  REQUIRE(lock_barrier_wait_async(client.get(), &barrier, "one", 3, note_told, &told, &arrival) ==
          0);
  CHECK(await(client, arrival, 0).error == LOCK_ERROR_NOT_HELD);
  const Answered answered = wait(other, barrier, "two");
  REQUIRE(answered.error == 0);
  REQUIRE(turn_until(client.get(), [&] { return told.calls > 0; }));
  CHECK(told.error == 0);
  CHECK(told.arrival == arrival);
  CHECK(told.values == std::vector<std::string>{"one", "two"});

  Told left;
  const std::uint64_t generation = answered.outcome->generation;
  REQUIRE(lock_barrier_leave_async(client.get(), generation, nullptr, 0, note_told, &left) == 0);
  CHECK(leave(other, generation).error == 0);
  REQUIRE(turn_until(client.get(), [&] { return left.calls > 0; }));
  CHECK(left.error == 0);
  CHECK(left.arrival == 0);
  CHECK(told.calls == 1);

  Told withdrawn;
  REQUIRE(lock_barrier_wait_async(client.get(), &barrier, "", 0, note_told, &withdrawn, &arrival) ==
          0);
  CHECK(lock_barrier_withdraw(client.get(), arrival) == 0);
  REQUIRE(turn_until(client.get(), [&] { return withdrawn.calls > 0; }));
  CHECK(withdrawn.error == LOCK_ERROR_CANCELLED);
  CHECK(withdrawn.ending == -1);
}

TEST_CASE("who was released is inside until all have left") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  const Client other = connected(daemon);
  const std::uint64_t generation = enter(client, other);
  CHECK(wait(client, barrier_of(2, LOCK_BARRIER_TWO_STEPS)).error == LOCK_ERROR_IN_PROGRESS);
  CHECK(leave(client, generation, 0).error == LOCK_ERROR_TIMEOUT);  // And has left.
  CHECK(leave(client, generation, 1).error == LOCK_ERROR_TIMEOUT);
  const Answered answered = leave(other, generation);
  CHECK(answered.error == 0);
  CHECK(answered.outcome->step == LOCK_BARRIER_LEAVE);
  const Answered again = leave(client, generation);
  CHECK(again.error == 0);
  CHECK(again.outcome->generation == generation);
  CHECK(leave(client, generation).error == LOCK_ERROR_NOT_FOUND);
  CHECK(outcomes_fall_to(daemon, client, 0));
}

TEST_CASE("who is inside hears that it broke, and again when it leaves") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  Client other = connected(daemon);
  Told told;
  CHECK(lock_on_barrier_broken(client.get(), note_broken, &told) == 0);
  std::uint64_t generation = enter(client, other);
  other.reset();
  REQUIRE(turn_until(client.get(), [&] { return told.calls > 0; }));
  CHECK(told.ending == LOCK_BARRIER_DIED);
  const Answered answered = leave(client, generation);
  CHECK(answered.error == LOCK_ERROR_BROKEN);
  CHECK(answered.outcome->step == LOCK_BARRIER_LEAVE);
  CHECK(answered.outcome->ending == LOCK_BARRIER_DIED);

  // Who has heard of it by leaving is not told again.
  const Client third = connected(daemon);
  generation = enter(client, third);
  const lock_barrier barrier = barrier_of(2);
  CHECK(lock_barrier_cancel(third.get(), &barrier) == 0);
  CHECK(lock_barrier_cancel(client.get(), &barrier) == LOCK_ERROR_NOT_FOUND);  // And has read it.
  CHECK(leave(client, generation).error == LOCK_ERROR_BROKEN);
  CHECK(lock_dispatch(client.get()) == 0);
  CHECK(told.calls == 1);
  CHECK(lock_on_barrier_broken(client.get(), nullptr, nullptr) == 0);
}

TEST_CASE("a session that ended inside is told so") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  const Client other = connected(daemon);
  const std::uint64_t generation = enter(client, other);
  daemon.forget_sessions();
  Losses losses;
  lock_on_lost(client.get(), note_loss, &losses);
  REQUIRE(turn_until(client.get(), [&] { return losses.sessions == 1; }));
  CHECK(leave(client, generation).error == LOCK_ERROR_LOST);
}

TEST_CASE("barriers that are kept are created, changed, listed, and deleted") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  const Client other = connected(daemon);
  lock_barrier barrier = barrier_of(2, LOCK_BARRIER_KEEP);
  barrier.patience_ms = 5000;
  CHECK(lock_barrier_cancel(client.get(), &barrier) == LOCK_ERROR_NOT_FOUND);
  CHECK(lock_barrier_create(client.get(), &barrier) == 0);
  CHECK(lock_barrier_create(client.get(), &barrier) == 0);
  CHECK(lock_barrier_cancel(client.get(), &barrier) == LOCK_ERROR_NOT_FOUND);
  const lock_barrier wrong = barrier_of(3);
  CHECK(lock_barrier_create(client.get(), &wrong) == LOCK_ERROR_DIFFERENT);
  CHECK(wait(client, wrong).error == LOCK_ERROR_DIFFERENT);
  CHECK(lock_barrier_change(client.get(), &barrier, LOCK_BARRIER_ATTRIBUTE_PARTIES, 3) == 0);
  CHECK(lock_barrier_change(client.get(), &barrier, LOCK_BARRIER_ATTRIBUTE_PATIENCE_MS, 70) == 0);
  lock_barrier second = barrier_of(1, LOCK_BARRIER_KEEP | LOCK_BARRIER_TWO_STEPS);
  second.lockspace = "space";
  second.unit = LOCK_BARRIER_NODES;
  CHECK(lock_barrier_create(client.get(), &second) == 0);

  const std::uint64_t arrival = arrive(other, wrong);
  CHECK(await(other, arrival, 0).error == LOCK_ERROR_BUSY);
  CHECK(wait(other, wrong).error == LOCK_ERROR_IN_PROGRESS);
  CHECK(lock_barrier_change(client.get(), &barrier, LOCK_BARRIER_ATTRIBUTE_PARTIES, 4) ==
        LOCK_ERROR_BUSY);
  std::vector<std::string> seen;
  const auto see = [](const lock_barrier_item* item, void* arg) {
    static_cast<std::vector<std::string>*>(arg)->push_back(
        std::string(item->about.lockspace) + "/" + static_cast<const char*>(item->about.name) +
        " " + std::to_string(item->about.parties) + " " + std::to_string(item->about.unit) + " " +
        std::to_string(item->about.flags) + " " + std::to_string(item->about.patience_ms) + " " +
        std::to_string(item->entering.arrived) + "+" + std::to_string(item->entering.missing) +
        " " + (item->inside.generation == 0 ? "out" : "in"));
    return 0;
  };
  CHECK(lock_barriers(client.get(), nullptr, see, &seen) == 0);
  CHECK(seen == std::vector<std::string>{"default/loaded 3 0 2 70 1+2 out",
                                         "space/loaded 1 1 3 0 0+0 out"});
  seen.clear();
  CHECK(lock_barriers(client.get(), "space", see, &seen) == 0);
  CHECK(seen.size() == 1);
  const auto stop = [](const lock_barrier_item*, void*) { return 5; };
  CHECK(lock_barriers(client.get(), nullptr, stop, nullptr) == 5);

  CHECK(lock_barrier_delete(client.get(), &barrier, 0) == LOCK_ERROR_BUSY);
  CHECK(lock_barrier_delete(client.get(), &barrier, 1) == 0);
  const Answered deleted = await(other, arrival);
  CHECK(deleted.error == LOCK_ERROR_BROKEN);
  CHECK(deleted.outcome->ending == LOCK_BARRIER_DELETED);
  CHECK(lock_barrier_delete(client.get(), &barrier, 0) == LOCK_ERROR_NOT_FOUND);

  // What is not kept any more is gone now: nobody is there.
  CHECK(lock_barrier_change(client.get(), &second, LOCK_BARRIER_ATTRIBUTE_KEEP, 0) == 0);
  seen.clear();
  CHECK(lock_barriers(client.get(), "space", see, &seen) == 0);
  CHECK(seen.size() <= 1);
}

TEST_CASE("a barrier over all members needs a member") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  CHECK(wait(client, barrier_of(0)).error == LOCK_ERROR_NOT_JOINED);
}

TEST_CASE("a client has so many outcomes, also those that nobody has looked for") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  std::vector<std::uint64_t> arrivals;
  for (int i = 0; i < 64; ++i) {
    arrivals.push_back(arrive(client, barrier_of(1, 0, std::to_string(i).c_str())));
  }
  const lock_barrier more = barrier_of(1);
  std::uint64_t arrival = 0;
  CHECK(lock_barrier_arrive(client.get(), &more, nullptr, 0, &arrival) == LOCK_ERROR_LIMIT);
  CHECK(await(client, arrivals.back()).error == 0);  // The others have come before.
  CHECK(lock_barrier_arrive(client.get(), &more, nullptr, 0, &arrival) == 0);
  CHECK(wait(client, more).error == LOCK_ERROR_LIMIT);
  Told told;
  CHECK(lock_barrier_wait_async(client.get(), &more, nullptr, 0, note_told, &told, nullptr) ==
        LOCK_ERROR_LIMIT);
}

TEST_CASE("what is no barrier is refused") {
  FakeDaemon daemon;
  const Client client = connected(daemon);
  const auto refused = [&](const lock_barrier& barrier, const void* value = nullptr,
                           std::size_t len = 0) {
    const bool waits =
        lock_barrier_wait(client.get(), &barrier, value, len, 0, nullptr) == LOCK_ERROR_INVALID;
    return waits && (len > 0 || lock_barrier_create(client.get(), &barrier) == LOCK_ERROR_INVALID);
  };
  const auto with = [](auto change) {
    lock_barrier barrier = barrier_of(2);
    change(barrier);
    return barrier;
  };
  CHECK(refused(with([](lock_barrier& of) { of.size = 4; })));
  CHECK(refused(with([](lock_barrier& of) { of.name = nullptr; })));
  CHECK(refused(with([](lock_barrier& of) { of.lockspace = ""; })));
  CHECK(refused(with([](lock_barrier& of) { of.parties = 4097; })));
  CHECK(refused(with([](lock_barrier& of) { of.unit = no_number<lock_barrier_unit>(2); })));
  CHECK(refused(with([](lock_barrier& of) { of.on_death = no_number<lock_barrier_on_death>(3); })));
  CHECK(refused(with([](lock_barrier& of) { of.on_death = LOCK_BARRIER_SHRINK; })));
  CHECK(refused(with([](lock_barrier& of) { of.flags = 4; })));
  const std::string value(LOCK_BARRIER_VALUE_MAX + 1, 'v');
  CHECK(refused(barrier_of(2), value.data(), value.size()));
  CHECK(refused(barrier_of(2), nullptr, 1));
  const lock_barrier barrier = barrier_of(2);
  std::uint64_t arrival = 0;
  CHECK(lock_barrier_wait(client.get(), nullptr, nullptr, 0, 0, nullptr) == LOCK_ERROR_INVALID);
  CHECK(lock_barrier_arrive(client.get(), &barrier, nullptr, 0, nullptr) == LOCK_ERROR_INVALID);
  CHECK(lock_barrier_wait_async(client.get(), &barrier, nullptr, 0, nullptr, nullptr, &arrival) ==
        LOCK_ERROR_INVALID);
  CHECK(lock_barrier_leave_async(client.get(), 1, nullptr, 0, nullptr, nullptr) ==
        LOCK_ERROR_INVALID);
  CHECK(lock_barrier_change(client.get(), &barrier, no_number<lock_barrier_attribute>(3), 0) ==
        LOCK_ERROR_INVALID);
  CHECK(lock_barrier_change(client.get(), &barrier, LOCK_BARRIER_ATTRIBUTE_KEEP, 2) ==
        LOCK_ERROR_INVALID);
  CHECK(lock_barriers(client.get(), nullptr, nullptr, nullptr) == LOCK_ERROR_INVALID);
  lock_barrier_outcome_free(nullptr);
}
