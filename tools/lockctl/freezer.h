// A cgroup (version 2) of a command's own. The kernel stops in it whatever the command has started,
// also what has left the command's process group.
#pragma once

#include <optional>
#include <string>

namespace tools::lockctl {

class Freezer {
 public:
  // Below the cgroup of this process; none where that is not of version 2, or not ours to write.
  static std::optional<Freezer> create();

  Freezer(Freezer&& other) noexcept;
  Freezer& operator=(Freezer&&) = delete;
  Freezer(const Freezer&) = delete;
  Freezer& operator=(const Freezer&) = delete;

  // What is still in it goes back to where we are, and the cgroup is removed.
  ~Freezer();

  // The calling process goes in, and with it all that it starts from then on. These three only
  // write to descriptors that are open, and may be called after fork().
  void join() const;
  void freeze() const;
  void kill() const;

  // Where a person can undo it: "echo 0 > PATH/cgroup.freeze".
  const std::string& path() const { return path_; }

 private:
  Freezer(std::string parent, std::string path);

  std::string parent_;
  std::string path_;  // Empty after a move.
  int procs_ = -1;
  int freeze_ = -1;
  int kill_ = -1;  // Kernels before 5.14 have none: then only the process group is killed.
};

}  // namespace tools::lockctl
