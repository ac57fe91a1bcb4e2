// Plays the SAN: one file of sectors behind a Unix socket, with a fence (liblock/fence.h) for each
// region. It knows nothing of locks, journals and nodes, only that tokens do not go back. What it
// did is written down in a trace, for check.h.
#pragma once

#include <string>

namespace journal_recovery {

// PATH is the disk, PATH.fence its fence, PATH.trace its trace. Once; throws if one of them is
// there.
void format_disk(const std::string& path);

// Says "ready", and serves without end. Answers lines:
//   superblock                         ok TEXT
//   read REGION SECTOR TOKEN           ok TEXT, or stale
//   write REGION SECTOR TOKEN TEXT     ok, or stale
void serve_disk(const std::string& path, const std::string& socket_path);

}  // namespace journal_recovery
