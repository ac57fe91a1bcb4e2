#include <doctest/doctest.h>

#include "tests/unit/barrier/requests.h"

namespace barrier {
namespace {

TEST_CASE("barriers and their lockspaces are bounded") {
  Limits limits;
  limits.barriers = 3;
  limits.barriers_per_lockspace = 2;
  limits.lockspaces = 2;
  Table table(limits);
  const auto in = [&](const std::string& lockspace, const std::string& name) {
    Effects effects;
    table.create({by(1, 1), {lockspace, name}, of_count(2), false, 0, {}}, effects);
    return text(effects);
  };
  CHECK(in("x", "a") == "done 1/1");
  CHECK(in("x", "b") == "done 1/1");
  CHECK(in("x", "c") == "refused 1/1: too many barriers");
  CHECK(in("y", "a") == "done 1/1");
  CHECK(in("y", "b") == "refused 1/1: too many barriers");
  CHECK(in("z", "a") == "refused 1/1: too many lockspaces");
  CHECK(in("x", "a") == "done 1/1");
}

TEST_CASE("a value has 256 bytes at most, and all together are bounded") {
  Limits limits;
  limits.value_bytes = 300;
  Table table(limits);
  create(table, "b", of_count(3));
  CHECK(arrive(table, "b", 1, 2, std::string(257, 'x')) == "refused 1/2: bad value");
  CHECK(arrive(table, "b", 1, 2, std::string(256, 'x')) == "arrived 1/2 g1, opened g1");
  CHECK(arrive(table, "b", 2, 2, std::string(45, 'x')) == "refused 2/2: too many bytes");
  CHECK(arrive(table, "b", 2, 2, std::string(44, 'x')) == "arrived 2/2 g1");
  withdraw(table, "b", 1, 3, 2);
  CHECK(arrive(table, "b", 1, 4, std::string(256, 'x')) == "arrived 1/4 g1");
}

TEST_CASE("places are taken at the arrival and free again when all have the outcome") {
  Limits limits;
  limits.places = 4;
  Table table(limits);
  create(table, "b", with_two_steps(of_count(2)));
  create(table, "c", of_count(1));
  arrive(table, "b", 1, 2);
  CHECK(table.places() == 2);
  withdraw(table, "b", 1, 3, 2);
  CHECK(table.places() == 0);
  arrive(table, "b", 1, 4);
  arrive(table, "b", 2, 2);
  CHECK(table.places() == 4);
  CHECK(arrive(table, "c", 3, 2) == "refused 3/2: too many places");
  acknowledge(table, 1, 2);
  CHECK(table.places() == 4);
  acknowledge(table, 2, 2);
  CHECK(table.places() == 2);
  leave(table, 2, 1, 5);
  leave(table, 2, 2, 3);
  CHECK(table.places() == 2);
  CHECK(arrive(table, "c", 3, 2) == "arrived 3/2 g3, opened g3, ended 3/2 g3");
}

TEST_CASE("a session has so many outcomes, to come and kept") {
  Limits limits;
  limits.outcomes_per_session = 2;
  Table table(limits);
  create(table, "b", with_two_steps(of_count(1)));
  create(table, "c", of_count(2));
  arrive(table, "b", 1, 2);
  CHECK(arrive(table, "c", 1, 3) == "refused 1/3: session full");
  acknowledge(table, 1, 1);
  CHECK(arrive(table, "c", 1, 3) == "arrived 1/3 g2, opened g2");
}

TEST_CASE("a generation has so many participants") {
  Limits limits;
  limits.participants = 2;
  Table table(limits);
  create(table, "b", {2, Unit::node, OnDeath::break_it, false});
  arrive_at(table, "b", 1, 2, 1);
  CHECK(arrive_at(table, "b", 2, 2, 1) == "arrived 2/2 g1");
  CHECK(arrive_at(table, "b", 3, 2, 2) == "refused 3/2: barrier full");
  CHECK(create(table, "c", of_count(3)) == "refused 1/1: bad config");
}

}  // namespace
}  // namespace barrier
