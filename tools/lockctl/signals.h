// The signals that ask a program to do something, and the news of its children, as one pollable
// descriptor. They are blocked, not handled, so that dispositions reach the command untouched.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <optional>
#include <span>

namespace tools::lockctl {

class Signals {
 public:
  // Those that are passed on to a command, and those that ask us to end.
  static const std::span<const int> kAll;
  static const std::span<const int> kToEnd;

  // Blocks SIGCHLD and, unless they are ignored, these.
  explicit Signals(std::span<const int> wanted = kAll);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  int fd() const { return fd_; }

  // The next signal that came, without waiting.
  std::optional<int> next();

  // The mask that the command has to start with.
  const sigset_t& original_mask() const { return original_mask_; }

 private:
  int fd_;
  sigset_t original_mask_{};
};

// Ends this process by the signal, as if it had never been blocked: a shell goes on with its script
// unless it sees that ^C has ended what it waits for. `whom` gets it too; 0: our whole group.
void die_of(int signal, pid_t whom);

}  // namespace tools::lockctl
