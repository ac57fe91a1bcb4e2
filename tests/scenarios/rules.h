// What a scenario does to the datagrams that are sent: each rule names the links, the kind of
// message and how often, and the first one that has a say decides.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/scenarios/words.h"

namespace scenarios {

enum class Action { drop, hold, copy, delay, watch };

// The rings that a scenario has given names.
using RingNames = std::map<std::string, base::RingId>;

class Rules {
 public:
  // The rest of a line such as `drop packet 1>2,3 plain once as lost`; `action` was read.
  void add(Action action, Words& words, const RingNames& names);
  void clear() { rules_.clear(); }

  struct Verdict {
    Action action = Action::watch;  // Watched only: it is delivered.
    bool copied = false;
    base::Duration delay{};
  };
  Verdict judge(Number from, Number to, const evs::Message& message);

  // How many datagrams the rules of this name have matched since the scenario began; none if there
  // was no such rule.
  std::optional<std::uint64_t> matched(const std::string& name) const;

 private:
  struct Rule {
    Action action{};
    std::size_t kind = 0;  // Index into evs::Message, or any.
    std::set<Link> links;
    std::optional<bool> exchange;
    bool recovered = false;
    std::optional<base::RingId> ring;
    std::size_t over = 0;
    std::uint64_t times = 0;  // On each link; 0 for all.
    std::string name;
    base::Duration delay{};
    std::map<Link, std::uint64_t> used;
  };

  static bool fits(const Rule& rule, const evs::Message& message);

  std::vector<Rule> rules_;
  std::map<std::string, std::uint64_t> matched_;
};

}  // namespace scenarios
