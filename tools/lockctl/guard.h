// The guard ends a command, or stops it, before the lease of its lock runs out. It is a process of
// its own, first in the command's process group, so it does so even when lockctl is stopped or
// killed; lockctl tells it of every renewal. While it lives it keeps lockctl's connection to the
// daemon open, so nobody gets the lock before the group is dead.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"
#include "base/time.h"
#include "tools/lockctl/freezer.h"

namespace tools::lockctl {

// What becomes of a command whose lock is lost: asked to end and killed after a grace; killed at
// once; or stopped, to be looked at. A command that is stopped ends with lockctl at the latest.
enum class OnLost { term, kill, freeze };

class Guard {
 public:
  // Forks the guard, with a process group of its own. `until` is when the lease runs out on this
  // machine's clocks (tools/clocks.h), `grace` the time between asking the group to end and killing
  // it (OnLost::term); all ends before `until`. A freezer stops (OnLost::freeze) and kills what has
  // left the group as well; the guard is not in it.
  static base::Result<Guard, std::string> start(base::Instant until, base::Duration grace,
                                                OnLost on_lost = OnLost::term,
                                                const Freezer* freezer = nullptr);

  Guard(Guard&& other) noexcept;
  Guard& operator=(Guard&&) = delete;
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  // Kills the group unless stop() was called.
  ~Guard();

  // The lease was renewed. Without effect once the group has been asked to end.
  void extend(base::Instant until);

  // The lock is lost: the group is asked to end now, and killed after the grace, or at `until` if
  // that is sooner; or killed or stopped now.
  void lose(base::Instant until);

  // Whether the guard is gone: it has killed its group, or somebody has killed it. Then stop() is
  // due.
  bool has_ended() const;

  // The command has ended. True if the guard had left the group alone; what is left of it then
  // lives on. False if it had begun to end the group, or died itself; nothing is left of the group
  // then.
  bool stop();

  pid_t group() const { return pid_; }

 private:
  Guard(pid_t pid, int orders) : pid_(pid), orders_(orders) {}

  pid_t pid_;
  int orders_;  // The guard takes the end of this connection for the death of lockctl.
};

// The group is dead this long before the lease runs out; covers the time a killed process takes to
// be gone.
constexpr base::Duration kKillMargin = std::chrono::milliseconds(50);

}  // namespace tools::lockctl
