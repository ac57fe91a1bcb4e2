// A file with what this daemon gave to the ring and what the ring told it, a line each, from which
// a judge of its own decides whether the ring kept its promises. It owns the form of the lines and
// what becomes of them if the disk fails. The form is docs/testing.md, "Traces of real processes".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "evs/event.h"

namespace lockd {

// Not thread-safe. Lines are gathered and written in between; gave() and flush() leave none
// unwritten, and what was written outlives a SIGKILL. If the file can not be written any more, its
// `begin` line is changed to say so, nothing more is recorded, and failure() gives the reason once.
class EvsTrace {
 public:
  // Creates the file, or appends to one that holds earlier lives of this node. Any other file is
  // refused, and so is one that another process is writing. The error says what to do.
  static base::Result<EvsTrace, std::string> open(const std::string& path);

  EvsTrace(EvsTrace&& other) noexcept;
  EvsTrace& operator=(EvsTrace&&) = delete;
  ~EvsTrace();

  // First: whose life it is.
  void begin(const base::Processor& self);

  // To be called before the ring gets the message: others must not hear of it before the file does.
  void gave(evs::Service service, base::Bytes payload);

  void told(const evs::Event& event);

  // Last, if the daemon leaves the ring.
  void left();

  void flush();

  // Why nothing is recorded any more; empty if nothing is wrong, and after it was asked.
  std::string failure();

 private:
  EvsTrace(int fd, std::size_t size);

  void line(const std::string& text);
  void give_up(int code);

  int fd_;
  std::size_t size_;         // Up to here the file is good.
  std::size_t begin_ = 0;    // Where the line of this life is.
  std::uint64_t given_ = 0;  // Messages.
  bool recording_ = true;
  std::string unwritten_;
  std::string failure_;
};

}  // namespace lockd
