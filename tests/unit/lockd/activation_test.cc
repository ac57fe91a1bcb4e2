#include "lockd/activation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>

namespace lockd {
namespace {

using namespace std::chrono_literals;
using base::Processor;

Processor life(std::uint32_t node, std::uint64_t incarnation = 1) {
  return {base::NodeId{node}, base::Incarnation{incarnation}};
}
RingId ring(std::uint64_t n) {
  return {n, base::NodeId{1}, n * 1000};
}
Epoch epoch(std::uint64_t number, std::uint64_t n) {
  return {number, ring(n)};
}
Attempt attempt(std::uint64_t number, std::uint64_t n, std::vector<Processor> members) {
  return {epoch(number, n), std::move(members)};
}

// A ring of some of five nodes, and what each says.
struct Scene {
  ReplicaConfig config;
  evs::Configuration here;
  Exchanges told;

  Scene() {
    for (std::uint32_t i = 1; i <= 5; ++i) {
      config.nodes.push_back({base::NodeId{i}, 1, false});
    }
    config.self = base::NodeId{1};
    here.id = ring(100);
  }

  Exchange& member(std::uint32_t node, std::uint64_t incarnation = 1) {
    here.members.push_back(life(node, incarnation));
    std::sort(here.members.begin(), here.members.end());
    Exchange& exchange = told[life(node, incarnation)];
    exchange.fingerprint = config.fingerprint();
    exchange.lease = 2s;
    exchange.record.emplace();
    return exchange;
  }

  base::Result<Choice, NoChoice> choose() const { return lockd::choose(config, here, told); }
};

void holds(Exchange& exchange, const Epoch& of, std::uint64_t chain, bool regular = true) {
  exchange.table.emplace();
  exchange.table->label = {of, chain};
  exchange.delivered.push_back({attempt(of.number, of.ring.sequence, {}), regular});
}

TEST_CASE("nobody ever promised anything: a cold start without a wait") {
  Scene scene;
  scene.member(1);
  scene.member(2);
  scene.member(3);
  const auto choice = scene.choose();
  REQUIRE(choice.has_value());
  CHECK_FALSE(choice->donor.has_value());
  CHECK(choice->attempt == Epoch{1, scene.here.id});
  CHECK(choice->token_base == 1);
  CHECK(choice->cold_lease == 0s);
  CHECK(choice->lease_max == 2s);
  CHECK(choice->holders.size() == 3);
}

TEST_CASE("less than a majority of configured votes chooses nothing") {
  Scene scene;
  scene.member(1);
  scene.member(2);
  CHECK(scene.choose().error() == NoChoice::no_quorum);
}

TEST_CASE("an amnesiac is a member without a vote") {
  Scene scene;
  scene.member(1);
  scene.member(2);
  scene.member(3).record.reset();
  CHECK(scene.choose().error() == NoChoice::no_quorum);
  scene.member(4).record->role = RecordRole::amnesiac;
  CHECK(scene.choose().error() == NoChoice::no_quorum);
  scene.member(5);
  CHECK(scene.choose().has_value());
}

TEST_CASE("a member of another configuration stops the round") {
  Scene scene;
  scene.member(1);
  scene.member(2);
  scene.member(3).fingerprint ^= 1;
  CHECK(scene.choose().error() == NoChoice::different_configuration);
}

TEST_CASE("the table of the highest epoch donates, and all of its chain hold it") {
  Scene scene;
  holds(scene.member(1), epoch(5, 50), 0);
  holds(scene.member(2), epoch(6, 60), 9);
  holds(scene.member(3), epoch(6, 60), 9);
  scene.told.at(life(2)).table->departures = {{life(1), ring(60)}};
  scene.told.at(life(3)).table->departures = {{life(1), ring(60)}};
  const auto choice = scene.choose();
  REQUIRE(choice.has_value());
  CHECK(choice->donor == Label{epoch(6, 60), 9});
  CHECK(choice->holders == std::vector{life(2), life(3)});
  CHECK(choice->departures == std::vector<Departure>{{life(1), ring(60)}});
  CHECK(choice->attempt.number == 7);
}

TEST_CASE("an older table never donates for an epoch that is known [rule 7.B2]") {
  Scene scene;
  holds(scene.member(1), epoch(5, 50), 0);
  scene.member(2).record->last_active = epoch(6, 60);
  scene.member(3);
  const auto choice = scene.choose();
  REQUIRE(choice.has_value());
  CHECK_FALSE(choice->donor.has_value());
}

TEST_CASE(
    "of two chains of one epoch that with more votes donates, then that with the lower node") {
  Scene scene;
  holds(scene.member(1), epoch(6, 60), 1);
  holds(scene.member(2), epoch(6, 60), 2);
  holds(scene.member(3), epoch(6, 60), 2);
  CHECK(scene.choose()->donor == Label{epoch(6, 60), 2});
  CHECK(scene.choose()->holders == std::vector{life(2), life(3)});
  holds(scene.member(4), epoch(6, 60), 1);
  CHECK(scene.choose()->donor == Label{epoch(6, 60), 1});
}

TEST_CASE(
    "a member of an attempt that did not deliver its ACTIVATE refutes it, and the table before it "
    "stands") {
  Scene scene;
  holds(scene.member(1), epoch(5, 50), 3);
  scene.member(2).record->attempts = {attempt(6, 60, {life(1), life(2), life(3)})};
  scene.member(3);
  const auto choice = scene.choose();
  REQUIRE(choice.has_value());
  CHECK(choice->refuted == 1);
  CHECK(choice->donor == Label{epoch(5, 50), 3});
  CHECK(choice->attempt.number == 7);  // The number is used up all the same.
  CHECK(choice->last_active == epoch(5, 50));
  CHECK(choice->unrefuted.empty());
}

TEST_CASE("an attempt that nobody can refute counts as active [rule 6.11]") {
  Scene scene;
  holds(scene.member(1), epoch(5, 50), 3);
  // Member 2 was in the attempt in an earlier life; 1 was not in it.
  scene.member(2, 2).record->attempts = {attempt(6, 60, {life(2, 1), life(3), life(4)})};
  scene.member(3, 7);
  const auto choice = scene.choose();
  REQUIRE(choice.has_value());
  CHECK(choice->refuted == 0);
  CHECK_FALSE(choice->donor.has_value());
}

TEST_CASE("only a member of that ring refutes: two attempts can have one number [rule 6.11]") {
  Scene scene;
  // {1,2,3} tried 6 in ring 60; {3,4,5} in ring 61, which became active. 3 has restarted.
  holds(scene.member(1), epoch(5, 50), 3);
  scene.told.at(life(1)).record->attempts = {attempt(6, 60, {life(1), life(2), life(3)})};
  holds(scene.member(2), epoch(5, 50), 3);
  scene.member(3, 2).record->attempts = {attempt(6, 61, {life(3), life(4), life(5)})};
  const auto choice = scene.choose();
  REQUIRE(choice.has_value());
  CHECK(choice->refuted == 1);
  CHECK_FALSE(choice->donor.has_value());
  CHECK(choice->unrefuted.back().epoch == epoch(6, 61));
}

TEST_CASE(
    "who delivered the ACTIVATE does not refute, though only in a transitional configuration") {
  Scene scene;
  holds(scene.member(1), epoch(5, 50), 3);
  const Attempt six = attempt(6, 60, {life(1), life(2), life(4)});
  scene.told.at(life(1)).delivered.push_back({six, false});
  scene.member(2, 2).record->attempts = {six};
  scene.member(3);
  CHECK_FALSE(scene.choose()->donor.has_value());
}

TEST_CASE("an epoch known active is refuted by nobody") {
  Scene scene;
  holds(scene.member(1), epoch(5, 50), 3);
  const Attempt six = attempt(6, 60, {life(1), life(2), life(3)});
  scene.member(2).delivered.push_back({six, true});
  scene.member(3);
  const auto choice = scene.choose();
  CHECK_FALSE(choice->donor.has_value());
  CHECK(choice->last_active == epoch(6, 60));
}

TEST_CASE("a complete table makes its own label stand [rule 8.C2]") {
  Scene scene;
  const Attempt six = attempt(6, 60, {life(1), life(2), life(3)});
  holds(scene.member(1), epoch(6, 60), 3, false);
  holds(scene.member(2), epoch(6, 60), 3, false);
  scene.told.at(life(1)).delivered = {{six, false}};
  scene.told.at(life(2)).delivered = {{six, false}};
  scene.member(3).record->attempts = {six};  // Was there, delivered nothing.
  const auto choice = scene.choose();
  CHECK(choice->refuted == 0);
  CHECK(choice->donor == Label{epoch(6, 60), 3});
}

TEST_CASE("a processor that forgot which ACTIVATEs it delivered refutes none of them") {
  Scene scene;
  holds(scene.member(1), epoch(5, 50), 3);
  scene.member(2, 2).record->attempts = {attempt(6, 60, {life(2, 1), life(3)})};
  scene.member(3).forgotten = 6;
  CHECK_FALSE(scene.choose()->donor.has_value());
}

TEST_CASE("voters write every attempt that still stands besides their own [rule 8.C1]") {
  Scene scene;
  scene.member(1).record->last_active = epoch(4, 40);
  scene.told.at(life(1)).record->attempts = {attempt(5, 50, {life(4)})};
  scene.member(2).record->attempts = {attempt(3, 30, {life(4)}), attempt(6, 60, {life(5)})};
  scene.member(3);
  const auto choice = scene.choose();
  CHECK(choice->last_active == epoch(4, 40));
  CHECK(choice->unrefuted == std::vector{attempt(5, 50, {life(4)}), attempt(6, 60, {life(5)})});
}

TEST_CASE("nothing is attempted when a record has no room for one more attempt") {
  Scene scene;
  scene.member(1);
  scene.member(2);
  Exchange& third = scene.member(3);
  for (std::uint64_t i = 1; i < kRecordAttemptsMax; ++i) {
    third.record->attempts.push_back(attempt(i, i, {life(4)}));
  }
  CHECK(scene.choose().has_value());
  scene.told.at(life(2)).record->attempts = {attempt(100, 60, {life(5)})};
  CHECK(scene.choose().error() == NoChoice::record_full);
}

TEST_CASE("fencing tokens begin above every ceiling and the donor's counter [rule 7.C]") {
  Scene scene;
  holds(scene.member(1), epoch(5, 50), 3);
  scene.told.at(life(1)).table->next_token = 70;
  scene.member(2).record->token_ceiling = 200;
  scene.member(3).record.reset();
  scene.member(4).record->token_ceiling = 90;
  CHECK(scene.choose()->token_base == 201);
  scene.told.at(life(1)).table->next_token = 300;
  CHECK(scene.choose()->token_base == 301);
}

TEST_CASE(
    "a cold start waits for the longest lease on record; the next one for those of the members "
    "too") {
  Scene scene;
  scene.member(1).record->lease_max = 7s;
  scene.member(2).lease = 9s;
  scene.member(3);
  CHECK(scene.choose()->cold_lease == 7s);
  CHECK(scene.choose()->lease_max == 9s);
}

Round round_of(const Scene& scene) {
  Round round(scene.config, scene.here);
  for (const auto& [processor, exchange] : scene.told) {
    round.add(processor, Exchange(exchange));
  }
  return round;
}

TEST_CASE("an ACTIVATE needs a majority of votes that have written, and patience waits for all") {
  Scene scene;
  scene.member(1);
  scene.member(2);
  scene.member(3);
  scene.member(4);
  Round round = round_of(scene);
  REQUIRE(round.choice() != nullptr);
  round.add(life(1), Persisted{1});
  round.add(life(2), Persisted{1});
  CHECK_FALSE(round.proposal(false).has_value());
  round.add(life(3), Persisted{2});  // Another base: of another round [rule 7.C].
  round.add(life(5), Persisted{1});  // No member.
  CHECK_FALSE(round.proposal(false).has_value());
  round.add(life(3), Persisted{1});
  CHECK_FALSE(round.proposal(true).has_value());
  REQUIRE(round.proposal(false).has_value());
  CHECK(round.proposal(false)->voters == std::vector{life(1), life(2), life(3)});
  round.add(life(4), Persisted{1});
  REQUIRE(round.proposal(true).has_value());
  CHECK(round.valid(*round.proposal(true)));
}

TEST_CASE("an ACTIVATE that differs from the choice, or counts who has not written, is none") {
  Scene scene;
  scene.member(1);
  scene.member(2);
  scene.member(3);
  Round round = round_of(scene);
  round.add(life(1), Persisted{1});
  round.add(life(2), Persisted{1});
  round.add(life(3), Persisted{1});
  const Activate right = *round.proposal(true);
  CHECK(round.valid(right));
  Activate wrong = right;
  wrong.number += 1;
  CHECK_FALSE(round.valid(wrong));
  wrong = right;
  wrong.token_base += 1;
  CHECK_FALSE(round.valid(wrong));
  wrong = right;
  wrong.donor = Label{};
  CHECK_FALSE(round.valid(wrong));
  wrong = right;
  wrong.voters = {life(1), life(2), life(4)};
  CHECK_FALSE(round.valid(wrong));
  wrong.voters = {life(1), life(1), life(1)};
  CHECK_FALSE(round.valid(wrong));
  wrong.voters = {life(1), life(2)};
  CHECK_FALSE(round.valid(wrong));
}

TEST_CASE("a round concludes with the last member's first word, and only members have one") {
  Scene scene;
  scene.member(1);
  scene.member(2);
  scene.member(3);
  Round round(scene.config, scene.here);
  CHECK_FALSE(round.add(life(1), Exchange(scene.told.at(life(1)))));
  CHECK_FALSE(round.add(life(1), Exchange(scene.told.at(life(1)))));
  CHECK_FALSE(round.add(life(4), Exchange(scene.told.at(life(1)))));
  CHECK_FALSE(round.add(life(2), Exchange(scene.told.at(life(2)))));
  CHECK(round.choice() == nullptr);
  CHECK(round.add(life(3), Exchange(scene.told.at(life(3)))));
  CHECK(round.choice() != nullptr);
}

}  // namespace
}  // namespace lockd
