#include "base/last_words.h"

#include <doctest/doctest.h>

#include <cstdio>
#include <stdexcept>
#include <string>

#include "tests/unit/base/dying_process.h"

namespace base {
namespace {

const std::string kFailure = "planted.cc:1: CHECK failed: a planted condition\n";

struct Words : LastWords {
  explicit Words(void (*f)(const char*)) : act(f) { set_last_words(this); }
  void say(const char* failure) noexcept override { act(failure); }
  void (*act)(const char*);
};

void repeat(const char* failure) {
  std::fprintf(stderr, "failed: %s\n", failure);
}

TEST_CASE("a failed CHECK says where, and ends the process") {
  CHECK(words_of_dying([] {}) == kFailure);
}

TEST_CASE("a failed CHECK says where, then the last words, and ends the process") {
  CHECK(words_of_dying([] { static Words words(repeat); }) == kFailure + "failed: " + kFailure);
}

TEST_CASE("last words that were taken back are not said") {
  const auto take_back = [] {
    static Words words(repeat);
    set_last_words(nullptr);
  };
  CHECK(words_of_dying(take_back) == kFailure);
}

TEST_CASE("a CHECK that fails among the last words ends the process at once") {
  const auto fail_again = [] {
    static Words words([](const char*) { check_failed("another one", "words.cc", 2); });
  };
  CHECK(words_of_dying(fail_again) == kFailure + "words.cc:2: CHECK failed: another one\n");
}

TEST_CASE("last words that throw end the process all the same") {
  const auto fall = [] {
    static Words words([](const char*) { throw std::runtime_error("no more"); });
  };
  CHECK(words_of_dying(fall).starts_with(kFailure));
}

}  // namespace
}  // namespace base
