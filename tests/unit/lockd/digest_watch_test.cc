#include "lockd/digest_watch.h"

#include <doctest/doctest.h>

namespace lockd {
namespace {

base::Processor life(std::uint32_t n) {
  return {base::NodeId{n}, base::Incarnation{1}};
}

TEST_CASE("nobody stops when all digests are equal") {
  CHECK(odd_ones({}).empty());
  CHECK(odd_ones({{life(1), 7}}).empty());
  CHECK(odd_ones({{life(1), 7}, {life(2), 7}, {life(3), 7}}).empty());
}

TEST_CASE("who differs from most stops; of two, and in a tie, all stop [rule 7.C]") {
  CHECK(odd_ones({{life(1), 7}, {life(2), 8}, {life(3), 7}}) == std::vector{life(2)});
  CHECK(odd_ones({{life(1), 7}, {life(2), 8}}) == std::vector{life(1), life(2)});
  CHECK(odd_ones({{life(1), 7}, {life(2), 8}, {life(3), 9}}).size() == 3);
  CHECK(odd_ones({{life(1), 7}, {life(2), 8}, {life(3), 7}, {life(4), 8}}).size() == 4);
  CHECK(odd_ones({{life(1), 7}, {life(2), 8}, {life(3), 7}, {life(4), 9}}) ==
        std::vector{life(2), life(4)});
}

TEST_CASE("a comparison is made when every holder has voted, and only holders vote") {
  DigestWatch watch;
  watch.expect(10, {life(1), life(2)});
  CHECK_FALSE(watch.vote(life(1), 10, 7).has_value());
  CHECK_FALSE(watch.vote(life(1), 10, 8).has_value());  // The first word counts.
  CHECK_FALSE(watch.vote(life(3), 10, 7).has_value());
  CHECK_FALSE(watch.vote(life(2), 11, 7).has_value());
  CHECK(watch.vote(life(2), 10, 7) == Digests{{life(1), 7}, {life(2), 7}});
  CHECK_FALSE(watch.vote(life(2), 10, 7).has_value());
}

TEST_CASE("a point that is never completed is given up in the end") {
  DigestWatch watch;
  for (std::uint64_t step = 1; step <= DigestWatch::kPointsMax + 1; ++step) {
    watch.expect(step, {life(1)});
  }
  CHECK_FALSE(watch.vote(life(1), 1, 7).has_value());
  CHECK(watch.vote(life(1), 2, 7).has_value());
}

}  // namespace
}  // namespace lockd
