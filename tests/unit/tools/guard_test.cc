#include "tools/lockctl/guard.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <optional>

#include "tests/unit/tools/processes.h"
#include "tools/clocks.h"
#include "tools/lockctl/child.h"
#include "tools/lockctl/duration.h"
#include "tools/lockctl/exit_code.h"

using namespace std::chrono_literals;
using tools::contents;
using tools::eventually;
using tools::is_running;
using tools::read_clocks;
using tools::TemporaryFolder;
using namespace tools::lockctl;

namespace {

sigset_t current_mask() {
  sigset_t mask;
  sigprocmask(SIG_SETMASK, nullptr, &mask);
  return mask;
}

Child run(const Guard& guard, const std::string& script) {
  auto child = Child::start({{"/bin/sh", "-c", script}, {}}, guard.group(), current_mask());
  REQUIRE(child.has_value());
  return *child;
}

int wait_for(Child& child) {
  REQUIRE(eventually([&] { return child.poll() == Child::News::ended; }));
  return child.exit_code();
}

pid_t pid_in(const std::string& path) {
  REQUIRE(eventually([&] { return contents(path).find('\n') != std::string::npos; }));
  return std::stoi(contents(path));
}

// A command with a descendant of its own, both deaf to SIGTERM, which go on doing `work`. Their
// process ids are written to files.
std::string stubborn_family(const TemporaryFolder& folder, const std::string& work) {
  const std::string forever = "while :; do " + work + "; done";
  return "trap '' TERM; (" + forever + ") & echo $! > " + (folder / "grandchild") + "; echo $$ > " +
         (folder / "child") + "; " + forever;
}

// Waits, without a process that would have to be ended as well.
std::string wait_in(const TemporaryFolder& folder) {
  REQUIRE(mkfifo((folder / "fifo").c_str(), 0600) == 0);
  return "read -r x < " + (folder / "fifo");
}

// Notes the boot clock, in hundredths of a second.
std::string note_time_in(const TemporaryFolder& folder) {
  return "read -r up x < /proc/uptime; echo $up >> " + (folder / "stamps");
}

// The last stamp that was written whole.
base::Duration last_stamp(const TemporaryFolder& folder) {
  const std::string stamps = contents(folder / "stamps");
  const std::size_t end = stamps.rfind('\n');
  REQUIRE(end != std::string::npos);
  const std::size_t begin = stamps.rfind('\n', end - 1);
  return parse_duration(stamps.substr(begin + 1, end - begin - 1)).value();
}

}  // namespace

TEST_CASE("the command's own exit code comes through, and the guard leaves in peace") {
  auto guard = Guard::start(read_clocks() + 60s, 1s);
  REQUIRE(guard.has_value());
  Child child = run(*guard, "exit 42");
  CHECK(wait_for(child) == 42);
  CHECK(guard->stop());
}

TEST_CASE("a command that a signal ended answers 128 and the signal's number") {
  auto guard = Guard::start(read_clocks() + 60s, 1s);
  Child child = run(*guard, "kill -USR1 $$");
  CHECK(wait_for(child) == 128 + SIGUSR1);
  CHECK(guard->stop());
}

TEST_CASE("a command that is not there answers 127, one that can not run 126") {
  auto guard = Guard::start(read_clocks() + 60s, 1s);
  const auto missing =
      Child::start({{"no-such-program-anywhere"}, {}}, guard->group(), current_mask());
  REQUIRE(!missing.has_value());
  CHECK(missing.error().exit_code == kNotFound);
  const auto folder = Child::start({{"/tmp"}, {}}, guard->group(), current_mask());
  REQUIRE(!folder.has_value());
  CHECK(folder.error().exit_code == kCannotExecute);
  CHECK(guard->stop());
}

TEST_CASE("the command sees the environment that it is given, and our streams") {
  const TemporaryFolder folder;
  auto guard = Guard::start(read_clocks() + 60s, 1s);
  auto child = Child::start(
      {{"/bin/sh", "-c", "echo $LOCK_TOKEN > " + (folder / "out")}, {{"LOCK_TOKEN", "77"}}},
      guard->group(), current_mask());
  REQUIRE(child.has_value());
  CHECK(wait_for(*child) == 0);
  CHECK(contents(folder / "out") == "77\n");
  CHECK(guard->stop());
}

TEST_CASE("what is left of the group after a peaceful end lives on") {
  const TemporaryFolder folder;
  auto guard = Guard::start(read_clocks() + 60s, 1s);
  Child child = run(*guard, "tail -f /dev/null & echo $! > " + (folder / "background"));
  CHECK(wait_for(child) == 0);
  const pid_t background = pid_in(folder / "background");
  CHECK(guard->stop());
  CHECK(is_running(background));
  kill(background, SIGKILL);
}

TEST_CASE("the whole group is dead when the lease runs out, though it ignores the request to end") {
  const TemporaryFolder folder;
  const base::Instant until = read_clocks() + 700ms;
  auto guard = Guard::start(until, 200ms);
  Child child = run(*guard, stubborn_family(folder, note_time_in(folder)));
  const pid_t grandchild = pid_in(folder / "grandchild");
  CHECK(wait_for(child) == 128 + SIGKILL);
  CHECK(eventually([&] { return !is_running(grandchild); }));
  CHECK(!guard->stop());
  CHECK(last_stamp(folder) < until.boot);
}

TEST_CASE("a command that cleans up within the grace ends by itself, and the lock counts as lost") {
  const TemporaryFolder folder;
  auto guard = Guard::start(read_clocks() + 1500ms, 1200ms);
  Child child = run(*guard, "trap 'echo clean > " + (folder / "out") +
                                "; exit 3' TERM; while :; do tail -f /dev/null & wait; done");
  CHECK(wait_for(child) == 3);
  CHECK(contents(folder / "out") == "clean\n");
  CHECK(!guard->stop());
}

TEST_CASE("a renewal in time keeps the command alive beyond the first lease") {
  auto guard = Guard::start(read_clocks() + 400ms, 100ms);
  const base::Instant first_end = read_clocks() + 400ms;
  Child child = run(*guard, "read -r x < /dev/null; tail -f /dev/null");
  guard->extend(read_clocks() + 60s);
  REQUIRE(eventually([&] { return base::elapsed_at_least(first_end, read_clocks()) > 100ms; }));
  CHECK(!child.poll().has_value());
  guard->lose(read_clocks() + 60s);
  CHECK(wait_for(child) == 128 + SIGTERM);
  CHECK(!guard->stop());
}

TEST_CASE(
    "a lock lost early ends a stubborn command after the grace, not at the far end of the lease") {
  const TemporaryFolder folder;
  auto guard = Guard::start(read_clocks() + 3600s, 100ms);
  Child child = run(*guard, stubborn_family(folder, wait_in(folder)));
  const pid_t grandchild = pid_in(folder / "grandchild");
  guard->lose(read_clocks() + 3600s);
  CHECK(wait_for(child) == 128 + SIGKILL);
  CHECK(eventually([&] { return !is_running(grandchild); }));
  CHECK(!guard->stop());
}

TEST_CASE("a command can be killed without being asked, when its lock is lost") {
  const TemporaryFolder folder;
  auto guard = Guard::start(read_clocks() + 3600s, 3600s, OnLost::kill);
  Child child = run(*guard, "trap 'echo asked > " + (folder / "out") + "' TERM; " + "echo up > " +
                                (folder / "up") + "; while :; do :; done");
  REQUIRE(eventually([&] { return contents(folder / "up") == "up\n"; }));
  guard->lose(read_clocks() + 3600s);
  CHECK(wait_for(child) == 128 + SIGKILL);
  CHECK(contents(folder / "out").empty());
  CHECK(!guard->stop());
}

TEST_CASE("a frozen group stands still before the lease runs out, and ends with lockctl") {
  const TemporaryFolder folder;
  const base::Instant until = read_clocks() + 700ms;
  auto guard = Guard::start(until, 200ms, OnLost::freeze);
  Child child = run(*guard, stubborn_family(folder, note_time_in(folder)));
  const pid_t grandchild = pid_in(folder / "grandchild");
  REQUIRE(eventually([&] { return child.poll() == Child::News::stopped; }));
  REQUIRE(eventually([&] { return base::elapsed_at_least(until, read_clocks()) > 100ms; }));
  CHECK(last_stamp(folder) < until.boot);
  CHECK(is_running(grandchild));
  CHECK(!guard->stop());
  CHECK(wait_for(child) == 128 + SIGKILL);
  CHECK(eventually([&] { return !is_running(grandchild); }));
}

TEST_CASE("a frozen group that somebody continues goes on, and still ends with lockctl") {
  const TemporaryFolder folder;
  auto guard = Guard::start(read_clocks() + 3600s, 200ms, OnLost::freeze);
  Child child = run(*guard, stubborn_family(folder, note_time_in(folder)));
  pid_in(folder / "grandchild");
  guard->lose(read_clocks() + 3600s);
  REQUIRE(eventually([&] { return child.poll() == Child::News::stopped; }));
  const base::Duration stopped = read_clocks().boot;
  kill(-guard->group(), SIGCONT);
  CHECK(eventually([&] { return last_stamp(folder) > stopped; }));
  CHECK(!guard->has_ended());
  CHECK(!guard->stop());
  CHECK(wait_for(child) == 128 + SIGKILL);
}

TEST_CASE("a stopped command is ended too") {
  const TemporaryFolder folder;
  auto guard = Guard::start(read_clocks() + 60s, 100ms);
  Child child = run(*guard, "echo $$ > " + (folder / "child") + "; kill -STOP $$");
  REQUIRE(eventually([&] { return child.poll() == Child::News::stopped; }));
  CHECK(child.stopped_by() == SIGSTOP);
  guard->lose(read_clocks() + 60s);
  CHECK(wait_for(child) == 128 + SIGTERM);
  CHECK(!guard->stop());
}

TEST_CASE(
    "when lockctl is killed the whole group dies with it, and only then its connections close") {
  const TemporaryFolder folder;
  int connection[2];
  REQUIRE(pipe(connection) == 0);
  const pid_t lockctl = fork();
  if (lockctl == 0) {
    close(connection[0]);
    fcntl(connection[1], F_SETFD, FD_CLOEXEC);
    auto guard = Guard::start(read_clocks() + 3600s, 1s);
    const auto child =
        Child::start({{"/bin/sh", "-c", stubborn_family(folder, wait_in(folder))}, {}},
                     guard->group(), current_mask());
    if (!child.has_value()) _exit(1);
    pause();
    _exit(0);
  }
  close(connection[1]);
  const pid_t grandchild = pid_in(folder / "grandchild");
  const pid_t child = pid_in(folder / "child");
  kill(lockctl, SIGKILL);
  char byte = 0;
  CHECK(read(connection[0], &byte, 1) == 0);  // Every holder of the connection is gone.
  CHECK(eventually([&] { return !is_running(grandchild) && !is_running(child); }));
  waitpid(lockctl, nullptr, 0);
  close(connection[0]);
}

TEST_CASE("when lockctl is stopped the group still ends before the lease does") {
  const TemporaryFolder folder;
  const base::Instant until = read_clocks() + 900ms;
  const pid_t lockctl = fork();
  if (lockctl == 0) {
    auto guard = Guard::start(until, 100ms);
    const auto child =
        Child::start({{"/bin/sh", "-c", stubborn_family(folder, note_time_in(folder))}, {}},
                     guard->group(), current_mask());
    if (!child.has_value()) _exit(1);
    raise(SIGSTOP);
    _exit(0);
  }
  const pid_t grandchild = pid_in(folder / "grandchild");
  CHECK(eventually([&] { return !is_running(grandchild); }));
  kill(lockctl, SIGKILL);
  waitpid(lockctl, nullptr, 0);
  CHECK(last_stamp(folder) < until.boot);
}

TEST_CASE("a guard that somebody kills is taken for a lost lock, and the group ends") {
  const TemporaryFolder folder;
  auto guard = Guard::start(read_clocks() + 3600s, 1s);
  Child child = run(*guard, stubborn_family(folder, wait_in(folder)));
  const pid_t grandchild = pid_in(folder / "grandchild");
  kill(guard->group(), SIGKILL);
  CHECK(!guard->stop());
  CHECK(wait_for(child) == 128 + SIGKILL);
  CHECK(eventually([&] { return !is_running(grandchild); }));
}
