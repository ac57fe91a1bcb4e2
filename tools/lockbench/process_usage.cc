#include "tools/lockbench/process_usage.h"

#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace tools::lockbench {
namespace {

std::ifstream open(pid_t pid, const char* name) {
  return std::ifstream("/proc/" + std::to_string(pid) + "/" + name);
}

}  // namespace

std::uint64_t resident_bytes(pid_t pid) {
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  open(pid, "statm") >> size >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

base::Duration processor_time(pid_t pid) {
  std::string stat;
  std::ifstream file = open(pid, "stat");
  std::getline(file, stat);
  // Fields 14 and 15; the second one, the name in brackets, may hold anything.
  std::istringstream fields(stat.substr(std::min(stat.size(), stat.rfind(')') + 1)));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  std::int64_t user = 0;
  std::int64_t system = 0;
  fields >> user >> system;
  return std::chrono::nanoseconds((user + system) * (1'000'000'000 / sysconf(_SC_CLK_TCK)));
}

}  // namespace tools::lockbench
