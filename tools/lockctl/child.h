// The wrapped command as a process: started in the guard's group, with our streams, folder and
// terminal. What ends it when the lock is lost is the guard, not this.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "tools/lockctl/freezer.h"

namespace tools::lockctl {

struct Command {
  std::vector<std::string> arguments;  // Not empty; the first is looked up in PATH.
  std::vector<std::pair<std::string, std::string>> environment;  // Added to ours.
};

struct StartFailure {
  int exit_code;  // kNotFound, kCannotExecute or kInternal.
  std::string reason;
};

class Child {
 public:
  // `mask` is the signal mask that the command starts with; it starts in the freezer, if there is
  // one. It dies with us (PR_SET_PDEATHSIG).
  static base::Result<Child, StartFailure> start(const Command& command, pid_t group,
                                                 const sigset_t& mask,
                                                 const Freezer* freezer = nullptr);

  enum class News { ended, stopped };

  // What became of it, without waiting; to be asked after SIGCHLD until nothing is new.
  std::optional<News> poll();

  // As a shell would say it: the command's own code, or 128 + N if signal N ended it. Once it has
  // ended.
  int exit_code() const { return exit_code_; }

  // The signal that stopped it, after News::stopped.
  int stopped_by() const { return stopped_by_; }

 private:
  explicit Child(pid_t pid) : pid_(pid) {}

  pid_t pid_;
  int exit_code_ = 0;
  int stopped_by_ = 0;
};

}  // namespace tools::lockctl
