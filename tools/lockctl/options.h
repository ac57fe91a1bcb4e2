// The command line of lockctl as values. Options stand before or after the names they go with.
#pragma once

#include <liblock/barrier.h>

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/lock_mode.h"
#include "base/result.h"
#include "base/time.h"
#include "tools/lockctl/exit_code.h"
#include "tools/lockctl/guard.h"

namespace tools::lockctl {

struct RunOptions {
  std::string name;
  std::vector<std::string> command;
  bool shared = false;
  std::optional<base::Duration> wait;  // None: until the lock is ours. 0: not at all.
  base::Duration grace = std::chrono::milliseconds(300);
  OnLost on_lost = OnLost::term;
  int busy_code = kBusy;
};

struct BarrierOptions {
  enum class Action { wait, cancel, remove };
  std::string name;
  Action action = Action::wait;
  bool force = false;  // Of remove: also if somebody is there.

  // What the barrier is to be.
  unsigned parties = 0;  // 0: all nodes of the lockspace.
  bool nodes = false;
  lock_barrier_on_death on_death = LOCK_BARRIER_BREAK;
  unsigned patience_ms = 0;
  bool keep = false;

  std::optional<base::Duration> wait;  // None: until it is over.
  std::optional<std::string> value;
};

struct ListOptions {
  std::string prefix;
  bool lockspaces = false;
  bool barriers = false;
};

struct ShowOptions {
  std::string name;
};

struct LockOptions {
  std::string name;
  base::LockMode mode = base::LockMode::ex;
  std::optional<base::Duration> wait;  // As of run.
  bool read_value = false;
  int follow = 0;  // The process whose end frees the lock; 0: the shell.
  bool detach = false;
};

struct ConvertOptions {
  std::string name;
  base::LockMode mode = base::LockMode::ex;
  std::optional<base::Duration> wait;
  bool read_value = false;
  std::optional<base::ValueBlock> value;
};

struct UnlockOptions {
  std::string name;
  std::optional<base::ValueBlock> value;
};

struct HeldOptions {
  std::string name;
};

struct StatusOptions {
  bool ring = false;
  bool counters = false;
};

struct RingLogOptions {};
struct WhyOptions {
  std::string name;  // Empty: of the ring.
  bool all = false;
};

struct DeadlocksOptions {
  bool dot = false;
};

struct MembersOptions {};

struct WatchOptions {
  std::vector<std::string> types;  // None: all; words of watch_json.h.
  std::string name;                // Empty: all.
  bool prefix = false;             // All that begin so.
  std::uint64_t count = 0;         // Ends after so many events; 0: never.
};

struct EvsJoinOptions {
  std::vector<std::string> groups;
  std::uint64_t count = 0;  // Ends after so many messages; 0: never.
};

struct EvsSendOptions {
  std::vector<std::string> groups;
  std::string guarantee = "agreed";
  std::vector<std::string> messages;  // None: the lines of standard input.
};

struct EvsMembersOptions {};

struct KeygenOptions {
  std::string file;
};

struct KeysOptions {
  enum class Change { none, add, use, remove };
  std::string file;  // Empty: what the daemons use.
  Change change = Change::none;
  std::uint16_t id = 0;  // Of use and remove.
};

struct Options {
  std::string socket;
  std::string lockspace;  // Empty: every one for ls, "default" for the others.
  bool json = false;
  std::variant<RunOptions, LockOptions, ConvertOptions, UnlockOptions, HeldOptions, BarrierOptions,
               ListOptions, ShowOptions, StatusOptions, RingLogOptions, WhyOptions,
               DeadlocksOptions, MembersOptions, WatchOptions, EvsJoinOptions, EvsSendOptions,
               EvsMembersOptions, KeygenOptions, KeysOptions>
      verb;
};

// Nothing is left to be done: help or version was asked for, or the line is wrong.
struct ParseEnd {
  int exit_code;
  std::string text;
};

base::Result<Options, ParseEnd> parse_options(int argc, const char* const* argv);

}  // namespace tools::lockctl
