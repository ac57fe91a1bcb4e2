// The file in which a fence remembers: opened by one process alone, read back whole, written one
// record at a time. What a record says is liblock/fence_record.h, who may raise it
// liblock/fence.cc. All calls block on the disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "liblock/descriptor.h"
#include "liblock/fence_record.h"

namespace liblock {

class FenceFile {
 public:
  enum class Trouble : std::uint8_t {
    in_use,    // Another FenceFile has it, here or in another process.
    damaged,   // It is not what was written.
    unusable,  // Missing, there already, permissions, a broken disk.
  };
  struct Error {
    Trouble trouble{};
    std::string text;  // Names the file and says what to do.
  };
  template <typename T>
  using Result = base::Result<T, Error>;

  // A new file without locks. Durable on success; on failure there is none.
  static Result<void> create(const std::string& path, std::uint32_t capacity);

  // Everything that the file says is durable on success. Enlarged if it has less room than
  // `capacity`.
  static Result<FenceFile> open(const std::string& path, std::uint32_t capacity);

  // Of the locks in it, by index and without gaps.
  std::vector<FenceRecord> take_records() { return std::move(records_); }
  std::uint32_t capacity() const { return capacity_; }

  // What was repaired at opening; empty if nothing was.
  const std::string& repaired() const { return repaired_; }

  // The successor of what was written of this index before; durable on success. After a failure
  // every later write fails too: what the system still holds of the file can not be trusted.
  Result<void> write(const FenceRecord& record);

 private:
  FenceFile(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<void> lock();
  Result<void> read();
  Result<void> repair(const std::vector<FenceChoice>& behind);
  Result<void> enlarge(std::uint32_t capacity);

  Descriptor fd_;
  std::string path_;
  std::uint32_t capacity_ = 0;
  std::vector<FenceRecord> records_;
  std::string repaired_;
  std::optional<Error> failure_;
};

}  // namespace liblock
