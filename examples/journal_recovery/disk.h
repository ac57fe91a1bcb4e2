// The shared disk as a node sees it: sectors that are read and written under a fencing token.
// Behind the socket is disk_server.h, which plays the SAN.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "layout.h"
#include "record.h"

namespace journal_recovery {

// The disk does not let us in: somebody else has used the region under a higher token. What we
// believed to hold is his.
struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Disk {
 public:
  explicit Disk(const std::string& socket_path);
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;
  ~Disk();

  const Superblock& superblock() const { return superblock_; }

  // Both return when it is done, and not merely under way. From the first use under a token on, the
  // disk refuses lower ones in that region: to read is enough to shut out who came before.
  std::string read(const std::string& region, unsigned sector, std::uint64_t token);
  void write(const std::string& region, unsigned sector, std::uint64_t token,
             const std::string& text);

 private:
  std::string ask(const std::string& line);

  int fd_ = -1;
  Superblock superblock_;
};

}  // namespace journal_recovery
