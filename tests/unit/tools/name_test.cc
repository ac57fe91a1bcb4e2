#include "tools/lockctl/name.h"

#include <doctest/doctest.h>

#include <string>

using tools::lockctl::check_name;
using tools::lockctl::printable;

TEST_CASE("a name is readable UTF-8 of 1 to 255 bytes") {
  for (const std::string& name : {std::string("a"), std::string("db/migrate"),
                                  std::string("Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x94\x92"),
                                  std::string(255, 'x'), std::string("-n"), std::string("a b")}) {
    CAPTURE(name);
    CHECK(check_name(name).has_value());
  }
}

TEST_CASE("an empty name and one over the limit are refused") {
  CHECK(check_name("").error() == "the name of a lock must not be empty");
  CHECK(check_name(std::string(256, 'x')).error() ==
        "the name of a lock has at most 255 bytes, this one has 256");
}

TEST_CASE("control characters in a name are refused and shown harmlessly") {
  CHECK(check_name("a\nb").error() ==
        "the name of a lock must not have control characters; byte 2 of \"a\\x0ab\" is one");
  for (const std::string& name : {std::string("\t"), std::string("a\x7f"), std::string("\x1b[2J"),
                                  std::string("\0", 1), std::string("\xc2\x85")}) {
    CHECK(!check_name(name).has_value());
  }
}

TEST_CASE("bytes that are not UTF-8 are refused") {
  // Latin-1, a lone continuation, a cut character, an overlong slash, a surrogate, beyond 10FFFF.
  for (const char* name :
       {"Z\xfcrich", "\x80", "\xe2\x82", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"}) {
    const auto answer = check_name(name);
    REQUIRE(!answer.has_value());
    CHECK(answer.error().find("must be UTF-8") != std::string::npos);
  }
}

TEST_CASE("any bytes can be printed without touching the terminal") {
  CHECK(printable("db/migrate") == "db/migrate");
  CHECK(printable("a\\b") == "a\\\\b");
  CHECK(printable(std::string("\x1b\0\xff", 3)) == "\\x1b\\x00\\xff");
  CHECK(printable("\xc3\xbc") == "\xc3\xbc");
}
