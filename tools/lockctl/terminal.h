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

  // Gives the foreground to the command. False in the background, and without a terminal.
  bool lend();
  void take_back();

  bool present() const { return fd_ >= 0; }

  // Whether keys like ^C go to us, or to the command alone.
  bool is_ours() const;
  bool is_lent() const;

 private:
  int fd_;  // -1 without a terminal.
  pid_t group_;
  pid_t own_group_;
};

}  // namespace tools::lockctl
