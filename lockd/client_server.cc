#include "lockd/client_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "evs/net/close.h"

namespace lockd {

namespace {

// Bounds of one turn of the loop, so that a crowd of clients delays the token by little.
constexpr int kAcceptsPerTurn = 16;
constexpr std::size_t kReadBytesPerTurn = 4096;
constexpr std::size_t kMuchReadBytesPerTurn = 128 * 1024;

constexpr int kBacklog = 512;

base::Result<sockaddr_un, std::string> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return base::error("socket path '" + path + "' must have 1 to " +
                       std::to_string(sizeof address.sun_path - 1) +
                       " bytes; choose a shorter one");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

std::string system_error(const std::string& what, const std::string& path) {
  return what + " '" + path + "': " + std::strerror(errno);
}

// Nothing, if the path is free or holds a socket on which nobody answers.
base::Result<void, std::string> check_replaceable(const std::string& path,
                                                  const sockaddr_un& address) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return base::error(system_error("cannot look at socket", path));
  }
  if (!S_ISSOCK(status.st_mode)) {
    return base::error("'" + path +
                       "' exists and is not a socket; remove it or choose another path");
  }
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (probe < 0) return base::error(system_error("cannot probe socket", path));
  const int answer = connect(probe, generic(address), sizeof address);
  const int error = errno;
  ::close(probe);
  if (answer != 0 && error == ECONNREFUSED) return {};
  return base::error("another daemon answers on socket '" + path +
                     "'; stop it or choose another path");
}

}  // namespace

struct ClientServer::Connection {
  uv_poll_t poll{};
  ClientServer* server = nullptr;
  ConnectionId id{};
  int fd = -1;
  std::size_t read_bytes = kReadBytesPerTurn;
  bool open = true;
};

base::Result<std::unique_ptr<ClientServer>, std::string> ClientServer::open(uv_loop_t& loop,
                                                                            const Options& options,
                                                                            Listener& listener) {
  std::unique_ptr<ClientServer> server(new ClientServer(loop, options, listener));
  if (auto listening = server->listen(); !listening) return base::error(listening.error());
  return server;
}

ClientServer::ClientServer(uv_loop_t& loop, Options options, Listener& listener)
    : loop_(loop), options_(std::move(options)), listener_(listener) {}

ClientServer::~ClientServer() {
  stop_listening();
  while (!connections_.empty()) close(connections_.begin()->first);
  if (spare_fd_ >= 0) ::close(spare_fd_);
}

base::Result<void, std::string> ClientServer::listen() {
  const std::string& path = options_.path;
  // The socket gets its permissions under a name of its own and then takes the place of the old
  // file in one step: no client finds it missing, or open to everybody.
  const std::string fresh = path + "." + std::to_string(getpid());
  const auto address = address_of(path);
  if (!address) return base::error(address.error());
  const auto fresh_address = address_of(fresh);
  if (!fresh_address) return base::error(fresh_address.error());
  if (auto free = check_replaceable(path, *address); !free) return free;

  listen_fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listen_fd_ < 0) return base::error(system_error("cannot create socket", path));
  unlink(fresh.c_str());
  struct stat status {};
  if (bind(listen_fd_, generic(*fresh_address), sizeof *fresh_address) != 0 ||
      chmod(fresh.c_str(), options_.mode) != 0 || ::listen(listen_fd_, kBacklog) != 0 ||
      stat(fresh.c_str(), &status) != 0 || rename(fresh.c_str(), path.c_str()) != 0) {
    auto failed = base::error(system_error("cannot listen on socket", path) +
                              "; its folder must exist, and be writable for this user");
    unlink(fresh.c_str());
    ::close(listen_fd_);
    listen_fd_ = -1;
    return failed;
  }
  device_ = status.st_dev;
  inode_ = status.st_ino;
  spare_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);

  listening_ = new uv_poll_t{};
  CHECK(uv_poll_init(&loop_, listening_, listen_fd_) == 0);
  listening_->data = this;
  uv_poll_start(listening_, UV_READABLE, [](uv_poll_t* handle, int, int) {
    static_cast<ClientServer*>(handle->data)->accept_some();
  });
  return {};
}

void ClientServer::stop_listening() {
  if (listening_ == nullptr) return;
  struct stat status {};
  if (lstat(options_.path.c_str(), &status) == 0 && status.st_dev == device_ &&
      status.st_ino == inode_) {
    unlink(options_.path.c_str());
  }
  evs::net::close_and_delete(listening_);
  listening_ = nullptr;
  ::close(listen_fd_);
  listen_fd_ = -1;
}

void ClientServer::accept_some() {
  for (int i = 0; i < kAcceptsPerTurn && listening_ != nullptr; ++i) {
    const int fd = accept4(listen_fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      add(fd);
    } else if (errno == EMFILE || errno == ENFILE) {
      if (!turn_one_away()) return;
    } else if (errno != ECONNABORTED && errno != EINTR) {
      return;
    }
  }
}

// Without a descriptor the connection cannot even be refused, and poll would report it for ever.
// The spare one lets it be accepted and closed, which tells the client. False if nobody waits.
bool ClientServer::turn_one_away() {
  if (spare_fd_ >= 0) ::close(spare_fd_);
  const int fd = accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd >= 0) ::close(fd);
  spare_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  turned_away_ += fd >= 0 ? 1 : 0;
  return fd >= 0;
}

void ClientServer::add(int fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    ::close(fd);
    return;
  }
  auto* connection = new Connection;
  connection->server = this;
  connection->id = ConnectionId{++last_connection_};
  connection->fd = fd;
  if (uv_poll_init(&loop_, &connection->poll, fd) != 0) {
    delete connection;
    ::close(fd);
    return;
  }
  connection->poll.data = connection;
  connections_.emplace(connection->id, connection);
  watch(*connection, false);
  listener_.on_connect(connection->id, Peer{credentials.uid, credentials.gid,
                                            static_cast<std::uint32_t>(credentials.pid)});
}

void ClientServer::watch(Connection& connection, bool writable) {
  const int events = UV_READABLE | (writable ? UV_WRITABLE : 0);
  uv_poll_start(&connection.poll, events, [](uv_poll_t* handle, int status, int ready) {
    auto& self = *static_cast<Connection*>(handle->data);
    // After an error the read says what happened to the peer.
    if (status < 0 || (ready & UV_READABLE) != 0) self.server->read_some(self);
    if (self.open && (ready & UV_WRITABLE) != 0) {
      self.server->watch(self, false);
      self.server->listener_.on_writable(self.id);
    }
  });
}

void ClientServer::read_some(Connection& connection) {
  if (received_.size() < connection.read_bytes) received_.resize(connection.read_bytes);
  const ssize_t size = read(connection.fd, received_.data(), connection.read_bytes);
  if (size > 0) {
    const base::Bytes bytes = base::Bytes(received_).first(static_cast<std::size_t>(size));
    return listener_.on_bytes(connection.id, bytes);
  }
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size < 0) {
    // A Unix stream reports a reset when the peer closed with bytes of ours unread.
    hang_up(connection, errno == ECONNRESET ? HangUp::closed_by_client : HangUp::broken);
    return;
  }
  // End of file alone can also be a client that only closed its sending side: it still runs and
  // still reads.
  pollfd state{connection.fd, POLLIN, 0};
  const bool closed = ::poll(&state, 1, 0) == 1 && (state.revents & POLLHUP) != 0;
  hang_up(connection, closed ? HangUp::closed_by_client : HangUp::broken);
}

void ClientServer::hang_up(Connection& connection, HangUp how) {
  const ConnectionId id = connection.id;
  close(id);
  listener_.on_hang_up(id, how);
}

std::size_t ClientServer::write(ConnectionId id, base::Bytes bytes) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return 0;
  Connection& connection = *found->second;
  const ssize_t size = send(connection.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  // A peer that is gone is noticed by the read, a peer that closed only its receiving side by the
  // bound of what waits for it; polling for room would spin.
  if (size < 0 && errno != EAGAIN && errno != EINTR) return 0;
  const std::size_t taken = size < 0 ? 0 : static_cast<std::size_t>(size);
  if (taken < bytes.size()) watch(connection, true);
  return taken;
}

void ClientServer::read_much(ConnectionId id) {
  const auto found = connections_.find(id);
  if (found != connections_.end()) found->second->read_bytes = kMuchReadBytesPerTurn;
}

void ClientServer::close(ConnectionId id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Connection* connection = found->second;
  connections_.erase(found);
  connection->open = false;
  uv_poll_stop(&connection->poll);
  ::close(connection->fd);
  uv_close(reinterpret_cast<uv_handle_t*>(&connection->poll),
           [](uv_handle_t* handle) { delete static_cast<Connection*>(handle->data); });
}

}  // namespace lockd
