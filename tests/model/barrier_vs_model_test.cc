// The barrier table has the semantics of docs/barriers.md as the model reads them. More of it:
// tests/model/barrier_vs_model.cc.
#include <doctest/doctest.h>

#include "tests/model/barrier_history.h"

namespace barrier_model {
namespace {

TEST_CASE("random histories of barriers go as in the model, and meet everything that can be said") {
  std::map<std::string, std::uint64_t> seen;
  for (std::uint64_t seed = 1; seed <= 4000; ++seed) {
    const auto found = run_history(seed, 20, seen);
    REQUIRE_MESSAGE(!found, text(*found));
  }
  for (const char* what : {"done",
                           "arrived",
                           "opened",
                           "ended",
                           "ok",
                           "unknown",
                           "reload",
                           "refused: bad name",
                           "refused: bad config",
                           "refused: bad attribute",
                           "refused: bad value",
                           "refused: different",
                           "refused: in use",
                           "refused: not open",
                           "refused: not member",
                           "refused: already arrived",
                           "refused: inside",
                           "refused: barrier full",
                           "refused: unknown barrier",
                           "refused: unknown arrival",
                           "refused: unknown generation",
                           "refused: too many barriers",
                           "refused: too many lockspaces",
                           "refused: session full",
                           "refused: too many places",
                           "refused: too many bytes"}) {
    CHECK_MESSAGE(seen[what] > 0, what);
  }
}

TEST_CASE("long histories of barriers go as in the model") {
  std::map<std::string, std::uint64_t> seen;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto found = run_history(seed, 200, seen);
    REQUIRE_MESSAGE(!found, text(*found));
  }
}

}  // namespace
}  // namespace barrier_model
