// The signals that lockctl passes on to its command, and the news of its children, as one pollable
// descriptor. They are blocked, not handled, so that dispositions reach the command untouched.
#pragma once

#include <csignal>
#include <optional>

namespace tools::lockctl {

class Signals {
 public:
  // Blocks SIGCHLD and, unless they are ignored, the signals that ask a program to do something.
  Signals();
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

}  // namespace tools::lockctl
