#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/tools/shown_locks.h"
#include "tools/lockctl/lock_json.h"
#include "tools/lockctl/lock_text.h"
#include "tools/lockctl/value.h"
#include "tools/lockctl/waits_graph.h"

using namespace tools::lockctl;
using nlohmann::json;

namespace {

Deadlock two_against_each_other() {
  Deadlock deadlock;
  deadlock.session = 2;
  deadlock.request = 9;
  const DeadlockedLock a{1, 5, 1, 11, "a"};
  const DeadlockedLock b{2, 9, 2, 22, "b"};
  deadlock.steps = {{b, "EX", a, "PR", "default", "left"}, {a, "EX", b, "EX", "web", "right"}};
  deadlock.steps_in_all = 2;
  return deadlock;
}

}  // namespace

TEST_CASE("a lock is shown with its holders, its conversions and its queue in order") {
  CHECK(text_of(showing({})) == "jobs is free.\n");
  ShownLock gone = holder(2, "PR");
  gone.orphaned = true;
  ShownLock unknown = waiter(3, "EX", 1);
  unknown.pid = 0;
  unknown.since = 0;
  const Showing shown = showing({gone, converter(1, "PR", "EX", 1), unknown});
  CHECK(text_of(shown) ==
        "            MODE      TOKEN  NODE      PID  UID   SINCE  COMMAND\n"
        "holds       PR        102    2 (gone)  2    1000  5s     p2\n"
        "converts 1  PR to EX  101    1         1    1000  5s     p1\n"
        "waits 1     EX        -      3         -    -     -      p3\n");
  const json told = json::parse(json_of(shown));
  CHECK(told["holders"].size() == 2);
  CHECK(told["holders"][0]["token"] == 102);
  CHECK(told["holders"][0]["orphaned"] == true);
  CHECK(told["holders"][0]["age_seconds"] == 5);
  CHECK(told["holders"][0]["converts_to"].is_null());
  CHECK(told["holders"][1]["converts_to"] == "EX");
  CHECK(told["waiters"][0]["position"] == 1);
  CHECK(told["waiters"][0]["mode"] == "EX");
  CHECK(told["waiters"][0]["since"].is_null());
}

TEST_CASE("flags have a column of their names when somebody has any") {
  ShownLock flagged = holder(1, "EX");
  flagged.flags = base::lock_flag::value_block | base::lock_flag::persistent;
  CHECK(text_of(showing({flagged, waiter(2, "EX", 1)})).find("VALBLK|PERSISTENT  p1") !=
        std::string::npos);
  CHECK(json::parse(json_of(showing({flagged})))["holders"][0]["flags"] ==
        json({"VALBLK", "PERSISTENT"}));
}

TEST_CASE("a clock that is behind makes nothing begin in the future") {
  Showing shown = showing({holder(1, "EX")});
  shown.now = 900;
  CHECK(text_of(shown).find("0s") != std::string::npos);
  CHECK(json::parse(json_of(shown))["holders"][0]["age_seconds"] == 0);
}

TEST_CASE("a value is shown as bytes, as text if it is that, and as invalid if it is marked") {
  Showing shown = showing({holder(1, "EX")});
  CHECK(json::parse(json_of(shown))["value"].is_null());
  shown.value = *parse_value("seven");
  CHECK(text_of(shown).find("value 736576656e" + std::string(54, '0') + ": seven\n") !=
        std::string::npos);
  shown.value_invalid = true;
  CHECK(text_of(shown).find(": seven (invalid") != std::string::npos);
  const json told = json::parse(json_of(shown));
  CHECK(told["value"]["text"] == "seven");
  CHECK(told["value_invalid"] == true);
  shown.value = *parse_value("0xff00");
  CHECK(json::parse(json_of(shown))["value"]["text"] == "0xff00" + std::string(60, '0'));
}

TEST_CASE("a value is read back as it was written") {
  for (const std::string& text : {std::string(), std::string("a b"), std::string(32, 'x'),
                                  std::string("0x01") + std::string(62, '0'),
                                  std::string("0x30780000") + std::string(56, '0')}) {
    const auto value = parse_value(text);
    REQUIRE(value.has_value());
    CHECK(format_value(*value) == text);
  }
  for (const char* wrong : {"0x1", "0xgg", "0x+1"}) CHECK(!parse_value(wrong).has_value());
  CHECK(!parse_value(std::string(33, 'x')).has_value());
  CHECK(!parse_value("0x" + std::string(66, '0')).has_value());
}

TEST_CASE("a lock that is held back for the leases from before is said to be nobody's") {
  CHECK(text_of(showing({holder(0, "EX")})).find("nobody; the leases from before") !=
        std::string::npos);
}

TEST_CASE("why somebody waits is a sentence for people and a rule for programs") {
  const Showing shown = showing({holder(1, "EX"), waiter(2, "PR", 1)});
  const Blockings blockings{shown, blockings_of(shown)};
  CHECK(text_of(blockings) ==
        "node 2 pid 2 (p2) waits for PR, which does not go with the EX of node 1 pid 1 (p1).\n");
  const json told = json::parse(json_of(blockings));
  CHECK(told["waits"][0]["rule"] == "held_mode");
  CHECK(told["waits"][0]["blockers"][0]["session"] == 1);
  CHECK(told["waits"][0]["wants"] == "PR");
  CHECK(text_of(Blockings{showing({}), {}}) == "jobs is free.\n");
  CHECK(text_of(Blockings{showing({holder(1, "EX")}), {}}) == "Nobody waits for jobs.\n");
}

TEST_CASE("a deadlock is told step by step") {
  CHECK(text_of(Deadlocks{}) == "No deadlocks.\n");
  const Deadlocks deadlocks{{two_against_each_other()}};
  CHECK(
      text_of(deadlocks) ==
      "the last one: request 9 of session 2, node 2 pid 22 (b), came to nothing\n"
      "  node 2 pid 22 (b) waits for EX on left, which node 1 pid 11 (a) has or awaits in PR\n"
      "  node 1 pid 11 (a) waits for EX on right in web, which node 2 pid 22 (b) has or awaits in "
      "EX\n");
  const json told = json::parse(json_of(deadlocks));
  CHECK(told["deadlocks"][0]["request"] == 9);
  CHECK(told["deadlocks"][0]["steps"][1]["blocker"]["pid"] == 22);
}

TEST_CASE("the graph has an arrow from each who waits, and the deadlocks in red") {
  ShownLock loud = waiter(2, "PR", 1);
  loud.command = "say \"hi\"";
  Waits waits;
  waits.resources = {showing({holder(1, "EX"), loud, waiter(3, "NL", 2)})};
  waits.left_out = 4;
  const std::string dot = dot_of(waits, {{two_against_each_other()}});
  CHECK(dot.find("s2 -> s1 [label=\"jobs: PR against EX\"]") != std::string::npos);
  CHECK(dot.find("s3 -> s2 [label=\"jobs: NL behind PR\"]") != std::string::npos);
  CHECK(dot.find("say \\\"hi\\\"") != std::string::npos);
  CHECK(dot.find("4 locks more") != std::string::npos);
  CHECK(dot.find("s1 -> s2 [label=\"web:right: deadlock, EX against EX\", color=red") !=
        std::string::npos);
}

TEST_CASE("lockspaces are told with their members, slots and permissions") {
  CHECK(text_of(Lockspaces{}) == "No lockspace was joined.\n");
  Lockspaces lockspaces;
  lockspaces.lockspaces = {{"web", 3, false, {{1, 1}, {2, 4}}, {{3, 2}}, 1000, 100, 0640}};
  CHECK(text_of(lockspaces) ==
        "NAME  GENERATION  MEMBERS  FAILED  PERMISSIONS  UID   GID\n"
        "web   3           1:1 2:4  3:2     rw-r-----    1000  100\n");
  const json told = json::parse(json_of(lockspaces))["lockspaces"][0];
  CHECK(told["members"][1]["slot"] == 4);
  CHECK(told["recovered"] == false);
  CHECK(told["permissions"] == "rw-r-----");
}
