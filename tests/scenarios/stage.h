// Plays a scenario: its lines, one after the other, on ring members over a network in virtual time,
// and then compares what each of them was told with what the scenario expects. The language is
// tests/scenarios/README.md's.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/scenarios/rules.h"
#include "tests/scenarios/transcript.h"
#include "tests/sim/evs_checker.h"

namespace scenarios {

class Stage {
 public:
  // `check_invariants`: a member whose own reasoning is wrong ends the process.
  explicit Stage(bool check_invariants = true) : check_invariants_(check_invariants) {}
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  // The first line that makes no sense or comes out differently; none if all is as expected.
  std::optional<Failure> play(std::string_view text);

  // The planted bugs that the scenario says it finds.
  const std::vector<std::string>& finds() const { return finds_; }

  // What each node was told, as a scenario would have it.
  std::string transcript();

 private:
  struct Expected {
    std::size_t line = 0;  // Of the `expect`.
    std::vector<Number> nodes;
    std::vector<std::pair<std::size_t, std::string>> lines;
  };
  using Condition = std::function<bool()>;

  void take_line(std::size_t number, std::string_view text);
  void step(Words& words);
  void step_of_nodes(const std::string& what, Words& words);
  void set(Words& words);
  void start(Number number);
  void kill(Number number);
  void send(Words& words);
  void inject(Words& words);
  void until(Words& words);
  Condition condition(Words& words);
  std::function<bool(Number)> condition_of_node(Words& words);
  static std::function<bool(std::uint64_t)> comparison(Words& words);
  evs::Node& running(Number number, const Words& words);
  evs::Fate fate_of(Number from, Number to, const evs::Message& message);
  void expectation(Words& words, std::string_view text);
  void compare();
  void compare(const Expected& expected, Number node, ConfigurationNames& names);
  void judge();

  bool check_invariants_;
  std::optional<evs::TestRing> ring_;
  Number nodes_ = 0;
  bool started_ = false;
  sim::EvsChecker checker_;
  Rules rules_;
  RingNames rings_;
  std::map<std::string, base::Duration> times_;
  std::map<Number, std::size_t> begin_;  // Events of a node that are not part of the transcript.
  LifeNames lives_;
  std::map<Number, std::string> last_life_;
  std::size_t largest_datagram_ = 0;
  base::Duration delay_{};
  std::vector<std::tuple<Number, Number, base::Buffer>> copies_;
  std::vector<std::string> finds_;
  std::vector<Expected> expected_;
};

}  // namespace scenarios
