#include "tools/lockctl/freezer.h"

#include <fcntl.h>
#include <mntent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

namespace tools::lockctl {
namespace {

constexpr std::string_view kName = "lockctl-";  // And the number of its maker.

// Where the tree of cgroups of version 2 is.
std::optional<std::string> mount_point() {
  const std::unique_ptr<FILE, int (*)(FILE*)> mounts(setmntent("/proc/self/mounts", "re"),
                                                     endmntent);
  if (!mounts) return std::nullopt;
  while (const mntent* mount = getmntent(mounts.get())) {
    if (std::string_view(mount->mnt_type) == "cgroup2") return mount->mnt_dir;
  }
  return std::nullopt;
}

// The folder of the cgroup that we are in.
std::optional<std::string> own_cgroup() {
  const auto root = mount_point();
  std::ifstream lines("/proc/self/cgroup");
  for (std::string line; root && std::getline(lines, line);) {
    if (line.starts_with("0::")) return *root + (line == "0::/" ? "" : line.substr(3));
  }
  return std::nullopt;
}

// Those whose makers were killed and could not.
void remove_left_over(const std::string& parent) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(parent, error)) {
    const std::string name = entry.path().filename();
    pid_t maker = 0;
    if (!name.starts_with(kName)) continue;
    std::from_chars(name.data() + kName.size(), name.data() + name.size(), maker);
    if (maker > 0 && ::kill(maker, 0) != 0 && errno == ESRCH) rmdir(entry.path().c_str());
  }
}

bool put(int file, std::string_view text) {
  return write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

}  // namespace

std::optional<Freezer> Freezer::create() {
  const auto parent = own_cgroup();
  if (!parent) return std::nullopt;
  remove_left_over(*parent);
  const std::string path = *parent + "/" + std::string(kName) + std::to_string(getpid());
  if (mkdir(path.c_str(), 0755) != 0) return std::nullopt;
  Freezer made(*parent, path);
  if (made.procs_ < 0 || made.freeze_ < 0) return std::nullopt;
  return made;
}

Freezer::Freezer(std::string parent, std::string path)
    : parent_(std::move(parent)),
      path_(std::move(path)),
      procs_(open((path_ + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC)),
      freeze_(open((path_ + "/cgroup.freeze").c_str(), O_WRONLY | O_CLOEXEC)),
      kill_(open((path_ + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC)) {}

Freezer::Freezer(Freezer&& other) noexcept
    : parent_(std::move(other.parent_)),
      path_(std::exchange(other.path_, {})),
      procs_(std::exchange(other.procs_, -1)),
      freeze_(std::exchange(other.freeze_, -1)),
      kill_(std::exchange(other.kill_, -1)) {}

Freezer::~Freezer() {
  if (path_.empty()) return;
  std::ifstream inside(path_ + "/cgroup.procs");
  for (std::string pid; std::getline(inside, pid);) {
    std::ofstream(parent_ + "/cgroup.procs") << pid << std::flush;
  }
  for (const int file : {procs_, freeze_, kill_}) {
    if (file >= 0) close(file);
  }
  rmdir(path_.c_str());
}

void Freezer::join() const {
  put(procs_, "0");
}

void Freezer::freeze() const {
  put(freeze_, "1");
}

void Freezer::kill() const {
  put(kill_, "1");
}

}  // namespace tools::lockctl
