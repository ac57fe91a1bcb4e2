// What all parts of a node work with: the disk, the locks, and the one way to write.
#pragma once

#include <liblock/lock.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "disk.h"
#include "membership.h"
#include "record.h"
#include "stop_point.h"

namespace journal_recovery {

// Our session is over, by our own clock. What we held is about to be somebody else's.
struct Lost : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The lock under which journals are recovered, and under which a node begins: one at a time.
inline ringlock::resource control() {
  return {kLockspace, "control"};
}

class Volume {
 public:
  Volume(const std::string& disk_socket, const StopPoint& stop);

  // Throws Lost. A wait may have outlived our session, and its lock be of the next one.
  void require_session() const;

  // One sector, under a lock that protects it. Throws Lost, and Refused.
  void write(const std::string& point, const ringlock::held& under, const std::string& region,
             unsigned sector, const std::string& text);

  ringlock::client client;
  Disk disk;
  const Superblock superblock;
  const Membership membership;
  const unsigned journal;  // Ours.
  StopPoint stop_point;

  // Our journal, while we own it.
  ringlock::held owned;
  Header header;
  std::uint64_t generation = 0;  // Of the last recovery that we know of.

 private:
  std::vector<ringlock::held> keepers_;
};

}  // namespace journal_recovery
