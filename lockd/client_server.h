// The Unix socket on which local clients reach the daemon: accepts, reads, writes and notices who
// hung up. What the bytes mean is sessions' business (lockd/sessions.h); this file decides nothing
// but how much is read in a turn.
#pragma once

#include <uv.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "lockd/client_connection.h"

namespace lockd {

class ClientServer {
 public:
  // Called from the loop. None of these may close the connection it is about before it returns,
  // except through ClientServer::close(), which only marks it.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void on_connect(ConnectionId connection, const Peer& peer) = 0;
    virtual void on_bytes(ConnectionId connection, base::Bytes bytes) = 0;

    // The connection is gone. No call about it follows.
    virtual void on_hang_up(ConnectionId connection, HangUp how) = 0;

    // The socket takes bytes again after write() took less than it was given.
    virtual void on_writable(ConnectionId connection) = 0;
  };

  struct Options {
    std::string path;
    unsigned mode = 0660;
  };

  // Binds and listens. A socket file on which nobody answers is replaced; one on which a daemon
  // answers is an error, as is anything that is not a socket. The error says what to do.
  static base::Result<std::unique_ptr<ClientServer>, std::string> open(uv_loop_t& loop,
                                                                       const Options& options,
                                                                       Listener& listener);

  // Closes everything and removes the socket file if it is still its own. The loop must run once
  // more before it is closed.
  ~ClientServer();
  ClientServer(const ClientServer&) = delete;
  ClientServer& operator=(const ClientServer&) = delete;

  // Gives the socket what it takes at once and answers how much that was; on_writable() follows if
  // it was less.
  std::size_t write(ConnectionId connection, base::Bytes bytes);

  // Reads of this one in large portions from now on.
  void read_much(ConnectionId connection);

  // Hangs up. No call about this connection follows.
  void close(ConnectionId connection);

  // Accepts nobody from now on; the connections stay.
  void stop_listening();

  // Connections turned away because the process had no file descriptor left.
  std::uint64_t turned_away() const { return turned_away_; }

 private:
  struct Connection;

  ClientServer(uv_loop_t& loop, Options options, Listener& listener);

  base::Result<void, std::string> listen();
  void accept_some();
  bool turn_one_away();
  void add(int fd);
  void read_some(Connection& connection);
  void hang_up(Connection& connection, HangUp how);
  void watch(Connection& connection, bool writable);

  uv_loop_t& loop_;
  Options options_;
  Listener& listener_;
  uv_poll_t* listening_ = nullptr;
  int listen_fd_ = -1;
  int spare_fd_ = -1;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
  std::uint64_t last_connection_ = 0;
  std::uint64_t turned_away_ = 0;
  std::map<ConnectionId, Connection*> connections_;
  base::Buffer received_;
};

}  // namespace lockd
