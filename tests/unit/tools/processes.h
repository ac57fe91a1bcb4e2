// What the tests of real processes ask the system, with deadlines.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

namespace tools {

// True as soon as `condition` is; false if it is not within ten seconds.
bool eventually(const std::function<bool()>& condition);

// Whether a process of this number runs (a zombie does not).
bool is_running(pid_t pid);

// What is in a file, empty if it is not there.
std::string contents(const std::string& path);

// A new folder, removed with all it holds at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace tools
