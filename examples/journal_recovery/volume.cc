#include "volume.h"

namespace journal_recovery {

Volume::Volume(const std::string& disk_socket, const StopPoint& stop)
    : disk(disk_socket),
      superblock(disk.superblock()),
      membership(client),
      journal(membership.slot()),
      stop_point(stop) {
  if (journal > superblock.journals) {
    throw std::runtime_error("the disk has no journal for slot " + std::to_string(journal));
  }
  // A lock's value, and the mark on it that its writer died, are kept as long as somebody has the
  // lock. NL is in nobody's way, and is enough.
  ringlock::terms at_once;
  at_once.flags = LOCK_FLAG_EXPEDITE;
  for (unsigned i = 1; i <= superblock.journals; ++i) {
    keepers_.push_back(
        client.acquire({kLockspace, journal_region(i)}, ringlock::mode::nl, at_once));
  }
  for (unsigned i = 0; i < superblock.blocks; ++i) {
    keepers_.push_back(client.acquire({kLockspace, block_region(i)}, ringlock::mode::nl, at_once));
  }
}

void Volume::require_session() const {
  if (!keepers_.back().is_held()) throw Lost("the session with the cluster is over");
}

void Volume::write(const std::string& point, const ringlock::held& under, const std::string& region,
                   unsigned sector, const std::string& text) {
  // This protects as long as we go from here to the disk without delay. Nobody can promise that:
  // so the disk looks at the token.
  require_session();
  if (!under.is_held()) throw Lost("the lock of " + region + " is lost");
  stop_point.pass(point);
  disk.write(region, sector, under.token(), text);
}

}  // namespace journal_recovery
