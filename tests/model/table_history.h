// Random histories for a pair of table and model, each a function of its seed.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/model/table_pair.h"

namespace model {

// What a history is drawn from: by its seed few or many of each, all limits wide or tight.
struct Setting {
  std::uint64_t sessions = 3;
  std::uint64_t resources = 2;
  std::uint64_t owners = 0;    // Of each session.
  std::uint64_t wildness = 1;  // Of 10 flags drawn, how many may be any.
  std::size_t locks_aimed_at = 8;
  dlm::Limits limits;
};
Setting setting_of(base::Random& random);

// Draws commands that make sense, for the most part, for the table as it stands.
class CommandSource {
 public:
  CommandSource(base::Random random, const Setting& setting);

  Command next(const dlm::Table& table);

 private:
  dlm::LockFlags some(std::initializer_list<dlm::LockFlags> flags, std::uint64_t of_hundred);
  dlm::LockFlags drawn_flags(bool conversion);
  dlm::SessionId session();
  dlm::SessionId end_of_session();
  dlm::RequestId request(dlm::SessionId session);
  dlm::LockName any_name();
  Command acquire();

  base::Random random_;
  Setting setting_;
  std::vector<dlm::SessionId> alive_;
  std::vector<dlm::SessionId> ended_;  // Orphans may be left of them. None comes back.
  std::map<dlm::SessionId, std::uint64_t> requests_;
  std::uint64_t replaced_ = 0;
};

struct Divergence {
  std::vector<Command> commands;  // The last one shows it.
  std::string what;
};

// Runs `steps` commands; none if both agreed throughout. `seen` counts what happened.
std::optional<Divergence> run_history(std::uint64_t seed, std::uint64_t steps,
                                      std::map<std::string, std::uint64_t>& seen);

// Leaves out commands as long as the rest diverges.
Divergence shrunk(Divergence found, const dlm::Limits& limits);
std::string text(const Divergence& found);

}  // namespace model
