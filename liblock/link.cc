#include "liblock/link.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

namespace liblock {
namespace {

// A nonblocking eventfd: 1 in it makes it readable.
void set_event(int fd) {
  const std::uint64_t one = 1;
  while (::write(fd, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void clear_event(int fd) {
  std::uint64_t count = 0;
  while (::read(fd, &count, sizeof count) < 0 && errno == EINTR) {
  }
}

bool watch(int epoll, int operation, int fd, std::uint32_t events) {
  epoll_event wanted{};
  wanted.events = events;
  return ::epoll_ctl(epoll, operation, fd, &wanted) == 0;
}

}  // namespace

base::Result<void, int> Link::create() {
  epoll_ = Descriptor(::epoll_create1(EPOLL_CLOEXEC));
  notice_ = Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  wake_ = Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll_ || !notice_ || !wake_ ||
      !watch(epoll_.get(), EPOLL_CTL_ADD, notice_.get(), EPOLLIN)) {
    return base::error(errno);
  }
  return {};
}

base::Result<void, int> Link::connect(const std::vector<std::string>& paths) {
  base::Result<void, int> connected = base::error(ENOENT);
  for (std::size_t tried = 0; tried < paths.size() && !connected; ++tried) {
    path_ = (path_ + (tried > 0)) % paths.size();
    connected = connect_to(paths[path_]);
  }
  return connected;
}

base::Result<void, int> Link::connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return base::error(ENAMETOOLONG);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return base::error(errno);
  int result = 0;
  do {
    result = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  } while (result < 0 && errno == EINTR);
  if (result < 0 || !watch(epoll_.get(), EPOLL_CTL_ADD, fd.get(), EPOLLIN)) {
    return base::error(errno);
  }
  disconnect();
  socket_ = std::move(fd);
  return {};
}

// Closing takes the socket out of the epoll set too, unless a forked child still has it.
void Link::disconnect() {
  if (socket_) watch(epoll_.get(), EPOLL_CTL_DEL, socket_.get(), 0);
  socket_.close();
  watching_writable_ = false;
  unwritten_.clear();
}

std::optional<base::Bytes> Link::read() {
  received_.resize(kReadBytes);
  ssize_t count = 0;
  do {
    count = ::recv(socket_.get(), received_.data(), received_.size(), 0);
  } while (count < 0 && errno == EINTR);
  if (count > 0) return base::Bytes(received_).first(static_cast<std::size_t>(count));
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return base::Bytes{};
  return std::nullopt;
}

void Link::write(base::Bytes bytes) {
  if (unwritten_.empty()) bytes = bytes.subspan(send(bytes));
  unwritten_.insert(unwritten_.end(), bytes.begin(), bytes.end());
  const std::size_t taken = send(unwritten_);
  unwritten_.erase(unwritten_.begin(), unwritten_.begin() + static_cast<std::ptrdiff_t>(taken));
  watch_writable(!unwritten_.empty());
}

// How much of it the socket took.
std::size_t Link::send(base::Bytes bytes) {
  std::size_t taken = 0;
  while (socket_ && taken < bytes.size()) {
    const base::Bytes left = bytes.subspan(taken);
    const ssize_t count = ::send(socket_.get(), left.data(), left.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    taken += static_cast<std::size_t>(count);
  }
  return taken;
}

void Link::watch_writable(bool on) {
  if (!socket_ || on == watching_writable_) return;
  watch(epoll_.get(), EPOLL_CTL_MOD, socket_.get(), on ? EPOLLIN | EPOLLOUT : EPOLLIN);
  watching_writable_ = on;
}

void Link::notify(bool on) {
  if (on == noticed_) return;
  on ? set_event(notice_.get()) : clear_event(notice_.get());
  noticed_ = on;
}

void Link::wait(Awaited awaited, base::Duration time) {
  pollfd fds[2] = {
      {awaited.wake, POLLIN, 0},
      {awaited.socket, static_cast<short>(awaited.writable ? POLLIN | POLLOUT : POLLIN), 0}};
  timespec left{};
  left.tv_sec = static_cast<time_t>(time / std::chrono::seconds(1));
  left.tv_nsec = static_cast<long>((time % std::chrono::seconds(1)).count());
  // A signal ends the wait early; whoever waits looks again.
  ::ppoll(fds, 2, time < base::Duration::zero() ? nullptr : &left, nullptr);
  if (fds[0].revents != 0) clear_event(awaited.wake);
}

void Link::wake() {
  set_event(wake_.get());
}

}  // namespace liblock
