// Clients that take and give back locks as fast as they are served, or that hold many; all in one
// thread, since liblock has none of its own. Everything throws std::runtime_error with a sentence
// when the cluster fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"

namespace tools::lockbench {

struct Latencies {
  base::Duration p50{0};
  base::Duration p99{0};
  base::Duration p999{0};
  base::Duration max{0};
};

struct CycleFigures {
  std::size_t clients = 0;
  bool contended = false;
  double cycles_per_second = 0;
  Latencies acquire;  // From the request to the grant.
  Latencies cycle;    // From the request to the word that the lock is given back.
};

// Clients spread over the sockets go round for `time`, after a start that is not counted.
// Contended: all on one lock.
CycleFigures measure_cycles(const std::vector<std::string>& sockets, std::size_t clients,
                            bool contended, base::Duration time);

// What a call of lock_valid_for_ns() takes in a thread that holds a lock, in nanoseconds: of many
// batches the fastest, since whatever else the machine does only slows them down.
double measure_check(const std::string& socket);

// Holds locks from construction to destruction.
class Hold {
 public:
  Hold(const std::vector<std::string>& sockets, std::size_t locks);
  ~Hold();

  // Keeps the sessions alive for so long.
  void keep(base::Duration time);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tools::lockbench
