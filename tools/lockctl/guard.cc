#include "tools/lockctl/guard.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <utility>

#include "tools/clocks.h"

namespace tools::lockctl {
namespace {

enum class Kind : std::uint32_t { extend, lose, stop };

// What lockctl sends, one order a packet. Both ends are the same program.
struct Order {
  Kind kind;
  base::Instant until;
};

// How long the holder may still count on `until`, by the clock that has run faster.
base::Duration left_of(base::Instant until, base::Instant now) {
  return std::min(until.boot - now.boot, until.raw - now.raw);
}

// The guard's own process. It allocates nothing and ends by _exit.
class Watch {
 public:
  Watch(int orders, base::Instant until, base::Duration grace, OnLost on_lost,
        const Freezer* freezer)
      : orders_(orders),
        timer_(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC)),
        grace_(on_lost == OnLost::term ? grace : base::Duration(0)),
        on_lost_(on_lost),
        freezer_(freezer) {
    set_until(until);
  }

  [[noreturn]] void run() {
    if (timer_ < 0) kill_group();
    for (;;) {
      const base::Instant now = read_clocks();
      if (!ending_ && left_of(end_at_, now) <= base::Duration(0)) end_group();
      if (!frozen_ && left_of(kill_at_, now) <= base::Duration(0)) kill_group();
      set_timer(frozen_ ? kLong : left_of(ending_ ? kill_at_ : end_at_, now));
      std::array<pollfd, 2> waits = {{{orders_, POLLIN, 0}, {timer_, POLLIN, 0}}};
      if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) kill_group();
      if (waits[0].revents != 0) take_order();
    }
  }

 private:
  static constexpr base::Duration kLong = std::chrono::hours(1);

  void take_order() {
    Order order{};
    const ssize_t got = recv(orders_, &order, sizeof order, 0);
    if (got < 0 && errno == EINTR) return;
    // Anything but a whole order is the end of lockctl.
    if (got != static_cast<ssize_t>(sizeof order)) kill_group();
    switch (order.kind) {
      case Kind::extend:
        if (!ending_) set_until(order.until);
        break;
      case Kind::lose:
        if (ending_) break;
        set_until(order.until);
        end_group();
        break;
      case Kind::stop:
        if (ending_) kill_group();
        _exit(0);
    }
  }

  void set_until(base::Instant until) {
    kill_at_ = until + -kKillMargin;
    end_at_ = kill_at_ + -grace_;
  }

  void end_group() {
    switch (on_lost_) {
      case OnLost::term:
        return ask_group_to_end();
      case OnLost::kill:
        kill_group();
      case OnLost::freeze:
        return freeze_group();
    }
  }

  // Stops the guard too. Should somebody continue the group, it is his: only the end of lockctl
  // still ends it.
  void freeze_group() {
    ending_ = true;
    frozen_ = true;
    if (freezer_ != nullptr) freezer_->freeze();
    ::kill(0, SIGSTOP);
  }

  // The stopped are continued, or they would not hear of it.
  void ask_group_to_end() {
    ending_ = true;
    const base::Instant now = read_clocks();
    if (left_of(kill_at_, now) > grace_) kill_at_ = now + grace_;
    ::kill(0, SIGTERM);
    ::kill(0, SIGCONT);
  }

  // Ends the guard too: that is how lockctl learns of it.
  [[noreturn]] void kill_group() {
    if (freezer_ != nullptr) freezer_->kill();
    ::kill(0, SIGKILL);
    _exit(1);
  }

  // The raw clock can run faster than the timer's: wakes a little early, and looks again.
  void set_timer(base::Duration wait) {
    wait = std::max<base::Duration>(wait - wait / 512, std::chrono::microseconds(50));
    itimerspec spec{};
    spec.it_value.tv_sec = wait.count() / 1'000'000'000;
    spec.it_value.tv_nsec = wait.count() % 1'000'000'000;
    timerfd_settime(timer_, 0, &spec, nullptr);
  }

  int orders_;
  int timer_;
  base::Duration grace_;
  OnLost on_lost_;
  const Freezer* freezer_;  // Null: there is none.
  base::Instant end_at_;
  base::Instant kill_at_;
  bool ending_ = false;
  bool frozen_ = false;
};

// Only SIGKILL ends a guard: what is sent to the group is meant for the command.
void ignore_signals() {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

void give(int orders, const Order& order) {
  // An error means that the guard is dead, which stop() tells.
  while (send(orders, &order, sizeof order, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

}  // namespace

base::Result<Guard, std::string> Guard::start(base::Instant until, base::Duration grace,
                                              OnLost on_lost, const Freezer* freezer) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return base::error(std::string("can not make a socket pair: ") + std::strerror(errno));
  }
  const pid_t pid = fork();
  if (pid < 0) {
    const std::string reason = std::strerror(errno);
    close(ends[0]);
    close(ends[1]);
    return base::error("can not start a process: " + reason);
  }
  if (pid == 0) {
    ignore_signals();
    setpgid(0, 0);
    prctl(PR_SET_NAME, "lockctl-guard");
    close(ends[1]);
    // A pipeline that reads our output must see its end with the command's, not with ours.
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) close(stream);
    Watch(ends[0], until, grace, on_lost, freezer).run();
  }
  setpgid(pid, pid);  // Whichever of the two is first.
  close(ends[0]);
  return Guard(pid, ends[1]);
}

Guard::Guard(Guard&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), orders_(std::exchange(other.orders_, -1)) {}

Guard::~Guard() {
  if (pid_ <= 0) return;
  close(orders_);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Guard::extend(base::Instant until) {
  give(orders_, {Kind::extend, until});
}

void Guard::lose(base::Instant until) {
  give(orders_, {Kind::lose, until});
}

bool Guard::has_ended() const {
  siginfo_t ended{};
  return waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         ended.si_pid == pid_;
}

bool Guard::stop() {
  give(orders_, {Kind::stop, {}});
  close(orders_);
  ::kill(pid_, SIGCONT);  // It may have stopped itself with its group.
  siginfo_t ended{};
  while (waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
  }
  const bool left_alone = ended.si_code == CLD_EXITED && ended.si_status == 0;
  // A guard that somebody else killed has ended nothing. Until it is reaped the group's number is
  // its own.
  if (!left_alone) ::kill(-pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return left_alone;
}

}  // namespace tools::lockctl
