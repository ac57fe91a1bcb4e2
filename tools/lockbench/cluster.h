// A cluster of our own for the time of a measurement, made and ended by tools/cluster.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

namespace tools::lockbench {

class Cluster {
 public:
  // Throws std::runtime_error if it does not come up.
  explicit Cluster(std::size_t nodes);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  std::vector<std::string> sockets() const;
  std::vector<pid_t> daemons() const;

 private:
  std::string folder_;
  std::size_t nodes_;
};

}  // namespace tools::lockbench
