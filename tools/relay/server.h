// The relay on a libuv loop: for each direction between two nodes a UDP socket, or a TCP port of
// streams.h, and a control socket that takes commands. What happens to a datagram is links.h's.
#pragma once

#include <uv.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "tools/relay/links.h"
#include "tools/relay/streams.h"

namespace tools::relay {

struct ServerOptions {
  std::map<Node, std::string> nodes;  // Where each listens, HOST:PORT or [HOST]:PORT.
  std::string listen = "127.0.0.1";   // Where the relay does.
  std::uint16_t base_port = 0;        // The links' ports follow each other from here; 0: any.
  std::string control;                // The path of the control socket.
  std::uint64_t seed = 1;
  bool tcp = false;  // Connections instead of datagrams.
};

class Server {
 public:
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  // Binds everything. The error says what is wrong, and what to do.
  static base::Result<std::unique_ptr<Server>, std::string> create(const ServerOptions& options);

  // A line for each direction: where its datagrams or connections are taken, and where they go.
  std::string links() const;

  // Until SIGINT or SIGTERM.
  void run();

 private:
  struct Port;
  struct Connection;

  Server(const ServerOptions& options, const std::vector<Node>& nodes);

  std::string bind_links();
  std::string bind_datagrams(const Direction& direction, const sockaddr_storage& at,
                             const sockaddr_storage& to);
  std::string bind_control();
  void watch_signals();
  void receive(Port& port, base::Bytes datagram);
  void pump();
  void accept();
  void take_line(Connection& connection, const std::string& line);
  void close(Connection& connection);

  const ServerOptions options_;
  Links state_;
  uv_loop_t loop_{};
  uv_timer_t timer_{};
  uv_pipe_t control_{};
  uv_signal_t signals_[2]{};
  std::map<Direction, std::unique_ptr<Port>> ports_;
  std::unique_ptr<Streams> streams_;  // If it is TCP.
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<char> buffer_;
};

// Sends one command to a relay's control socket and answers what it said; an error too if it could
// not be asked.
base::Result<std::string, std::string> ask(const std::string& path, const std::string& command);

}  // namespace tools::relay
