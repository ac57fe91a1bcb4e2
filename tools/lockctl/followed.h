// A process that a held lock belongs to: when it ends, the lock is given back. By default it is the
// shell that a command was typed into, or the program that started it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/result.h"
#include "tools/lockctl/failure.h"

namespace tools::lockctl {

class Followed {
 public:
  // The parent, or, as long as that is a mere copy of its own parent (a subshell has not executed
  // anything), the process that it is a copy of.
  static base::Result<Followed, Failure> shell();
  static base::Result<Followed, Failure> process(pid_t pid);

  Followed(Followed&& other) noexcept;
  Followed& operator=(Followed&& other) = delete;
  ~Followed();

  pid_t pid() const { return pid_; }

  // Readable once it has ended. Survives a fork.
  int fd() const { return fd_; }

  // Names it among all processes since the machine started: a number comes again, the two do not.
  std::string id() const;

  // Its command line, for people; empty if it can not be read.
  std::string command() const;

 private:
  Followed(pid_t pid, int fd) : pid_(pid), fd_(fd) {}

  pid_t pid_;
  int fd_;
  unsigned long long started_ = 0;  // In ticks since the machine started.
  pid_t copy_of_ = 0;               // Its parent, if it has executed nothing since its fork.
};

}  // namespace tools::lockctl
