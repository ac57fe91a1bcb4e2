// Who has come how far in the use of a barrier, and what the barrier has done wrong. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/barrier_load/party.h"

namespace tests::barrier_load {

class Tally {
 public:
  explicit Tally(std::size_t parties) : at_(parties, Place::outside) {}

  // All have left the use before.
  void begin();

  // A party, from 0: has asked to enter, was told that it has entered, and likewise of leaving.
  void enters(std::size_t party);
  void entered(std::size_t party, Passed passed);
  void leaves(std::size_t party);
  void left(std::size_t party, Passed passed);

  bool all_left() const { return left_ == at_.size(); }

  // The first that was wrong, in words; empty if nothing was.
  const std::string& fault() const { return fault_; }

 private:
  enum class Place { outside, entering, inside, leaving, left };

  void move(std::size_t party, Place from, Place to, const char* what);
  void check(std::size_t party, Passed passed, std::size_t asked, const char* what);
  void note(std::size_t party, const std::string& what);

  std::vector<Place> at_;
  std::size_t entering_ = 0;  // Who have asked, or come further.
  std::size_t leaving_ = 0;
  std::size_t left_ = 0;
  std::uint64_t use_ = 0;  // As the service calls it; 0: nobody has been told.
  std::uint64_t last_ = 0;
  std::string fault_;
};

}  // namespace tests::barrier_load
