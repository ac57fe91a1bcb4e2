#include "tools/relay/server.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>
#include <utility>

namespace tools::relay {

namespace {

constexpr std::size_t kDatagramBytesMax = 65536;
constexpr std::size_t kLineBytesMax = 4096;
constexpr std::size_t kConnectionsMax = 16;
constexpr int kReceiveBufferBytes = 4 * 1024 * 1024;

Duration now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

// A connected socket, or -1.
int connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  path.copy(address.sun_path, path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  const int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

}  // namespace

struct Server::Port {
  Server* server = nullptr;
  Direction direction;
  uv_udp_t socket{};
  sockaddr_storage at{};
  sockaddr_storage to{};
};

struct Server::Connection {
  Server* server = nullptr;
  uv_pipe_t pipe{};
  std::string line;
};

Server::Server(const ServerOptions& options, const std::vector<Node>& nodes)
    : options_(options), state_(nodes, options.seed), buffer_(kDatagramBytesMax) {
  uv_loop_init(&loop_);
  uv_timer_init(&loop_, &timer_);
  uv_pipe_init(&loop_, &control_, 0);
  timer_.data = this;
  control_.data = this;
  for (auto& signal : signals_) {
    uv_signal_init(&loop_, &signal);
    signal.data = this;
  }
}

Server::~Server() {
  uv_walk(
      &loop_,
      [](uv_handle_t* handle, void*) {
        if (!uv_is_closing(handle)) uv_close(handle, nullptr);
      },
      nullptr);
  while (uv_run(&loop_, UV_RUN_DEFAULT) != 0) {
  }
  uv_loop_close(&loop_);
}

base::Result<std::unique_ptr<Server>, std::string> Server::create(const ServerOptions& options) {
  if (options.nodes.size() < 2 || options.nodes.size() > Links::kNodesMax) {
    return base::error(std::string("give --node ID=HOST:PORT for 2 to 32 nodes"));
  }
  std::vector<Node> nodes;
  for (const auto& [node, address] : options.nodes) nodes.push_back(node);
  std::unique_ptr<Server> server(new Server(options, nodes));
  std::string wrong = server->bind_links();
  if (wrong.empty()) wrong = server->bind_control();
  if (!wrong.empty()) return base::error(std::move(wrong));
  server->watch_signals();
  return server;
}

std::string Server::bind_links() {
  if (options_.tcp) streams_ = std::make_unique<Streams>(loop_, state_);
  std::uint32_t next_port = options_.base_port;
  std::string wrong;
  const auto next = [&]() -> std::optional<sockaddr_storage> {
    if (next_port > 65535) {
      wrong = "--base-port: too high for so many links";
      return std::nullopt;
    }
    const auto at = parse(options_.listen, static_cast<std::uint16_t>(next_port));
    if (!at) wrong = "--listen: '" + options_.listen + "' is no numeric address";
    if (next_port != 0) ++next_port;
    return at;
  };
  for (auto& [direction, link] : state_.all()) {
    const std::string& to = options_.nodes.at(direction.second);
    const auto destination = parse(to);
    if (!destination) return "--node: '" + to + "' is no address; it is HOST:PORT, numeric";
    const auto at = next();
    if (!at) return wrong;
    if (at->ss_family != destination->ss_family) {
      return "--listen and --node: one is IPv4 and the other IPv6; use one kind";
    }
    wrong = streams_ ? streams_->listen(direction, *at, *destination)
                     : bind_datagrams(direction, *at, *destination);
    if (!wrong.empty()) return wrong;
  }
  if (!streams_) return {};
  for (const auto& [node, address] : options_.nodes) {
    const auto at = next();
    if (!at) return wrong;
    wrong = streams_->listen_proxy(node, *at);
    if (!wrong.empty()) return wrong;
  }
  return {};
}

std::string Server::bind_datagrams(const Direction& direction, const sockaddr_storage& at,
                                   const sockaddr_storage& to) {
  auto& port = ports_.emplace(direction, std::make_unique<Port>()).first->second;
  port->server = this;
  port->direction = direction;
  port->to = to;
  port->at = at;
  uv_udp_init(&loop_, &port->socket);
  port->socket.data = port.get();
  if (const int error = uv_udp_bind(&port->socket, generic(port->at), 0); error != 0) {
    return "cannot listen at " + text_of(port->at) + ": " + uv_strerror(error);
  }
  int length = sizeof port->at;
  uv_udp_getsockname(&port->socket, reinterpret_cast<sockaddr*>(&port->at), &length);
  int bytes = kReceiveBufferBytes;  // As far as the kernel allows.
  uv_recv_buffer_size(reinterpret_cast<uv_handle_t*>(&port->socket), &bytes);
  uv_udp_recv_start(
      &port->socket,
      [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
        auto& free = static_cast<Port*>(handle->data)->server->buffer_;
        *buffer = uv_buf_init(free.data(), static_cast<unsigned>(free.size()));
      },
      [](uv_udp_t* socket, ssize_t size, const uv_buf_t* buffer, const sockaddr* from, unsigned) {
        if (size < 0 || from == nullptr) return;
        auto& to_port = *static_cast<Port*>(socket->data);
        to_port.server->receive(
            to_port, std::as_bytes(std::span(buffer->base, static_cast<std::size_t>(size))));
      });
  return {};
}

// A socket that was left behind by a relay that is gone is in the way of nobody.
std::string Server::bind_control() {
  if (const int fd = connect_to(options_.control); fd >= 0) {
    ::close(fd);
    return "--control: another relay is at " + options_.control;
  }
  if (errno == ECONNREFUSED) unlink(options_.control.c_str());
  int error = uv_pipe_bind(&control_, options_.control.c_str());
  if (error == 0) {
    error = uv_listen(reinterpret_cast<uv_stream_t*>(&control_), 16,
                      [](uv_stream_t* control, int status) {
                        if (status == 0) static_cast<Server*>(control->data)->accept();
                      });
  }
  if (error != 0) return "--control: " + options_.control + ": " + uv_strerror(error);
  return {};
}

std::string Server::links() const {
  if (streams_) return streams_->text();
  std::string text;
  for (const auto& [direction, port] : ports_) {
    text += "link " + std::to_string(direction.first) + " " + std::to_string(direction.second) +
            " at=" + text_of(port->at) + " to=" + text_of(port->to) + "\n";
  }
  return text;
}

// From before anybody hears that the relay is ready.
void Server::watch_signals() {
  std::signal(SIGPIPE, SIG_IGN);  // Who hangs up on the relay does not end it.
  const int numbers[] = {SIGINT, SIGTERM};
  for (std::size_t i = 0; i < 2; ++i) {
    uv_signal_start(
        &signals_[i], [](uv_signal_t* signal, int) { uv_stop(signal->loop); }, numbers[i]);
  }
}

void Server::run() {
  uv_run(&loop_, UV_RUN_DEFAULT);
  unlink(options_.control.c_str());
}

void Server::receive(Port& port, base::Bytes datagram) {
  state_.link(port.direction).receive(now(), datagram);
  pump();
}

// Sends what is due, and sets the timer for what will be. A datagram that the kernel does not take
// is lost like any other.
void Server::pump() {
  if (streams_) streams_->pump();
  const Duration time = now();
  std::optional<Duration> next;
  for (auto& [direction, port] : ports_) {
    Link& link = state_.link(direction);
    while (auto datagram = link.poll(time)) {
      uv_buf_t buffer = uv_buf_init(reinterpret_cast<char*>(datagram->data()),
                                    static_cast<unsigned>(datagram->size()));
      uv_udp_try_send(&port->socket, &buffer, 1, generic(port->to));
    }
    if (const auto due = link.next_due(); due && (!next || *due < *next)) next = due;
  }
  if (!next) {
    uv_timer_stop(&timer_);
    return;
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - time).count();
  uv_update_time(&loop_);
  uv_timer_start(
      &timer_, [](uv_timer_t* timer) { static_cast<Server*>(timer->data)->pump(); },
      static_cast<std::uint64_t>(left), 0);
}

void Server::accept() {
  auto connection = std::make_unique<Connection>();
  connection->server = this;
  uv_pipe_init(&loop_, &connection->pipe, 0);
  connection->pipe.data = connection.get();
  connections_.push_back(std::move(connection));
  Connection& last = *connections_.back();
  auto* stream = reinterpret_cast<uv_stream_t*>(&last.pipe);
  if (uv_accept(reinterpret_cast<uv_stream_t*>(&control_), stream) != 0 ||
      connections_.size() > kConnectionsMax) {
    close(last);
    return;
  }
  uv_read_start(
      stream,
      [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
        auto& free = static_cast<Connection*>(handle->data)->server->buffer_;
        *buffer = uv_buf_init(free.data(), static_cast<unsigned>(free.size()));
      },
      [](uv_stream_t* from, ssize_t size, const uv_buf_t* buffer) {
        auto& reading = *static_cast<Connection*>(from->data);
        if (size < 0) {
          reading.server->close(reading);
          return;
        }
        reading.line.append(buffer->base, static_cast<std::size_t>(size));
        for (std::size_t end; (end = reading.line.find('\n')) != std::string::npos;) {
          const std::string line = reading.line.substr(0, end);
          reading.line.erase(0, end + 1);
          reading.server->take_line(reading, line);
        }
        if (reading.line.size() > kLineBytesMax) reading.server->close(reading);
      });
}

void Server::take_line(Connection& connection, const std::string& line) {
  std::string answer;
  if (line == "links") {
    answer = links() + "ok\n";
  } else {
    const auto result = state_.execute(line);
    answer = result ? *result : "error " + result.error() + "\n";
  }
  pump();
  struct Write {
    uv_write_t request{};
    std::string text;
  };
  auto* write = new Write;
  write->request.data = write;
  write->text = std::move(answer);
  uv_buf_t buffer = uv_buf_init(write->text.data(), static_cast<unsigned>(write->text.size()));
  const auto gone = [](uv_write_t* request, int) { delete static_cast<Write*>(request->data); };
  if (uv_write(&write->request, reinterpret_cast<uv_stream_t*>(&connection.pipe), &buffer, 1,
               gone) != 0) {
    delete write;
  }
}

void Server::close(Connection& connection) {
  if (uv_is_closing(reinterpret_cast<uv_handle_t*>(&connection.pipe))) return;
  uv_close(reinterpret_cast<uv_handle_t*>(&connection.pipe), [](uv_handle_t* handle) {
    auto* closed = static_cast<Connection*>(handle->data);
    std::erase_if(closed->server->connections_,
                  [closed](const auto& held) { return held.get() == closed; });
  });
}

base::Result<std::string, std::string> ask(const std::string& path, const std::string& command) {
  const int fd = connect_to(path);
  if (fd < 0) {
    return base::error("no relay at " + path + ": " + std::strerror(errno));
  }
  const std::string line = command + "\n";
  std::string answer;
  bool well = send(fd, line.data(), line.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(line.size());
  const auto complete = [&] {
    const std::size_t last = answer.rfind('\n', answer.size() - 2);
    const std::size_t begin = last == std::string::npos ? 0 : last + 1;
    return answer.ends_with('\n') &&
           (answer.compare(begin, 3, "ok\n") == 0 || answer.compare(begin, 6, "error ") == 0);
  };
  while (well && !(answer.size() >= 3 && complete())) {
    char bytes[4096];
    const ssize_t got = recv(fd, bytes, sizeof bytes, 0);
    well = got > 0;
    if (well) answer.append(bytes, static_cast<std::size_t>(got));
  }
  ::close(fd);
  if (!well) return base::error("the relay at " + path + " hung up");
  if (answer.starts_with("error ")) return base::error(answer.substr(6, answer.size() - 7));
  return answer;
}

}  // namespace tools::relay
