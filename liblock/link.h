// The descriptors of one client: its socket to the daemon, one that outlives reconnects for the
// program to poll, and one by which threads wake each other. Nothing here blocks but wait(). What
// the bytes mean is the client machine's business.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "liblock/descriptor.h"

namespace liblock {

class Link {
 public:
  // The errno of what failed.
  base::Result<void, int> create();

  // The errno of what failed.
  base::Result<void, int> connect(const std::string& path);
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
  std::size_t send(base::Bytes bytes);
  void watch_writable(bool on);

  Descriptor epoll_;
  Descriptor notice_;
  Descriptor wake_;
  Descriptor socket_;
  bool noticed_ = false;
  bool watching_writable_ = false;
  base::Buffer unwritten_;
  base::Buffer received_;
};

}  // namespace liblock
