#include "tools/lockbench/cluster.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace tools::lockbench {
namespace {

// Runs tools/cluster of the source tree that this program was built from, with the programs beside
// this one.
bool run_script(std::vector<std::string> arguments) {
  const auto build = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
  setenv("RINGLOCK_BUILD", build.c_str(), 1);
  std::string script = RINGLOCK_SOURCE_DIR "/tools/cluster";
  std::vector<char*> argv = {script.data()};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  if (posix_spawn(&pid, script.c_str(), nullptr, nullptr, argv.data(), environ) != 0) return false;
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

Cluster::Cluster(std::size_t nodes) : nodes_(nodes) {
  std::string folder = std::filesystem::temp_directory_path() / "lockbench.XXXXXX";
  if (mkdtemp(folder.data()) == nullptr)
    throw std::runtime_error("can not make a folder " + folder);
  folder_ = folder;
  if (!run_script({"up", std::to_string(nodes), folder_})) {
    std::filesystem::remove_all(folder_);
    throw std::runtime_error("the cluster did not come up");
  }
}

Cluster::~Cluster() {
  run_script({"down", folder_});
  std::filesystem::remove_all(folder_);
}

std::vector<std::string> Cluster::sockets() const {
  std::vector<std::string> sockets;
  for (std::size_t i = 1; i <= nodes_; ++i)
    sockets.push_back(folder_ + "/" + std::to_string(i) + ".sock");
  return sockets;
}

std::vector<pid_t> Cluster::daemons() const {
  std::vector<pid_t> pids;
  for (std::size_t i = 1; i <= nodes_; ++i) {
    pid_t pid = 0;
    std::ifstream(folder_ + "/" + std::to_string(i) + ".pid") >> pid;
    pids.push_back(pid);
  }
  return pids;
}

}  // namespace tools::lockbench
