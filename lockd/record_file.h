// The record on disk: a file of two slots in the state folder, locked so that two daemons cannot
// share it. It owns the file alone; what a record says and when one is written is the replica's
// business (lockd/record.h). All calls block on the disk: the daemon makes them from a worker
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "lockd/record.h"

namespace lockd {

class RecordFile {
 public:
  enum class Trouble : std::uint8_t {
    missing,   // No folder or no file: `lockd init` was not run.
    in_use,    // Another daemon has it.
    foreign,   // The record of another node or cluster.
    unusable,  // Anything else: permissions, a broken disk.
  };
  struct Error {
    Trouble trouble{};
    std::string text;  // Names the file and says what to do.
  };

  // The record in this folder, read back and locked until the RecordFile goes.
  static base::Result<RecordFile, Error> open(const std::string& state_dir,
                                              const ClusterId& cluster, base::NodeId self);

  // The same with a file that is open; takes the descriptor. `path` is for the words of errors.
  static base::Result<RecordFile, Error> adopt(int fd, const std::string& path,
                                               const ClusterId& cluster, base::NodeId self);

  RecordFile(RecordFile&& other) noexcept;
  RecordFile& operator=(RecordFile&& other) noexcept;
  ~RecordFile();

  // What the file held when it was opened. None if neither slot is valid: the node is an amnesiac,
  // which is worth a loud word, amnesia_advice().
  const std::optional<Record>& record() const { return record_; }
  std::string amnesia_advice() const;

  // Writes the record into the slot of its generation; it is durable on success. After a failure
  // every later write fails too: what the system still holds of the file can not be trusted.
  base::Result<void, std::string> write(const Record& record);

 private:
  RecordFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  int fd_ = -1;
  std::string path_;
  std::optional<Record> record_;
  std::optional<std::string> failure_;
};

// The file's path in a state folder.
std::string record_path(const std::string& state_dir);

}  // namespace lockd
