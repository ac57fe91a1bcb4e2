// The relay's TCP: ports that take connections, and the connections, each carried on to its node.
// How long a piece of a connection takes, and whether its direction is cut, is link.h's. Whatever
// waits, waits in the sender's kernel: of each direction of a connection one piece is read at most.
#pragma once

#include <uv.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tools/relay/address.h"
#include "tools/relay/links.h"

namespace tools::relay {

class Streams {
 public:
  static constexpr std::size_t kStreamsMax = 400;  // Further connections are reset.
  static constexpr std::size_t kPieceBytesMax = std::size_t{64} * 1024;

  Streams(uv_loop_t& loop, Links& links);
  ~Streams();
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  // Takes connections from a node at `at`, to the node that listens at `to`. What is wrong, or
  // nothing.
  std::string listen(const Direction& direction, const sockaddr_storage& at,
                     const sockaddr_storage& to);

  // Takes connections from a node at `at`, which name by SOCKS5 where they go: to one of those
  // that listen() knows for that node, and by its port.
  std::string listen_proxy(Node from, const sockaddr_storage& at);

  // A line for each port.
  std::string text() const;

  // Lets go on what may, after a link was changed or some time has passed.
  void pump();

 private:
  struct Listener;
  struct End;
  struct Flow;
  struct Stream;

  std::string open(std::unique_ptr<Listener> listener);
  void accept(Listener& listener);
  std::size_t open_streams() const;
  void drop_the_hung_up();
  void greet(Stream& stream);
  void answer_greeting(Stream& stream);
  void step(Stream& stream);
  void connect(Stream& stream);
  void connected(Stream& stream, int status);
  void carry_on(Stream& stream, std::size_t side);
  void came(Stream& stream, std::size_t side, ssize_t size, const char* bytes);
  void write(Stream& stream, std::size_t side);
  void broken(Stream& stream, std::size_t side);
  void close(Stream& stream, bool reset = false);
  void set_timer();
  bool is_cut(const Stream& stream, std::size_t side);

  uv_loop_t& loop_;
  Links& links_;
  uv_timer_t timer_{};
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::map<Direction, sockaddr_storage> destinations_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<char> buffer_;
};

}  // namespace tools::relay
