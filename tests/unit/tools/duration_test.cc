#include "tools/lockctl/duration.h"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using tools::lockctl::format_duration;
using tools::lockctl::parse_duration;

TEST_CASE("a duration is a number with a unit, several of them, or bare seconds") {
  CHECK(parse_duration("500ms").value() == 500ms);
  CHECK(parse_duration("5s").value() == 5s);
  CHECK(parse_duration("5").value() == 5s);
  CHECK(parse_duration("0").value() == 0s);
  CHECK(parse_duration("0.25").value() == 250ms);
  CHECK(parse_duration(".5h").value() == 30min);
  CHECK(parse_duration("1m30s").value() == 90s);
  CHECK(parse_duration("2d1h").value() == 49h);
  CHECK(parse_duration("10us").value() == 10us);
  CHECK(parse_duration("7ns").value() == 7ns);
  CHECK(parse_duration("0.123456789123s").value() == 123456789ns);
  CHECK(parse_duration("1.5d").value() == 36h);
}

TEST_CASE("what is not a duration is refused with an example of one") {
  for (const char* text : {"", " ", "s", "ms", "-1s", "+1s", "5 s", "5S", "5sec", "1.s", "1..5s",
                           "5s5", "5m5", "0x5", "1e3", "5s ", ".", "inf", "5s-"}) {
    CAPTURE(text);
    const auto answer = parse_duration(text);
    REQUIRE(!answer.has_value());
    CHECK(answer.error().find("write for example 500ms") != std::string::npos);
  }
}

TEST_CASE("more than a year is refused, however large the number") {
  for (const char* text : {"366d", "365d1ns", "99999999999999999999", "18446744073709551616s",
                           "9223372036854775807ns", "200d200d"}) {
    CAPTURE(text);
    const auto answer = parse_duration(text);
    REQUIRE(!answer.has_value());
    CHECK(answer.error().find("over a year") != std::string::npos);
  }
  CHECK(parse_duration("365d").value() == 24h * 365);
}

TEST_CASE("durations are shown in a unit that fits them") {
  CHECK(format_duration(0s) == "0us");
  CHECK(format_duration(850us) == "850us");
  CHECK(format_duration(850ms) == "850ms");
  CHECK(format_duration(2500ms) == "2.5s");
  CHECK(format_duration(200s) == "3m20s");
  CHECK(format_duration(90min) == "1h30m");
}
