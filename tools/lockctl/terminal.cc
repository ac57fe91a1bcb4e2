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

void Terminal::lend() {
  if (fd_ < 0 || tcgetpgrp(fd_) != own_group_) return;
  was_lent_ = tcsetpgrp(fd_, group_) == 0 || was_lent_;
}

void Terminal::take_back() {
  if (fd_ >= 0 && tcgetpgrp(fd_) == group_) tcsetpgrp(fd_, own_group_);
}

}  // namespace tools::lockctl
