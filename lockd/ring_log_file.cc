#include "lockd/ring_log_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <system_error>
#include <utility>

#include "evs/flight_text.h"
#include "evs/net/clocks.h"

namespace lockd {

namespace {

constexpr unsigned kSecondsMax = 5;

// Takes the line's end too. Errno says why not.
bool write_line(int fd, std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  line.resize(std::min(line.size(), RingLogFile::kLineBytesMax - 1));
  line += '\n';
  for (std::size_t done = 0; done < line.size();) {
    const ssize_t n = ::write(fd, line.data() + done, line.size() - done);
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) done += static_cast<std::size_t>(n);
  }
  return true;
}

std::string utc() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%SZ", &parts)};
}

std::string seconds(base::Duration duration) {
  using std::chrono::milliseconds;
  const auto ms = std::chrono::duration_cast<milliseconds>(duration).count();
  char text[40];
  std::snprintf(text, sizeof text, "%lld.%03lld", static_cast<long long>(ms / 1000),
                static_cast<long long>(ms % 1000));
  return text;
}

// As wide as what is usual; what is wider moves what follows.
std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text + "  ";
}

std::string line_of(const std::vector<base::NodeId>& nodes, base::Duration now,
                    const evs::FlightRecord& record) {
  const auto ago = std::max(base::Duration::zero(), now - record.at);
  std::string line = padded(seconds(ago), 12) + padded(base::to_string(record.what.ring), 18) +
                     padded(std::string(evs::to_string(record.what.event)), 22) +
                     evs::describe(nodes, record.what);
  if (record.times > 1) {
    line += " (" + std::to_string(record.times) + " times in " +
            seconds(std::max(base::Duration::zero(), record.last_at - record.at)) + ")";
  }
  return line;
}

}  // namespace

std::string RingLogFile::path(const std::string& state_dir, int number) {
  return state_dir + "/ring-log." + std::to_string(number);
}

RingLogFile::RingLogFile(std::string state_dir, const base::Processor& self,
                         std::vector<base::NodeId> nodes, const evs::FlightRecorder& recorder,
                         const Log& log)
    : state_dir_(std::move(state_dir)),
      self_(self),
      nodes_(std::move(nodes)),
      recorder_(recorder),
      log_(log) {
  base::set_last_words(this);
}

RingLogFile::~RingLogFile() {
  base::set_last_words(nullptr);
}

void RingLogFile::say(const char* failure) noexcept {
  // A disk that stands still must not keep the process from its end, nor may a mutex that it was
  // in.
  std::signal(SIGALRM, [](int) { std::abort(); });
  alarm(kSecondsMax);

  std::string file;
  int fd = -1;
  for (int number = 1; fd < 0 && number <= kFilesMax; ++number) {
    file = path(state_dir_, number);
    fd = ::open(file.c_str(),
                O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK |
                    (number < kFilesMax ? O_EXCL : O_TRUNC),
                0600);
    if (fd < 0 && errno != EEXIST) break;
  }
  // Told before it is written: the process may not come to tell it afterwards.
  if (fd >= 0) {
    log_.error("lockd ends by a failed CHECK; what happened to the ring is left in a file",
               {{"failure", failure}, {"file", file}});
  }
  if (fd >= 0 && write_all(fd, failure)) return;
  const int code = errno;
  log_.error(
      "what happened to the ring can not be written",
      {{"failure", failure}, {"file", file}, {"cause", std::generic_category().message(code)}});
}

bool RingLogFile::write_all(int fd, const char* failure) const {
  if (!write_line(fd, std::string(failure)) ||
      !write_line(fd, "lockd " RINGLOCK_VERSION ", " + evs::name_of(self_.node) + " (" +
                          evs::boot_of(self_) + "), process " + std::to_string(getpid()) + ", " +
                          utc()) ||
      !write_line(fd, "") ||
      !write_line(fd, padded("SECONDS AGO", 12) + padded("RING", 18) + padded("EVENT", 22)))
    return false;
  const base::Duration now = evs::net::read_clocks().boot;
  const std::vector<evs::FlightRecord> records = recorder_.records();
  return std::all_of(records.begin(), records.end(), [&](const evs::FlightRecord& record) {
    return write_line(fd, line_of(nodes_, now, record));
  });
}

}  // namespace lockd
