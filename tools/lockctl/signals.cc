#include "tools/lockctl/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

namespace tools::lockctl {
namespace {

constexpr int kPassedOn[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
                             SIGUSR2, SIGALRM, SIGTSTP, SIGCONT, SIGWINCH};
constexpr int kAsksToEnd[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

bool is_ignored(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

const std::span<const int> Signals::kAll = kPassedOn;
const std::span<const int> Signals::kToEnd = kAsksToEnd;

Signals::Signals(std::span<const int> wanted) {
  sigset_t watched;
  sigemptyset(&watched);
  sigaddset(&watched, SIGCHLD);
  for (const int signal : wanted) {
    if (!is_ignored(signal)) sigaddset(&watched, signal);
  }
  fd_ = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
  // tcsetpgrp() from the background would stop us otherwise.
  sigaddset(&watched, SIGTTOU);
  sigprocmask(SIG_BLOCK, &watched, &original_mask_);
}

Signals::~Signals() {
  close(fd_);
  sigprocmask(SIG_SETMASK, &original_mask_, nullptr);
}

std::optional<int> Signals::next() {
  signalfd_siginfo info{};
  if (read(fd_, &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return std::nullopt;
  return static_cast<int>(info.ssi_signo);
}

void die_of(int signal, pid_t whom) {
  std::signal(signal, SIG_DFL);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  ::kill(whom, signal);
  sigprocmask(SIG_UNBLOCK, &only, nullptr);
}

}  // namespace tools::lockctl
