// What the order makes of barriers: sessions, members, tokens and images around the barrier table.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/lockd/state_fixture.h"

namespace lockd {
namespace {

using barrier::Ending;
using barrier::OutcomeKey;
using barrier::Step;

const Processor kOne = daemon(1);
const Processor kTwo = daemon(2);
const barrier::Name kName{"space", "b"};

BarrierSettings of_count(std::uint32_t parties) {
  return {{parties, barrier::Unit::session, barrier::OnDeath::break_it, false}, true, 0};
}

base::Buffer bytes(const std::string& text) {
  const base::Bytes all = base::bytes_of(text);
  return {all.begin(), all.end()};
}

Effects arrive(Bench& bench, Client& c, const std::optional<BarrierSettings>& settings,
               const std::string& value = "") {
  return bench.apply(c.at, BarrierArrive{c.request(c.next++), kName, settings, bytes(value)});
}

Effects withdraw(Bench& bench, Client& c, std::uint64_t arrival) {
  return bench.apply(c.at, BarrierWithdraw{c.request(c.next++), kName, RequestId{arrival}});
}

Effects join(Bench& bench, Client& c) {
  return bench.apply(
      c.at, JoinLockspace{c.request(c.next++), JoinLockspace::Kind::create, 0666, kName.lockspace});
}

Status status(const Effects& effects) {
  return Bench::reply(effects).status;
}

const barrier::Outcome& outcome(const Bench& bench, const Effects& effects) {
  const barrier::Outcome* found =
      bench.state.barriers().find_outcome(only<BarrierEnded>(effects).at(0).key);
  REQUIRE(found != nullptr);
  return *found;
}

}  // namespace

TEST_CASE("the last arrival releases all, each told at its own daemon, with the values of all") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  const Effects first = arrive(bench, a, of_count(2), "A");
  CHECK(status(first) == Status::arrived);
  CHECK(only<BarrierOpened>(first).size() == 1);
  CHECK(only<BarrierEnded>(first).empty());
  bench.now_ring = ring(7);
  const Effects last = arrive(bench, b, of_count(2), "B");
  CHECK(status(last) == Status::arrived);
  const auto told = only<BarrierEnded>(last);
  REQUIRE(told.size() == 2);
  CHECK(told[0].at == kOne);
  CHECK(told[0].session == a.session);
  CHECK(told[0].generation == a.generation);
  CHECK(told[0].request == RequestId{1});
  CHECK(told[1].at == kTwo);
  const barrier::Outcome& released = outcome(bench, last);
  CHECK(released.ending == Ending::released);
  CHECK(released.ring == ring(7));
  REQUIRE(released.members.size() == 2);
  CHECK(released.members[0].value == bytes("A"));
  CHECK(released.members[1].value == bytes("B"));
  CHECK(bench.state.barriers().barriers() == 0);  // It was to be deleted.
}

TEST_CASE("a barrier is created by the first arrival, and another of its name is different") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  CHECK(status(arrive(bench, a, std::nullopt)) == Status::not_found);
  arrive(bench, a, of_count(2));
  CHECK(status(arrive(bench, b, of_count(3))) == Status::different);
  CHECK(status(arrive(bench, a, of_count(2))) == Status::already_arrived);
  CHECK(status(arrive(bench, b, std::nullopt)) == Status::arrived);
}

TEST_CASE("an arrival that is refused leaves no barrier behind") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  CHECK(status(arrive(bench, a, of_count(0))) == Status::not_member);
  CHECK(bench.state.barriers().barriers() == 0);
  CHECK(status(arrive(bench, a, of_count(100'000))) == Status::invalid);
}

TEST_CASE("who may not lock in a lockspace may not use its barriers") {
  Bench bench;
  Client owner = bench.client(kOne, 1, 7);
  Client other = bench.client(kOne, 2, 8);
  bench.apply(kOne, JoinLockspace{owner.request(owner.next++), JoinLockspace::Kind::create, 0600,
                                  kName.lockspace});
  CHECK(status(arrive(bench, other, of_count(2))) == Status::not_permitted);
  CHECK(status(arrive(bench, owner, of_count(2))) == Status::arrived);
  const Request request = other.request(other.next++);
  CHECK(status(bench.apply(kOne, BarrierCancel{request, kName})) == Status::not_permitted);
}

TEST_CASE("an arrival that comes again is answered again, and counts once") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kOne, 2);
  arrive(bench, a, of_count(2));
  a.next = 1;
  CHECK(status(arrive(bench, a, of_count(2))) == Status::arrived);
  CHECK(bench.state.barriers().find(kName)->entering->arrived == 1);
  const Effects last = arrive(bench, b, of_count(2));
  const OutcomeKey key = outcome(bench, last).key;
  a.next = 1;  // Its outcome is kept, and told by who asks for it.
  CHECK(status(arrive(bench, a, of_count(2))) == Status::arrived);
  bench.apply(kOne, BarrierAcknowledge{{{a.session, key}}});
  a.acknowledged = 1;
  a.next = 1;
  CHECK(status(arrive(bench, a, of_count(2))) == Status::already_answered);
  CHECK(bench.state.barriers().barriers() == 0);
}

TEST_CASE("a withdrawal answers the arrival too, or comes too late") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kOne, 2);
  arrive(bench, a, of_count(2));
  CHECK(status(withdraw(bench, a, 1)) == Status::cancelled);
  a.next = 1;
  CHECK(status(arrive(bench, a, of_count(2))) == Status::cancelled);
  a.next = 3;
  arrive(bench, a, of_count(2));
  arrive(bench, b, of_count(2));
  CHECK(status(withdraw(bench, a, 3)) == Status::too_late);
  CHECK(status(withdraw(bench, a, 9)) == Status::not_found);
}

TEST_CASE("an outcome is kept until each session has acknowledged it, through its own daemon") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  arrive(bench, a, of_count(2));
  const OutcomeKey key = outcome(bench, arrive(bench, b, of_count(2))).key;
  const std::vector<BarrierReceipt> both{{a.session, key}, {b.session, key}};
  bench.apply(kOne, BarrierAcknowledge{both});
  CHECK_FALSE(bench.state.barriers().is_owed(a.session, key));
  CHECK(bench.state.barriers().is_owed(b.session, key));
  REQUIRE(bench.reload());
  bench.apply(kTwo, BarrierAcknowledge{both});
  CHECK(bench.state.barriers().outcomes() == 0);
}

TEST_CASE("the end of a session breaks the barrier for the others, at once") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  arrive(bench, a, of_count(3));
  arrive(bench, b, of_count(3));
  const Effects closed = bench.apply(kOne, Close{a.session, a.generation});
  const auto told = only<BarrierEnded>(closed);
  REQUIRE(told.size() == 1);
  CHECK(told[0].session == b.session);
  const barrier::Outcome& broken = outcome(bench, closed);
  CHECK(broken.ending == Ending::participant_died);
  REQUIRE(broken.lost.size() == 1);
  CHECK(broken.lost[0].session == a.session);
}

TEST_CASE("an orphan's arrival stays until the wait for it is over") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  arrive(bench, a, of_count(2));
  bench.depart({{kOne, ring(1)}});
  const Effects last = arrive(bench, b, of_count(2));
  CHECK(outcome(bench, last).ending == Ending::released);
  // Nobody is there to be told, until it is resumed: then its outcome is kept for it.
  CHECK(bench.resume(kTwo, a, 2) == Resumed::Outcome::resumed);
  CHECK(bench.state.barriers().standing_of(a.session).at(0).kind == barrier::Standing::Kind::owed);
  CHECK(only<BarrierEnded>(bench.apply(kTwo, Expire{Mark{a.session, a.generation, ring(1)}}))
            .empty());
}

TEST_CASE("a dynamic barrier follows those who use the lockspace") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  join(bench, a);
  CHECK(only<BarrierEnded>(arrive(bench, a, of_count(0))).size() == 1);
  join(bench, b);
  CHECK(only<BarrierEnded>(arrive(bench, a, of_count(0))).empty());
  CHECK(only<BarrierEnded>(arrive(bench, b, of_count(0))).size() == 2);
  arrive(bench, a, of_count(0));
  Client c = bench.client(kTwo, 2);
  join(bench, c);
  CHECK(only<BarrierEnded>(arrive(bench, b, of_count(0))).empty());
  CHECK(outcome(bench, arrive(bench, c, of_count(0))).members.size() == 3);
}

TEST_CASE("who has ended is not waited for, though its locks are not freed yet") {
  StateLimits limits;
  limits.purge_step = 1;
  Bench bench(limits);
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  join(bench, a);
  join(bench, b);
  for (const char* name : {"x", "y", "z"}) bench.acquire(a, name);
  bench.apply(kOne, Close{a.session, a.generation});
  REQUIRE(bench.state.find(a.session) != nullptr);
  const Effects last = arrive(bench, b, of_count(0));
  REQUIRE(only<BarrierEnded>(last).size() == 1);
  CHECK(outcome(bench, last).ending == Ending::released);
}

TEST_CASE("a member node that departs breaks what counts nodes, in the ring of the ACTIVATE") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  join(bench, a);
  join(bench, b);
  BarrierSettings nodes = of_count(0);
  nodes.config.unit = barrier::Unit::node;
  arrive(bench, b, nodes);
  bench.now_ring = ring(9);
  const Effects departed = bench.depart({{kOne, ring(1)}});
  const barrier::Outcome& broken = outcome(bench, departed);
  CHECK(broken.ending == Ending::participant_died);
  CHECK(broken.ring == ring(9));
  CHECK(broken.lost.at(0).session == SessionId{});
  CHECK(broken.lost.at(0).at == kOne);
  CHECK(broken.membership == bench.state.lockspaces().find(kName.lockspace)->generation);
}

TEST_CASE("a lockspace that goes with its last member has nobody who could be waited for") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kOne, 2);
  join(bench, a);
  join(bench, b);
  const OutcomeKey key = only<BarrierOpened>(arrive(bench, a, of_count(0))).at(0).key;
  bench.depart({{kOne, ring(1)}});
  CHECK(bench.resume(kTwo, a, 2) == Resumed::Outcome::resumed);
  CHECK(bench.state.lockspaces().find(kName.lockspace) != nullptr);
  CHECK_FALSE(bench.state.barriers().is_owed(a.session, key));
  CHECK(bench.resume(kTwo, b, 2) == Resumed::Outcome::resumed);
  CHECK(bench.state.lockspaces().find(kName.lockspace) == nullptr);
  REQUIRE(bench.state.barriers().is_owed(a.session, key));
  CHECK(bench.state.barriers().find_outcome(key)->released());
}

TEST_CASE("a time-out breaks the step that it names, and no other") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  BarrierSettings settings = of_count(2);
  settings.patience = 100;
  const OutcomeKey key = only<BarrierOpened>(arrive(bench, a, settings)).at(0).key;
  CHECK(bench.state.barriers().find_open_step(key)->patience == 100);
  CHECK(bench.apply(kTwo, BarrierTimeOut{{key.generation, Step::leave}}).empty());
  const Effects over = bench.apply(kTwo, BarrierTimeOut{key});
  CHECK(outcome(bench, over).ending == Ending::timed_out);
  CHECK(bench.apply(kOne, BarrierTimeOut{key}).empty());
}

TEST_CASE("generations are drawn from the counter of tokens, also after a cold start") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  const Token before = bench.acquire(a, "x").token;
  const OutcomeKey key = only<BarrierOpened>(arrive(bench, a, of_count(2))).at(0).key;
  CHECK(base::value(key.generation) > base::value(before));
  CHECK(base::value(bench.acquire(a, "y").token) > base::value(key.generation));
  REQUIRE(bench.reload());
  bench.state.start_cold(ring(2), 1000, base::Duration{0});
  Client b = bench.client(kOne, 2);
  CHECK(base::value(only<BarrierOpened>(arrive(bench, b, of_count(2))).at(0).key.generation) >
        1000);
}

TEST_CASE("who leaves when the second step has broken is told so, by this request") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  BarrierSettings settings = of_count(2);
  settings.config.two_steps = true;
  arrive(bench, a, settings);
  const OutcomeKey entered = outcome(bench, arrive(bench, b, settings)).key;
  const auto broken = only<BarrierEnded>(bench.apply(kTwo, Close{b.session, b.generation}));
  REQUIRE(broken.size() == 1);
  CHECK(broken[0].request == RequestId{0});
  const std::uint64_t id = a.next++;
  const Effects left = bench.apply(kOne, BarrierLeave{a.request(id), entered.generation, {}});
  CHECK(status(left) == Status::arrived);
  REQUIRE(only<BarrierEnded>(left).size() == 1);
  CHECK(only<BarrierEnded>(left)[0].request == RequestId{id});
  CHECK(only<BarrierEnded>(left)[0].key == OutcomeKey{entered.generation, Step::leave});
}

TEST_CASE("barriers are kept, changed, cancelled and deleted by whoever may use the lockspace") {
  Bench bench;
  Client a = bench.client(kOne, 1);
  Client b = bench.client(kTwo, 1);
  BarrierSettings kept = of_count(2);
  kept.auto_delete = false;
  const auto ask = [&](auto command) {
    command.request = b.request(b.next++);
    return bench.apply(kTwo, command);
  };
  CHECK(status(ask(BarrierChange{{}, kName, barrier::Attribute::parties, 3})) == Status::not_found);
  CHECK(status(ask(BarrierCreate{{}, kName, kept})) == Status::done);
  CHECK(status(ask(BarrierCreate{{}, kName, of_count(3)})) == Status::different);
  CHECK(status(ask(BarrierCancel{{}, kName})) == Status::not_open);
  CHECK(status(ask(BarrierChange{{}, kName, barrier::Attribute::parties, 3})) == Status::done);
  arrive(bench, a, std::nullopt);
  CHECK(status(ask(BarrierChange{{}, kName, barrier::Attribute::parties, 2})) == Status::in_use);
  CHECK(status(ask(BarrierDelete{{}, kName, false})) == Status::in_use);
  const Effects cancelled = ask(BarrierCancel{{}, kName});
  CHECK(outcome(bench, cancelled).ending == Ending::cancelled);
  arrive(bench, a, std::nullopt);
  CHECK(outcome(bench, ask(BarrierDelete{{}, kName, true})).ending == Ending::deleted);
  CHECK(status(ask(BarrierDelete{{}, kName, true})) == Status::not_found);
}

TEST_CASE("a snapshot in which a session that is not known takes part is refused") {
  Bench bench;
  bench.state.start_cold(ring(1), 0x1122334455667788, base::Duration{0});
  Client a = bench.client(kOne, 1);
  arrive(bench, a, of_count(2));
  base::Buffer image;
  bench.state.serialize(image);
  REQUIRE(State::deserialize(image).has_value());
  // Its number in the barrier table, which comes behind the sessions.
  base::Buffer id;
  base::ByteWriter(id).u64(base::value(a.session));
  const auto last = std::find_end(image.begin(), image.end(), id.begin(), id.end());
  REQUIRE(last != image.end());
  *last ^= std::byte{0x40};
  CHECK_FALSE(State::deserialize(image).has_value());
}

}  // namespace lockd
