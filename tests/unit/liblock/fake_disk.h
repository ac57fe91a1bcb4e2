// A disk that can lose power. It stands in for pwrite() and fdatasync() of this whole program, lets
// files be written as they are, and knows what of them would be left if the power went now.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "base/bytes.h"

namespace liblock_test {

// While one lives every write and sync of the program is its. One at a time.
class FakeDisk {
 public:
  // `content` is on the disk already.
  explicit FakeDisk(base::Buffer content);
  ~FakeDisk();
  FakeDisk(const FakeDisk&) = delete;
  FakeDisk& operator=(const FakeDisk&) = delete;

  struct Write {
    std::size_t offset = 0;
    base::Buffer bytes;
  };

  // How much of a write that was not made durable is on the disk when the power goes: from the
  // first to the second byte of it.
  using Torn = std::function<std::pair<std::size_t, std::size_t>(const Write&)>;

  // The power goes at the `call`th call from now, 0 the next: this one and all later ones fail. If
  // it is a write, it counts as under way.
  void cut_power_at(std::size_t call, Torn torn);
  bool power_is_cut() const { return power_is_cut_; }

  // The next sync fails, once, and what it should have written never comes to the disk, although
  // the system shows it in the file.
  void fail_sync() { fail_sync_ = true; }

  // What is on the disk now.
  const base::Buffer& content() const { return durable_; }

  std::size_t writes() const { return writes_; }
  std::size_t syncs() const { return syncs_; }

  // False: it failed. Called by pwrite() and fdatasync().
  bool on_write(std::size_t offset, base::Bytes bytes);
  bool on_sync();

 private:
  bool goes_down();

  base::Buffer durable_;
  std::vector<Write> pending_;
  std::optional<std::size_t> calls_left_;
  Torn torn_;
  bool power_is_cut_ = false;
  bool fail_sync_ = false;
  std::size_t writes_ = 0;
  std::size_t syncs_ = 0;
};

}  // namespace liblock_test
