#include "lockd/log.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <string>

namespace lockd {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::nanoseconds kTime = 1'795'359'845s + 123'456'789ns;

std::string text(std::string_view message, LogFields fields = {}) {
  return format_log_line(LogFormat::text, kTime, LogLevel::warning, message, fields);
}
std::string json(std::string_view message, LogFields fields = {}) {
  return format_log_line(LogFormat::json, kTime, LogLevel::warning, message, fields);
}

TEST_CASE("a line for people has time, level, message and fields") {
  CHECK(text("node left", {{"node", 3}, {"cause", "token lost"}, {"quorate", true}}) ==
        "2026-11-22 15:04:05.123Z warning  node left node=3 cause=\"token lost\" quorate=true");
}

TEST_CASE("a line of JSON has the same, with nanoseconds and types") {
  CHECK(json("node left", {{"node", 3}, {"cause", "token lost"}, {"quorate", true}}) ==
        R"({"ts":"2026-11-22T15:04:05.123456789Z","level":"warning","msg":"node left",)"
        R"("node":3,"cause":"token lost","quorate":true})");
}

TEST_CASE("bytes from outside can not forge a line or reach a terminal") {
  const std::string evil = "a\n2026 error \x1b[2J\xff\"\\";
  CHECK(text("refused", {{"name", evil}}) ==
        R"(2026-11-22 15:04:05.123Z warning  refused name="a\x0a2026 error \x1b[2J\xff\"\\")");
  CHECK(json("refused", {{"name", evil}}) ==
        R"({"ts":"2026-11-22T15:04:05.123456789Z","level":"warning","msg":"refused",)"
        R"("name":"a\\x0a2026 error \\x1b[2J\\xff\"\\\\"})");
}

TEST_CASE("an empty value is seen to be one") {
  CHECK(text("m", {{"k", ""}}) == "2026-11-22 15:04:05.123Z warning  m k=\"\"");
}

TEST_CASE("a line is bounded and stays whole") {
  const std::string huge(100'000, '\n');
  const LogField field("k", huge);
  const LogFields fields = {field, field, field, field, field, field, field, field};
  CHECK(text(huge, fields).size() <= kLogLineBytesMax);
  const std::string line = json(huge, fields);
  CHECK(line.size() <= kLogLineBytesMax);
  CHECK(line.back() == '}');
  CHECK(line.find("...\"") != std::string::npos);
}

TEST_CASE("equal messages are limited, others are not") {
  RepeatLimit limit(10s, 2);
  CHECK(limit.ask("a", 0s).write);
  CHECK(limit.ask("a", 1s).write);
  CHECK(!limit.ask("a", 2s).write);
  CHECK(!limit.ask("a", 9s).write);
  CHECK(limit.ask("b", 9s).write);
  const RepeatLimit::Verdict later = limit.ask("a", 10s);
  CHECK(later.write);
  CHECK(later.suppressed == 2);
  CHECK(limit.ask("a", 11s).suppressed == 0);
}

TEST_CASE("no number of different messages makes the limit grow without end") {
  RepeatLimit limit(10s, 1);
  for (int i = 0; i < 256; ++i) CHECK(limit.ask("message " + std::to_string(i), 0s).write);
  CHECK(limit.ask("one more", 0s).write);
  CHECK(!limit.ask("and another", 0s).write);
}

TEST_CASE("a level that is not asked for is not written, and a full pipe stops nobody") {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  Log log(ends[1], LogLevel::warning, LogFormat::text);
  log.info("not asked for");
  log.error("asked for", {{"n", 1}});
  char buffer[256];
  const ssize_t got = read(ends[0], buffer, sizeof buffer);
  REQUIRE(got > 0);
  CHECK(std::string(buffer, static_cast<std::size_t>(got)).find("asked for n=1\n") == 34);

  const std::string value(500, 'v');
  for (int i = 0; i < 1000; ++i) log.error("nobody reads", {{"value", value}});
  CHECK(log.lost() > 0);
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace lockd
