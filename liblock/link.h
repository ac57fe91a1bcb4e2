// The descriptors of one client: its socket to the daemon, one that outlives reconnects for the
// program to poll, and one by which threads wake each other. Nothing here blocks but wait(). What
// the bytes mean is the client machine's business.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "liblock/descriptor.h"

namespace liblock {

class Link {
 public:
  // The errno of what failed.
  base::Result<void, int> create();

  // To the first of these that takes the connection, beginning with the one that took the last. The
  // errno of the last that failed.
  base::Result<void, int> connect(const std::vector<std::string>& paths);
  void disconnect();
  bool connected() const { return static_cast<bool>(socket_); }

  // What has arrived, borrowed until the next call; less than this if that is all, empty if it is
  // nothing; none at the end of the connection.
  static constexpr std::size_t kReadBytes = 64 * 1024;
  std::optional<base::Bytes> read();

  // Sends what the socket takes and keeps the rest. Errors show at the next read().
  void write(base::Bytes bytes);
  void write_rest() { write({}); }

  // Readable when something has arrived, room has come for what was kept, or notify(true) stands.
  int poll_fd() const { return epoll_.get(); }
  void notify(bool on);

  // Waits until something has arrived, room has come, wake() was called or the time is over. A
  // negative time has no end. May be called while another thread calls the other functions.
  struct Awaited {
    int socket = -1;
    bool writable = false;
    int wake = -1;
  };
  Awaited awaited() const { return {socket_.get(), !unwritten_.empty(), wake_.get()}; }
  static void wait(Awaited awaited, base::Duration time);
  void wake();

 private:
  base::Result<void, int> connect_to(const std::string& path);
  std::size_t send(base::Bytes bytes);
  void watch_writable(bool on);

  Descriptor epoll_;
  Descriptor notice_;
  Descriptor wake_;
  Descriptor socket_;
  std::size_t path_ = 0;  // Of those given to connect(): the one that is tried first.
  bool noticed_ = false;
  bool watching_writable_ = false;
  base::Buffer unwritten_;
  base::Buffer received_;
};

}  // namespace liblock
