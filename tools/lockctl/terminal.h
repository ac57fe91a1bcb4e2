// The controlling terminal's foreground: lent to the command's group when it is ours to lend, taken
// back in the end.
#pragma once

#include <sys/types.h>

namespace tools::lockctl {

class Terminal {
 public:
  // `group` is the command's. SIGTTOU must be blocked (tools/lockctl/signals.h).
  explicit Terminal(pid_t group);

  // Takes the foreground back.
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // Gives the foreground to the command, if it is ours; does nothing in the background or without a
  // terminal.
  void lend();
  void take_back();

  // Whether the foreground was ever lent: keys like ^C then reached the command alone.
  bool was_lent() const { return was_lent_; }

 private:
  int fd_;  // -1 without a terminal.
  pid_t group_;
  pid_t own_group_;
  bool was_lent_ = false;
};

}  // namespace tools::lockctl
