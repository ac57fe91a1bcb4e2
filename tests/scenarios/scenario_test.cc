// The runner of scenarios itself: what it refuses, and where it says that a scenario came out
// differently.
#include <doctest/doctest.h>

#include <string>

#include "tests/scenarios/stage.h"

namespace scenarios {
namespace {

constexpr const char* kPair =
    "# two nodes\n"
    "nodes 2\n"
    "start *\n"
    "until ring 1,2\n"
    "run 500ms\n"
    "begin\n"
    "send 1 safe a\n"
    "run 500ms\n";

std::optional<Failure> play(const std::string& text) {
  return Stage().play(text);
}

std::size_t line_of(const std::string& text) {
  const auto failure = play(text);
  return failure ? failure->line : 0;
}

TEST_CASE("a scenario that comes out as it expects is no failure") {
  CHECK(line_of(std::string(kPair) + "expect 1,2\n  safe a from 1\n") == 0);
}

TEST_CASE("the first line that differs is told") {
  const std::string pair = kPair;
  CHECK(line_of(pair + "expect 1,2\n  agreed a from 1\n") == 10);
  CHECK(line_of(pair + "expect 1,2\n  safe b from 1\n") == 10);
  CHECK(line_of(pair + "expect 1,2\n  safe a from 2\n") == 10);
  CHECK(line_of(pair + "expect 1,2\n  safe a from 1\n  safe a from 1\n") == 11);
  CHECK(line_of(pair + "expect 1,2\n") == 9);
  CHECK(line_of(pair + "check 1 packets_sent = 7\nexpect 1,2\n  safe a from 1\n") == 9);
  CHECK(line_of(pair + "until 1 is gather within 1s\nexpect 1,2\n  safe a from 1\n") == 9);
}

TEST_CASE("each node that ran is expected once") {
  const std::string pair = kPair;
  CHECK(line_of(pair + "expect 1\n  safe a from 1\n") == 9);
  CHECK(line_of(pair + "expect 1,2\n  safe a from 1\nexpect 2\n  safe a from 1\n") == 11);
  CHECK(play(pair)->what == "a scenario ends with what it expects");
}

TEST_CASE("one name is one configuration, and two are two") {
  const std::string pair = "# two nodes\nnodes 2\nstart 1\nstart 2\nuntil ring 1,2\n";
  const auto expected = [&](const std::string& one, const std::string& two) {
    return pair + "expect 1\n  regular A 1 joined 1\n  transitional T1 1\n  regular " + one +
           " 1,2 joined 2\nexpect 2\n  regular B 2 joined 2\n  transitional T2 2\n  regular " +
           two + " 1,2 joined 1\n";
  };
  CHECK(line_of(expected("C", "C")) == 0);
  CHECK(line_of(expected("C", "D")) == 13);
  CHECK(line_of(expected("A", "A")) == 9);
}

TEST_CASE("what makes no sense is refused, with its line") {
  CHECK(line_of("nodes 2\n") == 1);
  const std::string head = "# about\nnodes 3\n";
  for (const char* line : {"dance",
                           "nodes 3",
                           "start 4",
                           "start 0",
                           "start 2,1",
                           "start 1,1",
                           "start",
                           "start 1 2",
                           "start x",
                           "set speed 3",
                           "set personal_window",
                           "set personal_window 0",
                           "run 5",
                           "run 5h",
                           "run ms",
                           "run 99999999999s",
                           "kill 1",
                           "send 1 safe m",
                           "drop",
                           "drop letter 1>2",
                           "drop token 1",
                           "drop token 1>1",
                           "drop token 1>9",
                           "drop token 1>2 twice",
                           "drop token 1>2 times 0",
                           "drop token 1>2 of R",
                           "delay token 1>2",
                           "cut 1",
                           "mend",
                           "until",
                           "until ring",
                           "until never >= 1",
                           "until 1 is operational",
                           "check datagrams < 3",
                           "inject 1>2 0g",
                           "inject 1>2 012",
                           "time",
                           "name R 1",
                           "repeat",
                           "expect"}) {
    CAPTURE(line);
    CHECK(line_of(head + line + "\n") == 3);
  }
  const std::string started = head + "start 1\n";
  for (const char* line :
       {"start 1", "set personal_window 3", "send 1 fast m", "send 1 safe m of 3 bytes",
        "send 1 safe m.1", "until 1 is happy", "until 1 hopes >= 1", "until 1 gathers > 1",
        "check 1 confirmed after dinner", "inject 2>1 zz"}) {
    CAPTURE(line);
    CHECK(line_of(started + line + "\n") == 4);
  }
}

}  // namespace
}  // namespace scenarios
