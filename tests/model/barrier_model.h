// A slow model of barriers, written from docs/barriers.md alone: what the barrier table is compared
// with. It shares no code with the table, and keeps nothing but the list of what has happened; who
// takes part, who is a member, what is kept and how much room is taken is read from the beginning
// of that list each time it is asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace barrier_model {

using Session = std::uint64_t;
using Request = std::uint64_t;
using Node = std::pair<std::uint32_t, std::uint64_t>;  // In one of its lives.
using Name = std::pair<std::string, std::string>;      // Lockspace, barrier.

enum class Kind {
  create,
  change,
  arrive,
  leave,
  withdraw,
  cancel,
  remove,
  acknowledge,
  time_out,
  members,
  end_session,
};
enum class Death { break_it, shrink, wait };
enum class Attribute { auto_delete, parties, patience, enabled };

// One command, with what each kind needs of this.
struct Command {
  Kind kind{};
  Session session = 0;
  Request request = 0;
  Node at{};
  Name name;  // Of members: the lockspace alone.
  std::uint32_t parties = 0;
  bool of_nodes = false;
  Death death{};
  bool two_steps = false;
  bool auto_delete = false;
  std::uint32_t patience = 0;
  std::string value;
  std::uint64_t generation = 0;
  bool leaving = false;  // The step, of an acknowledgement or a time-out.
  Request arrival = 0;
  bool force = false;
  Attribute attribute{};
  std::uint32_t number = 0;
  std::uint64_t members_generation = 0;
  std::vector<Node> nodes;
  std::vector<Session> sessions;
  std::vector<Node> failed;
  std::uint64_t ring = 0;
};

struct Limits {
  std::size_t barriers = 65'536;
  std::size_t barriers_per_lockspace = 1024;
  std::size_t lockspaces = 1024;
  std::size_t participants = 4096;
  std::size_t places = 65'536;
  std::size_t outcomes_per_session = 64;
  std::size_t value_bytes = 64u << 20;
};

class BarrierModel {
 public:
  explicit BarrierModel(const Limits& limits) : limits_(limits) {}

  // What is said of it, a line each; of a request the answer first. "arrived 1/2 g1 enter"
  std::vector<std::string> execute(const Command& command);

  // All there is, a line each.
  std::string state() const;

 private:
  enum class What {
    created,       // `index` of the command; the barrier is named by the index of this fact.
    deleted,       // `barrier`
    changed,       // `barrier`, `index` of the command
    members,       // `index` of the command
    ended,         // `session`
    opened,        // `barrier`, `generation`, `leaving`
    came,          // `session`, `request`, `at`, `value`; those of leave when they are inside
    asked,         // `session` asks to leave: `request`, `value`
    withdrew,      // `session`
    died,          // `session`, or 0, and `at`
    waited_for,    // One more replacement.
    replaced,      // One less, if there is one.
    over,          // The step is over.
    outcome,       // `index` of the outcome; the step is over too.
    acknowledged,  // `session`
  };
  struct Fact {
    What what{};
    std::size_t barrier = 0;
    std::uint64_t generation = 0;
    bool leaving = false;
    Session session = 0;
    Request request = 0;
    Node at{};
    std::string value;
    std::size_t index = 0;
  };
  struct Person {
    Node at{};
    Request request = 0;
    std::string value;
  };
  using People = std::map<Session, Person>;
  struct Config {
    Name name;
    std::uint32_t parties = 0;
    bool of_nodes = false;
    Death death{};
    bool two_steps = false;
    bool auto_delete = false;
    std::uint32_t patience = 0;
  };
  struct Outcome {
    std::uint64_t generation = 0;
    bool leaving = false;
    std::string told;  // Everything in it, as text.
    People people;
    std::string ending;
  };
  struct Members {
    std::uint64_t generation = 0;
    std::set<Node> nodes;
    std::set<Session> sessions;
  };

  // Read from the facts.
  std::map<Name, std::size_t> barriers() const;
  std::optional<std::size_t> barrier(const Name& name) const;
  Config config(std::size_t barrier) const;
  std::uint64_t open(std::size_t barrier, bool leaving) const;
  People people(std::uint64_t generation, bool leaving) const;
  Members members(const std::string& lockspace) const;
  std::size_t replacements(std::uint64_t generation) const;
  std::vector<std::size_t> kept() const;
  std::set<Session> owed(std::size_t outcome) const;
  std::size_t places() const;
  std::size_t bytes() const;
  std::size_t load(Session session) const;
  std::size_t counted(const Config& config, const People& people) const;
  bool complete(const Config& config, std::uint64_t generation) const;

  // Commands; each says the answer.
  std::string create(const Command& command);
  std::string change(const Command& command);
  std::string arrive(const Command& command);
  std::string leave(const Command& command);
  std::string withdraw(const Command& command);
  std::string cancel(const Command& command);
  std::string remove(const Command& command);
  std::string acknowledge(const Command& command);
  void time_out(const Command& command);
  void change_members(const Command& command);
  void end_session(const Command& command);

  std::string legal(std::uint32_t parties, Death death) const;
  std::optional<std::string> kept_answer(const Command& command, Request arrival) const;
  void note(Fact fact) { facts_.push_back(std::move(fact)); }
  void end(std::size_t barrier, bool leaving, const std::string& ending);
  void settle();

  Limits limits_;
  std::vector<Command> commands_;
  std::vector<Fact> facts_;
  std::vector<Outcome> outcomes_;

  // Of the command that is executed.
  std::vector<std::string> told_;
  std::set<std::size_t> over_;
};

}  // namespace barrier_model
