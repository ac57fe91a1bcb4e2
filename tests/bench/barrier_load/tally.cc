#include "tests/bench/barrier_load/tally.h"

#include <algorithm>

namespace tests::barrier_load {

void Tally::begin() {
  std::fill(at_.begin(), at_.end(), Place::outside);
  entering_ = leaving_ = left_ = 0;
  last_ = use_;
  use_ = 0;
}

void Tally::enters(std::size_t party) {
  move(party, Place::outside, Place::entering, "entered twice");
  ++entering_;
}

void Tally::entered(std::size_t party, Passed passed) {
  move(party, Place::entering, Place::inside, "was let in without asking");
  check(party, passed, entering_, "entered");
}

void Tally::leaves(std::size_t party) {
  move(party, Place::inside, Place::leaving, "left from outside");
  ++leaving_;
}

void Tally::left(std::size_t party, Passed passed) {
  move(party, Place::leaving, Place::left, "was let out without asking");
  check(party, passed, leaving_, "left");
  ++left_;
}

void Tally::move(std::size_t party, Place from, Place to, const char* what) {
  if (at_.at(party) != from) note(party, what);
  at_.at(party) = to;
}

void Tally::check(std::size_t party, Passed passed, std::size_t asked, const char* what) {
  const std::string counts = std::to_string(asked) + " of " + std::to_string(at_.size());
  if (asked != at_.size()) note(party, std::string(what) + " with " + counts);
  if (passed.parties != at_.size())
    note(party, std::string(what) + " among " + std::to_string(passed.parties));
  if (use_ == 0) use_ = passed.use;
  if (passed.use != use_) note(party, std::string(what) + " in another use than others");
  if (passed.use <= last_) note(party, std::string(what) + " in a use that is over");
}

void Tally::note(std::size_t party, const std::string& what) {
  if (fault_.empty()) fault_ = "party " + std::to_string(party + 1) + " " + what;
}

}  // namespace tests::barrier_load
