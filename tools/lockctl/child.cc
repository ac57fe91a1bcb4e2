#include "tools/lockctl/child.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "tools/lockctl/exit_code.h"

namespace tools::lockctl {
namespace {

// In the new process, until exec. Reports errno through `failure`, which a successful exec closes.
[[noreturn]] void become(const Command& command, char* const* arguments, pid_t group,
                         const sigset_t& mask, const Freezer* freezer, pid_t parent, int failure) {
  setpgid(0, group);
  if (freezer != nullptr) freezer->join();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kInternal);
  for (const auto& [name, value] : command.environment) setenv(name.c_str(), value.c_str(), 1);
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  execvp(arguments[0], arguments);
  const int reason = errno;
  if (write(failure, &reason, sizeof reason) < 0) _exit(kInternal);
  _exit(kCannotExecute);
}

}  // namespace

base::Result<Child, StartFailure> Child::start(const Command& command, pid_t group,
                                               const sigset_t& mask, const Freezer* freezer) {
  std::vector<char*> arguments;
  for (const std::string& argument : command.arguments)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);

  std::array<int, 2> failure{};
  if (pipe2(failure.data(), O_CLOEXEC) != 0) {
    return base::error(
        StartFailure{kInternal, std::string("can not make a pipe: ") + std::strerror(errno)});
  }
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) become(command, arguments.data(), group, mask, freezer, parent, failure[1]);
  const int fork_error = errno;
  close(failure[1]);
  int reason = 0;
  ssize_t got = 0;
  if (pid > 0) {
    setpgid(pid, group);  // Whichever of the two is first.
    do {
      got = read(failure[0], &reason, sizeof reason);
    } while (got < 0 && errno == EINTR);
  }
  close(failure[0]);
  if (pid < 0) {
    return base::error(StartFailure{
        kInternal, std::string("can not start a process: ") + std::strerror(fork_error)});
  }
  if (got == 0) return Child(pid);
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return base::error(StartFailure{reason == ENOENT ? kNotFound : kCannotExecute,
                                  command.arguments[0] + ": " + std::strerror(reason)});
}

std::optional<Child::News> Child::poll() {
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG | WUNTRACED) != pid_) return std::nullopt;
  if (WIFSTOPPED(status)) {
    stopped_by_ = WSTOPSIG(status);
    return News::stopped;
  }
  exit_code_ = WIFSIGNALED(status) ? kSignal + WTERMSIG(status) : WEXITSTATUS(status);
  return News::ended;
}

}  // namespace tools::lockctl
