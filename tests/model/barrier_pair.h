// A barrier table and the model side by side: each command goes to both, and what they say and what
// they are afterwards is compared. A second table takes the same commands and is loaded from images
// on the way, as is the first; both have to stay equal.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "barrier/table.h"
#include "tests/model/barrier_model.h"

namespace barrier_model {

// "arrive 1/2 at 3:1 default/a 'v'"
std::string text(const Command& command);

// All of a table there is to see, in the model's words.
std::string state_of(const barrier::Table& table);

class BarrierPair {
 public:
  explicit BarrierPair(const Limits& limits);

  // Empty if all agree, else how they differ. Nothing may be executed after that. `reload`: both
  // tables go on from an image of the other.
  std::string execute(const Command& command, bool reload);

  const barrier::Table& table() const { return table_; }

  // How often each kind of thing was said.
  const std::map<std::string, std::uint64_t>& seen() const { return seen_; }

 private:
  std::string reload();

  barrier::Limits limits_;
  BarrierModel model_;
  barrier::Table table_;
  barrier::Table again_;
  std::map<std::string, std::uint64_t> seen_;
};

}  // namespace barrier_model
