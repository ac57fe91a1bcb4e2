#include "tools/lockctl/terminal.h"

#include <fcntl.h>
#include <unistd.h>

namespace tools::lockctl {

Terminal::Terminal(pid_t group)
    : fd_(open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)), group_(group), own_group_(getpgrp()) {}

Terminal::~Terminal() {
  take_back();
  if (fd_ >= 0) close(fd_);
}

bool Terminal::lend() {
  if (is_ours()) tcsetpgrp(fd_, group_);
  return is_lent();
}

void Terminal::take_back() {
  if (is_lent()) tcsetpgrp(fd_, own_group_);
}

bool Terminal::is_ours() const {
  return fd_ >= 0 && tcgetpgrp(fd_) == own_group_;
}

bool Terminal::is_lent() const {
  return fd_ >= 0 && tcgetpgrp(fd_) == group_;
}

}  // namespace tools::lockctl
