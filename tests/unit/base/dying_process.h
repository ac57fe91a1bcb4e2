// What a process says that ends by a failed CHECK.
#pragma once

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <string>

namespace base {

// base/check.h has a CHECK of its own, which doctest's would be taken for.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);

// Runs `act` in a process of its own, and after it fails a CHECK at "planted.cc:1"; that the
// process ends by abort() is checked. What it wrote to stderr.
inline std::string words_of_dying(const std::function<void()>& act) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    std::signal(SIGABRT, SIG_DFL);  // Not doctest's.
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    act();
    check_failed("a planted condition", "planted.cc", 1);
  }
  close(ends[1]);
  std::string said;
  char bytes[4096];
  for (ssize_t size = 0; (size = read(ends[0], bytes, sizeof bytes)) > 0;)
    said.append(bytes, static_cast<std::size_t>(size));
  close(ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGABRT);
  return said;
}

}  // namespace base
