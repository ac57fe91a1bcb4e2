// The lock table has the semantics of the model: tables of all there is, small histories of all
// kinds, and random long ones. More of the last: tests/model/table_vs_model.cc.
#include <doctest/doctest.h>

#include <array>

#include "tests/model/table_history.h"

namespace model {
namespace {

namespace flag = base::lock_flag;
using dlm::LockFlags;
using dlm::LockName;

constexpr std::array kAllModes = {dlm::Mode::nl, dlm::Mode::cr, dlm::Mode::cw,
                                  dlm::Mode::pr, dlm::Mode::pw, dlm::Mode::ex};

LockName lock(std::uint64_t session) {
  return {dlm::SessionId{session}, dlm::RequestId{1}};
}

Command acquire(std::uint64_t session, dlm::Mode mode, LockFlags flags = 0) {
  Command command;
  command.lock = lock(session);
  command.mode = mode;
  command.flags = flags | flag::notify;
  return command;
}

Command convert(std::uint64_t session, dlm::Mode mode, LockFlags flags = 0) {
  static std::uint64_t request = 1;
  Command command = acquire(session, mode, flags);
  command.kind = Command::Kind::convert;
  command.request = dlm::RequestId{++request};
  command.value = static_cast<unsigned char>(request % 250);
  return command;
}

Command release(std::uint64_t session, LockFlags flags = flag::force) {
  Command command;
  command.kind = Command::Kind::release;
  command.lock = lock(session);
  command.flags = flags;
  command.value = static_cast<unsigned char>(251);
  return command;
}

Command cancel(std::uint64_t session) {
  Command command;
  command.kind = Command::Kind::cancel;
  command.lock = lock(session);
  return command;
}

Command end(std::uint64_t session, dlm::Ending ending) {
  Command command;
  command.kind = Command::Kind::end;
  command.lock = lock(session);
  command.ending = ending;
  return command;
}

// Fails with the whole history if table and model differ in it.
void agree(const std::vector<Command>& commands) {
  TablePair pair;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    const std::string wrong = pair.execute(commands[i]);
    if (wrong.empty()) continue;
    Divergence found{{commands.begin(), commands.begin() + static_cast<std::ptrdiff_t>(i) + 1},
                     wrong};
    REQUIRE_MESSAGE(wrong.empty(), text(found));
  }
}

// No flag, each alone, each two.
std::vector<LockFlags> combinations(const std::vector<LockFlags>& flags) {
  std::vector<LockFlags> all = {0};
  for (std::size_t i = 0; i < flags.size(); ++i) {
    all.push_back(flags[i]);
    for (std::size_t j = 0; j < i; ++j) all.push_back(flags[i] | flags[j]);
  }
  return all;
}

// All bits but CONVERT and TIMEOUT, which are no flags here.
std::vector<LockFlags> every_flag() {
  std::vector<LockFlags> all;
  for (LockFlags bit = 1; bit <= flag::force; bit <<= 1) {
    if (bit != kConvert) all.push_back(bit);
  }
  return all;
}

}  // namespace

TEST_CASE("requests with every mode and every two flags, beside every holder, do as in the model") {
  for (const dlm::Mode held : kAllModes) {
    for (const dlm::Mode wanted : kAllModes) {
      for (const LockFlags flags : combinations(every_flag())) {
        if ((flags & flag::adopt_orphan) != 0) continue;  // A request of its own.
        agree({acquire(1, held), acquire(2, wanted, flags), acquire(3, dlm::Mode::pr), release(1),
               release(2)});
      }
    }
  }
}

TEST_CASE("conversions with every two flags are legal exactly where the model says so") {
  for (const dlm::Mode from : kAllModes) {
    for (const dlm::Mode to : kAllModes) {
      for (const LockFlags flags : combinations(every_flag())) {
        agree({acquire(1, from), acquire(2, dlm::Mode::nl), convert(1, to, flags),
               convert(3, to, flags)});
      }
    }
  }
}

TEST_CASE("conversions beside every holder and whoever waits do as in the model") {
  const std::vector<LockFlags> flags = {0,
                                        flag::queue_convert,
                                        flag::no_order,
                                        flag::head_of_queue,
                                        flag::no_queue,
                                        flag::no_queue | flag::no_queue_notify,
                                        flag::demote_on_deadlock,
                                        flag::no_deadlock_wait,
                                        flag::or_pr,
                                        flag::or_cw,
                                        flag::or_pr | flag::or_cw,
                                        flag::queue_convert | flag::or_pr | flag::value_block,
                                        flag::no_deadlock_wait | flag::or_cw | flag::value_block};
  std::size_t tried = 0;
  for (const dlm::Mode from : kAllModes) {
    for (const dlm::Mode third : kAllModes) {
      if (!dlm::compatible(from, third)) continue;
      for (const dlm::Mode to : kAllModes) {
        for (const dlm::Mode other : kAllModes) {
          for (const LockFlags with : flags) {
            const Command asks = convert(1, to, with);
            agree({acquire(1, from), acquire(2, third), acquire(3, other), asks, release(2),
                   release(3), release(1)});
            agree({acquire(1, from), acquire(2, third), convert(2, other), asks, cancel(2),
                   release(2), release(1)});
            agree({acquire(4, dlm::Mode::nl), acquire(1, from), acquire(2, third),
                   convert(4, other), asks, release(2), release(4)});
            tried += 3;
          }
        }
      }
    }
  }
  CHECK(tried > 20'000);
}

TEST_CASE("who is granted past those who wait hears of them as in the model") {
  std::size_t heard = 0;
  const auto play = [&](dlm::Mode held, dlm::Mode first, dlm::Mode second,
                        const Command& newcomer) {
    const std::vector<Command> commands = {
        acquire(1, held),          acquire(2, first), acquire(3, second), newcomer,
        convert(4, dlm::Mode::nl), release(1),        release(4)};
    agree(commands);
    TablePair pair;
    for (std::size_t i = 0; i < 4; ++i) REQUIRE(pair.execute(commands[i]).empty());
    heard += pair.table().find(lock(4))->notified != dlm::Mode::nl ? 1 : 0;
  };
  for (const dlm::Mode held : kAllModes) {
    for (const dlm::Mode first : kAllModes) {
      for (const dlm::Mode second : kAllModes) {
        for (const dlm::Mode mode : kAllModes) {
          play(held, first, second, acquire(4, mode, flag::no_order));
          play(held, first, second, acquire(4, mode, flag::head_of_queue));
        }
      }
    }
  }
  CHECK(heard > 200);
}

TEST_CASE("value blocks move, and are marked, by transition as in the model") {
  const std::vector<LockFlags> flags = {0, flag::value_block, flag::invalidate_value,
                                        flag::value_block | flag::invalidate_value};
  const std::vector<dlm::Ending> endings = {dlm::Ending::closed, dlm::Ending::node_gone,
                                            dlm::Ending::purged};
  for (const LockFlags mark : {flag::value_block, flag::invalidate_value}) {
    for (const dlm::Mode from : kAllModes) {
      for (const dlm::Mode to : kAllModes) {
        for (const LockFlags with : flags) {
          const std::vector<Command> begin = {acquire(1, dlm::Mode::nl), acquire(2, dlm::Mode::ex),
                                              convert(2, dlm::Mode::ex, mark), convert(2, from),
                                              convert(2, to, with)};
          const Command reads = acquire(3, dlm::Mode::nl, flag::value_block);
          const auto then = [&](const Command& last) {
            std::vector<Command> all = begin;
            all.insert(all.end(), {reads, last, convert(3, dlm::Mode::cr, flag::value_block)});
            agree(all);
          };
          for (const LockFlags at_release : flags) then(release(2, at_release));
          for (const dlm::Ending ending : endings) then(end(2, ending));
        }
      }
    }
  }
}

// All that can be done with up to three locks, from `pair` on.
void go_on(const TablePair& pair, int steps, std::vector<Command>& done, std::size_t& states) {
  if (steps == 0) return;
  std::vector<Command> next;
  for (std::uint64_t session = 1; session <= 3; ++session) {
    for (const dlm::Mode mode : kAllModes) next.push_back(convert(session, mode));
    next.push_back(release(session));
    next.push_back(release(session, 0));
    next.push_back(cancel(session));
    next.push_back(end(session, dlm::Ending::closed));
  }
  for (const Command& command : next) {
    TablePair after = pair;
    ++states;
    done.push_back(command);
    const std::string wrong = after.execute(command);
    if (!wrong.empty()) REQUIRE_MESSAGE(wrong.empty(), text(Divergence{done, wrong}));
    go_on(after, steps - 1, done, states);
    done.pop_back();
  }
}

TEST_CASE("whatever is done in two steps with any three locks is done as in the model") {
  std::size_t states = 0;
  // CR is like NL, and PW like EX, but to each other: they are what is converted to.
  constexpr std::array kBegin = {dlm::Mode::nl, dlm::Mode::cw, dlm::Mode::pr, dlm::Mode::ex};
  for (const dlm::Mode one : kBegin) {
    for (const dlm::Mode two : kBegin) {
      for (const dlm::Mode three : kBegin) {
        TablePair pair;
        std::vector<Command> done = {acquire(1, one), acquire(2, two, flag::persistent),
                                     acquire(3, three)};
        for (const Command& command : done) REQUIRE(pair.execute(command) == "");
        go_on(pair, 2, done, states);
      }
    }
  }
  CHECK(states == 64 * (30 + 30 * 30));
}

TEST_CASE("random histories go as in the model, and nobody in them waits for ever") {
  std::map<std::string, std::uint64_t> seen;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    const auto found = run_history(seed, 250, seen);
    if (found) REQUIRE_MESSAGE(!found, text(*found));
  }
  for (const char* what :
       {"deadlock at a grant", "deadlock at a request", "deadlock of conversions", "notified",
        "granted from a queue", "refused: too many locks", "refused: session full",
        "refused: too many resources", "refused: too many lockspaces", "refused: would block",
        "refused: in progress", "refused: bad flags", "refused: duplicate", "ring of 2 steps",
        "ring of 3 steps"}) {
    CAPTURE(what);
    CHECK(seen[what] > 0);
  }
}

TEST_CASE("a history that shows a difference is shortened to what shows it") {
  // Nothing differs: so what is shown here is that what does not is kept, whole.
  Divergence found{{acquire(1, dlm::Mode::pr), acquire(2, dlm::Mode::ex)}, "planted"};
  CHECK(shrunk(found, {}).commands.size() == 2);
  CHECK(text(found) == "acquire 1/1 a PR NOTIFY\nacquire 2/1 a EX NOTIFY\n  -> planted\n");
}

}  // namespace model
