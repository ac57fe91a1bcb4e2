// Random histories for a barrier table and its model, each a function of its seed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "tests/model/barrier_pair.h"

namespace barrier_model {

// What a history is drawn from: by its seed few or many of each, all limits wide or some tight.
struct Setting {
  std::uint64_t sessions = 3;
  std::uint64_t nodes = 2;
  std::uint64_t barriers = 2;  // In each of two lockspaces.
  std::uint64_t lockspaces = 1;
  Limits limits;
};
Setting setting_of(base::Random& random);

// Draws commands that make sense, for the most part, for the table as it stands.
class CommandSource {
 public:
  CommandSource(base::Random random, const Setting& setting);

  Command next(const barrier::Table& table);

 private:
  struct Members {
    std::uint64_t generation = 1;
    std::vector<Node> nodes;
    std::vector<Session> sessions;
  };

  Command create();
  Command change();
  Command arrive();
  Command leave(const barrier::Table& table);
  Command withdraw(const barrier::Table& table);
  Command acknowledge(const barrier::Table& table);
  Command time_out(const barrier::Table& table);
  Command change_members();
  Command end_session();
  Command asked(Kind kind);

  std::uint64_t session();
  Name name();
  Node node_of(Session session) const;
  void add_members(Command& command, const Members& members) const;
  std::string value();

  base::Random random_;
  Setting setting_;
  std::vector<Session> alive_;
  Session last_session_ = 0;
  std::vector<Node> lives_;  // Of each node, the current one.
  std::map<Session, Request> requests_;
  std::map<std::string, Members> members_;
  std::vector<Command> sent_;
  std::vector<Name> there_;
  std::uint64_t ring_ = 1;
};

// A command, and whether both tables are loaded from images before it.
using Move = std::pair<Command, bool>;

struct Divergence {
  std::vector<Move> moves;  // The last one shows it.
  std::string what;
};

// Runs `steps` commands; none if all agreed throughout. `seen` counts what was said.
std::optional<Divergence> run_history(std::uint64_t seed, std::uint64_t steps,
                                      std::map<std::string, std::uint64_t>& seen);

// Leaves out commands as long as the rest diverges.
Divergence shrunk(Divergence found, const Limits& limits);
std::string text(const Divergence& found);

}  // namespace barrier_model
