// Why somebody came, as far as one can know.
#include "evs/acquaintances.h"

#include <doctest/doctest.h>

namespace evs {
namespace {

using std::chrono::seconds;

base::Processor life(std::uint32_t node, std::uint64_t incarnation) {
  return {base::NodeId{node}, base::Incarnation{incarnation}};
}

struct Fixture {
  std::vector<base::NodeId> nodes = {base::NodeId{1}, base::NodeId{2}, base::NodeId{3}};
  Acquaintances acquaintances{nodes};
};

TEST_CASE_FIXTURE(Fixture, "who is there when a member starts is met at its start") {
  CHECK(acquaintances.met(life(2, 7)).reason == Reason::met_at_start);
  CHECK(acquaintances.met(life(3, 8)).reason == Reason::met_at_start);
  acquaintances.settled(1);
  CHECK(acquaintances.met(life(1, 9)).reason == Reason::met_at_start);
}

TEST_CASE_FIXTURE(Fixture,
                  "later a stranger has started, if its messages showed that it was alone") {
  acquaintances.settled(2);
  acquaintances.alone(life(2, 7));
  acquaintances.alone(life(3, 8));
  CHECK(acquaintances.met(life(2, 7)).reason == Reason::started);
  // Not this life of it.
  CHECK(acquaintances.met(life(3, 9)).reason == Reason::not_known);
}

TEST_CASE_FIXTURE(Fixture, "the same life is back, another one was started again") {
  CHECK(acquaintances.met(life(2, 7)).reason == Reason::met_at_start);
  acquaintances.settled(2);
  CHECK(acquaintances.met(life(2, 7)).reason == Reason::back_again);
  const auto arrival = acquaintances.met(life(2, 8));
  CHECK(arrival.reason == Reason::started_again);
  CHECK(arrival.former == life(2, 7));
}

TEST_CASE_FIXTURE(Fixture,
                  "when a node was heard last is kept, and who is not configured is nobody") {
  CHECK_FALSE(acquaintances.last_heard(base::NodeId{2}).has_value());
  acquaintances.heard(seconds(5), base::NodeId{2});
  acquaintances.heard(seconds(6), base::NodeId{99});
  acquaintances.alone(life(99, 1));
  CHECK(acquaintances.last_heard(base::NodeId{2}) == seconds(5));
  CHECK_FALSE(acquaintances.last_heard(base::NodeId{99}).has_value());
  CHECK(acquaintances.met(life(99, 1)).reason == Reason::not_known);
}

}  // namespace
}  // namespace evs
