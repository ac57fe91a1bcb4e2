#include "evs/candidates.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/random.h"

namespace evs {
namespace {

Processor processor(std::uint32_t node, std::uint64_t life = 1) {
  return {base::NodeId{node}, base::Incarnation{life}};
}

const Processor kA = processor(1);
const Processor kB = processor(2, 5);
const Processor kC = processor(3);

TEST_CASE("one alone is in consensus with itself") {
  const Candidates candidates(kB);
  CHECK(candidates.consensus());
  CHECK(candidates.alive() == std::vector{kB});
}

TEST_CASE("consensus is reached when all who have not failed have said the same") {
  Candidates candidates(kB);
  CHECK(candidates.propose(kA));
  CHECK_FALSE(candidates.propose(kA));
  CHECK(candidates.fail(kC));
  CHECK_FALSE(candidates.consensus());
  CHECK_FALSE(candidates.merge(kA, candidates.sets()));
  CHECK(candidates.consensus());
  CHECK(candidates.alive() == std::vector{kA, kB});
}

TEST_CASE("who says something else is not in consensus") {
  Candidates candidates(kB);
  candidates.propose(kA);
  candidates.propose(kC);
  CHECK_FALSE(candidates.merge(kA, {{kA, false}, {kB, false}}));
  CHECK_FALSE(candidates.consensus());
}

TEST_CASE("a change of the sets ends the consensus so far") {
  Candidates candidates(kB);
  candidates.propose(kA);
  candidates.merge(kA, candidates.sets());
  REQUIRE(candidates.consensus());
  SUBCASE("by a newcomer") {
    CHECK(candidates.merge(kC, {{kC, false}}));
  }
  SUBCASE("by somebody failed whom nobody had named") {
    CHECK(candidates.fail(kC));
  }
  SUBCASE("by being forgotten") {
    candidates.forget_consensus();
  }
  CHECK_FALSE(candidates.consensus());
}

TEST_CASE("sets only grow: nobody is dropped and nobody who failed recovers") {
  base::Random random(3);
  for (int run = 0; run < 200; ++run) {
    Candidates candidates(kB);
    for (int step = 0; step < 20; ++step) {
      const std::vector<Candidate> before = candidates.sets();
      std::vector<Candidate> others;
      for (std::uint32_t node = 1; node <= 6; ++node) {
        if (random.chance(1, 2))
          others.push_back({processor(node, node == 2 ? 5 : 1), random.chance(1, 4)});
      }
      const Processor sender = processor(static_cast<std::uint32_t>(random.between(3, 6)));
      const bool changed = candidates.merge(sender, others);
      CHECK(changed == (candidates.sets() != before));
      CHECK(std::is_sorted(candidates.sets().begin(), candidates.sets().end()));
      CHECK_FALSE(candidates.has_failed(kB));
      for (const Candidate& known : before) {
        const bool kept = std::any_of(
            candidates.sets().begin(), candidates.sets().end(), [&](const Candidate& candidate) {
              return candidate.processor == known.processor && candidate.failed >= known.failed;
            });
        CHECK(kept);
      }
    }
  }
}

TEST_CASE("the sender's failed and proposed are taken over") {
  Candidates candidates(kB);
  CHECK(candidates.merge(kA, {{kA, false}, {kB, false}, {kC, true}, {processor(4), false}}));
  CHECK(candidates.has_failed(kC));
  CHECK(candidates.alive() == std::vector{kA, kB, processor(4)});
}

TEST_CASE("who takes me to have failed fails for me, and what else he thinks does not matter") {
  Candidates candidates(kB);
  CHECK(candidates.merge(kA, {{kA, false}, {kB, true}, {kC, true}, {processor(4), false}}));
  CHECK(candidates.has_failed(kA));
  CHECK_FALSE(candidates.has_failed(kC));
  CHECK(candidates.alive() == std::vector{kB});
  CHECK(candidates.consensus());
}

TEST_CASE("a node's later life fails its earlier one") {
  Candidates candidates(kB);
  const Processor earlier = processor(1, 8);
  const Processor later = processor(1, 3);  // Lives are random numbers, so later is not larger.
  candidates.propose(earlier);
  CHECK(candidates.merge(later, {{later, false}}));
  CHECK(candidates.has_failed(earlier));
  CHECK(candidates.alive() == std::vector{later, kB});
}

TEST_CASE("a former life of my own node has failed from the start") {
  Candidates candidates(kB);
  const Processor former = processor(2, 1);
  CHECK(candidates.merge(kA, {{kA, false}, {former, false}}));
  CHECK(candidates.has_failed(former));
  CHECK(candidates.alive() == std::vector{kA, kB});
}

TEST_CASE("I never fail for myself") {
  Candidates candidates(kB);
  CHECK_FALSE(candidates.fail(kB));
  CHECK(candidates.alive() == std::vector{kB});
}

TEST_CASE("who stays silent fails, who agreed stays") {
  Candidates candidates(kB);
  candidates.propose(kA);
  candidates.propose(kC);
  candidates.merge(kA, candidates.sets());
  candidates.fail_silent();
  CHECK_FALSE(candidates.has_failed(kA));
  CHECK(candidates.has_failed(kC));
  CHECK_FALSE(candidates.consensus());  // The sets changed: it has to be said again.
  candidates.merge(kA, candidates.sets());
  CHECK(candidates.consensus());
}

TEST_CASE("no more processors are named than a Join can carry") {
  Candidates candidates(kB);
  for (std::uint64_t life = 1; candidates.sets().size() < kCandidatesMax; ++life) {
    CHECK(candidates.propose(processor(9, life)));
  }
  CHECK_FALSE(candidates.propose(processor(10)));
  CHECK_FALSE(candidates.fail(processor(10)));
  CHECK_FALSE(candidates.has_failed(processor(10)));
  candidates.merge(processor(10), {{processor(11), true}});
  CHECK(candidates.sets().size() == kCandidatesMax);
  CHECK(candidates.fail(processor(9, 1)));  // Those who are named can still fail.
}

TEST_CASE("the hindmost is the first in the ring's order who passed on the fewest tokens") {
  const auto hindmost = [](std::uint32_t of_a, std::uint32_t own, std::uint32_t of_c) {
    Candidates candidates(kB);
    candidates.propose(kA);
    candidates.propose(kC);
    candidates.merge(kC, candidates.sets(), of_c);
    candidates.merge(kA, candidates.sets(), of_a);
    REQUIRE(candidates.consensus());
    return candidates.hindmost(own);
  };
  CHECK(hindmost(0, 0, 0) == kA);
  CHECK(hindmost(1, 0, 0) == kB);
  CHECK(hindmost(1, 1, 0) == kC);
  CHECK(hindmost(2, 2, 2) == kA);
  CHECK(hindmost(7, 3, 5) == kB);
}

TEST_CASE("the hindmost is never one who has failed") {
  Candidates candidates(kB);
  candidates.propose(kA);
  candidates.fail(kC);
  candidates.merge(kA, candidates.sets(), 9);
  REQUIRE(candidates.consensus());
  CHECK(candidates.hindmost(10) == kA);
}

TEST_CASE("reset goes back to this processor alone") {
  Candidates candidates(kB);
  candidates.propose(kA);
  candidates.fail(kC);
  candidates.reset();
  CHECK(candidates.sets() == std::vector<Candidate>{{kB, false}});
  CHECK(candidates.consensus());
}

}  // namespace
}  // namespace evs
