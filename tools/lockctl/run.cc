#include "tools/lockctl/run.h"

#include <liblock/lock.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <optional>
#include <utility>

#include "tools/clocks.h"
#include "tools/lockctl/acquire.h"
#include "tools/lockctl/child.h"
#include "tools/lockctl/exit_code.h"
#include "tools/lockctl/freezer.h"
#include "tools/lockctl/guard.h"
#include "tools/lockctl/name.h"
#include "tools/lockctl/signals.h"
#include "tools/lockctl/terminal.h"

namespace tools::lockctl {
namespace {

// Shorter renewals are not worth telling the guard.
constexpr base::Duration kRenewalStep = std::chrono::milliseconds(5);

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

// A command under way, and the lock that it runs under.
class Wrapped {
 public:
  Wrapped(const RunOptions& options, Held held, bool tell)
      : options_(options), held_(std::move(held)), tell_(tell) {}

  base::Result<RunReport, Failure> run() {
    const base::Instant start = read_clocks();
    renew();
    if (lost_)
      return base::error(
          Failure{kUnavailable, "the lease was over before the command could start"});
    if (options_.on_lost == OnLost::freeze) {
      if (auto freezer = Freezer::create()) freezer_.emplace(std::move(*freezer));
    }
    auto guard = Guard::start(until_, std::min(options_.grace, (until_.boot - start.boot) / 2),
                              options_.on_lost, freezer());
    if (!guard) return base::error(Failure{kInternal, guard.error()});
    guard_.emplace(std::move(*guard));
    group_ = guard_->group();

    Terminal terminal(group_);
    // Not to somebody whose output another program of the pipeline shows: that one wants the keys.
    if (isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1) terminal.lend();
    auto child = Child::start(command(), group_, signals_.original_mask(), freezer());
    if (!child) {
      guard_->stop();
      release();
      return base::error(Failure{child.error().exit_code, child.error().reason});
    }
    while (!attend(*child, terminal)) {
    }
    const bool held = lock_is_held(held_.client.get(), &held_.grant) == 1;
    const bool left_alone = guard_ && guard_->stop();
    RunReport report;
    report.name = options_.name;
    report.token = held_.grant.token;
    report.lost = !held || !left_alone;
    report.exit_code = report.lost ? kLost : child->exit_code();
    report.held = read_clocks().boot - start.boot;
    if (!report.lost) release();
    // What is frozen and has left the group must not go on when the freezer is gone; the guard may
    // have been killed before it could end it.
    if (report.lost && freezer_) freezer_->kill();
    if (report.lost && tell_) {
      std::fprintf(stderr, "lockctl: %s: the lock was lost; the command was %s in time\n",
                   printable(options_.name).c_str(), frozen() ? "stopped" : "ended");
    }
    const bool interrupted = report.exit_code == kSignal + SIGINT;
    const bool lent = terminal.is_lent();
    terminal.take_back();
    // If ^C went to the command alone, it is our whole group's.
    if (interrupted && terminal.is_ours()) die_of(SIGINT, lent ? 0 : getpid());
    return report;
  }

 private:
  Command command() const {
    return {options_.command,
            {{"LOCK_NAME", options_.name},
             {"LOCK_TOKEN", std::to_string(held_.grant.token)},
             {"LOCK_MODE", options_.shared ? "PR" : "EX"}}};
  }

  // Waits for news and deals with them. True once the command has ended.
  bool attend(Child& child, Terminal& terminal) {
    std::array<pollfd, 2> news = {
        {{lock_fd(held_.client.get()), POLLIN, 0}, {signals_.fd(), POLLIN, 0}}};
    ::poll(news.data(), news.size(), lock_timeout_ms(held_.client.get()));
    lock_dispatch(held_.client.get());  // An error is the end of the lease: renew() sees it.
    renew();
    while (const auto signal = signals_.next()) {
      if (*signal != SIGCHLD) {
        pass_on(*signal);
        continue;
      }
      if (guard_ && guard_->has_ended()) {
        guard_->stop();
        guard_.reset();
      }
      while (const auto change = child.poll()) {
        if (*change == Child::News::ended) return true;
        if (!frozen()) stop_like(child, terminal);
      }
    }
    return false;
  }

  const Freezer* freezer() const { return freezer_ ? &*freezer_ : nullptr; }

  // Its guard has stopped the command, or is about to, for good.
  bool frozen() const { return lost_ && options_.on_lost == OnLost::freeze; }

  // To a command that is frozen a signal to end is the end, and the shell's word to go on nothing.
  void pass_on(int signal) {
    if (!frozen()) {
      ::kill(-group_, signal);
    } else if (signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT) {
      if (freezer_) freezer_->kill();
      ::kill(-group_, SIGKILL);
    }
  }

  // The command was stopped. If it wants the terminal, it gets it; else the shell has to see its
  // job stopped, so we stop too. When the shell continues us, attend() passes the SIGCONT on. The
  // guard watches meanwhile.
  void stop_like(const Child& child, Terminal& terminal) {
    if (!terminal.present()) return;
    const bool wants_terminal = child.stopped_by() == SIGTTIN || child.stopped_by() == SIGTTOU;
    if (wants_terminal && terminal.lend()) {
      ::kill(-group_, SIGCONT);
      return;
    }
    const bool lent = terminal.is_lent();
    terminal.take_back();
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    ::kill(0, SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &stop, nullptr);  // Here we stop.
    sigprocmask(SIG_BLOCK, &stop, nullptr);
    if (lent || wants_terminal) terminal.lend();
    // Where no shell could continue us, the system has not stopped us: ^Z means nothing there.
    if (child.stopped_by() == SIGTSTP) ::kill(-group_, SIGCONT);
  }

  void renew() {
    if (lost_) return;
    const base::Instant now = read_clocks();
    const std::uint64_t valid = lock_valid_for_ns(held_.client.get(), &held_.grant);
    if (valid == 0) {
      lost_ = true;
      if (guard_) guard_->lose(until_);
      if (frozen() && guard_) tell_frozen();
      return;
    }
    const base::Instant until = now + base::Duration(static_cast<std::int64_t>(valid));
    if (until.boot - until_.boot < kRenewalStep) return;
    until_ = until;
    if (guard_) guard_->extend(until_);
  }

  void tell_frozen() const {
    const std::string thaw = freezer_ ? "echo 0 > " + freezer_->path() + "/cgroup.freeze; " : "";
    std::fprintf(stderr,
                 "lockctl: %s: the lock was lost; the command is stopped. It goes on without the "
                 "lock by \"%skill -CONT -- -%d\", and ends by \"kill -TERM %d\"\n",
                 printable(options_.name).c_str(), thaw.c_str(), group_, getpid());
  }

  // The daemon's word is awaited, so that who comes next finds the lock free. The work is done
  // either way.
  void release() { lock_release(held_.client.get(), &held_.grant); }

  const RunOptions& options_;
  Held held_;
  bool tell_;
  Signals signals_;
  std::optional<Freezer> freezer_;
  std::optional<Guard> guard_;  // None once it has ended the group.
  pid_t group_ = 0;
  base::Instant until_;
  bool lost_ = false;
};

}  // namespace

base::Result<RunReport, Failure> run(const RunOptions& options, const std::string& lockspace,
                                     const std::string& socket, bool json) {
  Wanted wanted;
  wanted.socket = socket;
  wanted.lockspace = lockspace;
  wanted.name = options.name;
  wanted.holder = joined(options.command);
  wanted.mode = options.shared ? LOCK_MODE_PR : LOCK_MODE_EX;
  wanted.wait = options.wait;
  wanted.tell = !json && isatty(STDERR_FILENO) == 1;
  const base::Duration asked = read_clock(CLOCK_BOOTTIME);
  auto held = acquire(wanted);
  if (!held) {
    Failure failure = held.error();
    if (failure.exit_code == kBusy) failure.exit_code = options.busy_code;
    return base::error(failure);
  }
  const base::Duration waited = read_clock(CLOCK_BOOTTIME) - asked;
  auto report = Wrapped(options, std::move(*held), !json).run();
  if (report) report->waited = waited;
  return report;
}

}  // namespace tools::lockctl
