#include "tools/lockctl/barrier_text.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tools/lockctl/value.h"

using namespace tools::lockctl;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

BarrierOutcome outcome(const char* ending) {
  BarrierOutcome outcome;
  outcome.lockspace = "default";
  outcome.name = "loaded";
  outcome.ending = ending;
  outcome.generation = 17;
  outcome.self = 5;
  outcome.ring_nonce = 0xab;
  outcome.members = {{5, 1, "a b"}, {4, 2, ""}, {6, 3, std::string("\xff\n", 2)}};
  return outcome;
}

ListedBarrier listed(const char* name) {
  ListedBarrier barrier;
  barrier.lockspace = "default";
  barrier.name = name;
  barrier.parties = 3;
  barrier.on_death = "break";
  return barrier;
}

}  // namespace

TEST_CASE("a barrier that was released is told by its generation, or by what all brought along") {
  CHECK(text_of(outcome("released"), false) == "17\n");
  CHECK(text_of(outcome("released"), true) == "1 a b\n2\n3 0xff0a\n");
}

TEST_CASE("programs get all of an outcome, and values if it was released") {
  const json released = json::parse(json_of(outcome("released")));
  CHECK(released["outcome"] == "released");
  CHECK(released["generation"] == 17);
  CHECK(released["session"] == 5);
  CHECK(released["membership"].is_null());
  CHECK(released["ring"]["nonce"] == "00000000000000ab");
  CHECK(released["members"][0] ==
        json({{"node", 1}, {"session", 5}, {"value", {{"text", "a b"}, {"hex", "612062"}}}}));
  CHECK(released["members"][2]["value"]["hex"] == "ff0a");

  BarrierOutcome broken = outcome("died");
  broken.membership = 3;
  broken.lost = {{9, 2}, {0, 3}};
  broken.losses = 2;
  const json told = json::parse(json_of(broken));
  CHECK(told["outcome"] == "broken");
  CHECK(told["ending"] == "died");
  CHECK(told["membership"] == 3);
  CHECK(told["members"][0]["value"].is_null());
  CHECK(told["lost"][0] == json({{"node", 2}, {"session", 9}}));
  CHECK(told["lost"][1]["session"].is_null());
  CHECK(told["losses"] == 2);
}

TEST_CASE("a barrier that was broken is told with the reason, and who died") {
  BarrierOutcome died = outcome("died");
  died.lost = {{9, 2}, {0, 3}};
  died.losses = 2;
  CHECK(reason_of(died) == "broken in generation 17: session 9 at node 2, node 3 died");
  died.losses = 100;
  CHECK(reason_of(died) == "broken in generation 17: session 9 at node 2, node 3 and 98 more died");
  CHECK(reason_of(outcome("timed_out")).find("patience") != std::string::npos);
  CHECK(reason_of(outcome("cancelled")).find("cancelled") != std::string::npos);
  CHECK(reason_of(outcome("deleted")).find("deleted") != std::string::npos);
}

TEST_CASE("barriers are a table, with who is there and who is missing") {
  CHECK(text_of(BarrierListing{}) == "No barriers.\n");
  ListedBarrier waits = listed("loaded\n");
  waits.entering = {17, 1, 2};
  ListedBarrier kept = listed("parts");
  kept.parties = 0;
  kept.nodes = true;
  kept.on_death = "shrink";
  kept.two_steps = true;
  kept.kept = true;
  kept.patience = 90s;
  kept.inside = {16, 2, 1};
  BarrierListing listing{{waits, kept}, false};
  CHECK(
      text_of(listing) ==
      "NAME        PARTIES     ON DEATH  PATIENCE  KEPT  ENTERING            INSIDE\n"
      "loaded\\x0a  3 sessions  break     -         no    1 there, 2 missing  -\n"
      "parts       all nodes   shrink    1m30s     yes   -                   1 at work, 2 left\n");
  listing.stale = true;
  listing.barriers[0].lockspace = "web";
  CHECK(text_of(listing).find("no quorum") != std::string::npos);
  CHECK(text_of(listing).find("\nweb ") != std::string::npos);

  const json told = json::parse(json_of(listing))["barriers"];
  CHECK(told[0]["parties"] == 3);
  CHECK(told[0]["unit"] == "sessions");
  CHECK(told[0]["steps"] == 1);
  CHECK(told[0]["patience_seconds"].is_null());
  CHECK(told[0]["entering"] == json({{"generation", 17}, {"arrived", 1}, {"missing", 2}}));
  CHECK(told[0]["inside"].is_null());
  CHECK(told[1]["parties"] == "all");
  CHECK(told[1]["unit"] == "nodes");
  CHECK(told[1]["patience_seconds"] == 90);
  CHECK(told[1]["inside"] == json({{"generation", 16}, {"left", 2}, {"at_work", 1}}));
}

TEST_CASE("what a job brings along is read back as it was written") {
  for (const std::string& bytes : {std::string(), std::string("a b"), std::string(256, 'x'),
                                   std::string("0x", 2), std::string("\0\xff", 2)}) {
    const auto read = parse_bytes(format_bytes(bytes), 256);
    REQUIRE(read.has_value());
    CHECK(*read == bytes);
  }
  CHECK(!parse_bytes(std::string(257, 'x'), 256).has_value());
  CHECK(!parse_bytes("0x" + std::string(514, '0'), 256).has_value());
}
