// What the nodes of a scenario were told, in the words of the scenario: a line for each
// configuration, and for each row of messages that came one after the other.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "evs/event.h"
#include "tests/scenarios/rules.h"

namespace scenarios {

// The payload of a message that is called `name`: its name, and what makes it `bytes` long.
base::Buffer payload_of(const std::string& name, std::size_t bytes);

// One line. The name of a configuration stands apart, because it is the scenario that gives it.
struct Told {
  std::string before;  // "regular", or the whole line of a delivery.
  base::RingId id;     // Of a configuration.
  std::string after;   // Members, and who left or joined.
  bool configuration = false;
};

// How processors are written: the node's number, and a ' for each life before.
using LifeNames = std::map<base::Processor, std::string>;

std::vector<Told> transcript_of(const std::vector<evs::Event>& events, std::size_t from,
                                const LifeNames& lives);

// The names that lines give to configurations: the same for the same, and different ones for
// different ones.
class ConfigurationNames {
 public:
  explicit ConfigurationNames(const RingNames& named);

  // Whether `name` is that of `id`, or can be from now on.
  bool agree(const std::string& name, const base::RingId& id);

  // Its name; a new one if it has none.
  std::string name_of(const Told& told);

  std::string text_of(const Told& told);

 private:
  std::map<base::RingId, std::string> names_;
  std::set<std::string> used_;
};

}  // namespace scenarios
