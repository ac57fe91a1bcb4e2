#include "tools/lockctl/followed.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include "tools/lockctl/exit_code.h"

namespace tools::lockctl {
namespace {

constexpr unsigned long kForkedWithoutExec = 0x40;  // PF_FORKNOEXEC, in the flags of proc(5).

std::string proc(pid_t pid, const char* file) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/" + file);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

bool has_ended(int fd) {
  pollfd end = {fd, POLLIN, 0};
  return ::poll(&end, 1, 0) != 0;
}

}  // namespace

base::Result<Followed, Failure> Followed::process(pid_t pid) {
  const auto gone = [&] {
    return base::error(Failure{kUsage, "there is no process " + std::to_string(pid)});
  };
  Followed found(pid, static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)));
  if (found.fd_ < 0) return gone();
  const std::string stat = proc(pid, "stat");
  // What was read is of this process only if that still runs.
  if (stat.empty() || has_ended(found.fd_)) return gone();
  std::istringstream fields(stat.substr(std::min(stat.rfind(')') + 1, stat.size())));
  std::string skipped;
  pid_t parent = 0;
  unsigned long flags = 0;
  fields >> skipped >> parent >> skipped >> skipped >> skipped >> skipped >> flags;
  for (int field = 10; field < 22; ++field) fields >> skipped;
  if (!(fields >> found.started_)) return gone();
  if (flags & kForkedWithoutExec) found.copy_of_ = parent;
  return found;
}

base::Result<Followed, Failure> Followed::shell() {
  const Failure orphan{kUsage,
                       "the program that started this one has ended: name whose end is to free the "
                       "lock by --follow PID, or keep it by --detach"};
  pid_t pid = ::getppid();
  while (pid > 1) {
    auto found = process(pid);
    if (!found) return base::error(orphan);
    if (found->copy_of_ <= 1) return found;
    pid = found->copy_of_;
  }
  return base::error(orphan);
}

Followed::Followed(Followed&& other) noexcept
    : pid_(other.pid_),
      fd_(std::exchange(other.fd_, -1)),
      started_(other.started_),
      copy_of_(other.copy_of_) {}

Followed::~Followed() {
  if (fd_ >= 0) ::close(fd_);
}

std::string Followed::id() const {
  return std::to_string(pid_) + "." + std::to_string(started_);
}

std::string Followed::command() const {
  std::string text = proc(pid_, "cmdline");
  while (!text.empty() && text.back() == '\0') text.pop_back();
  std::ranges::replace(text, '\0', ' ');
  return text;
}

}  // namespace tools::lockctl
