#include "tests/bench/load/stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <utility>

namespace tests::load {
namespace {

int connected(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  if (colon == std::string::npos ||
      inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr) != 1)
    throw std::runtime_error("no address: " + address);
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoul(address.substr(colon + 1))));
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw std::runtime_error("no socket");
  if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
    close(fd);
    throw std::runtime_error("can not connect to " + address);
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

}  // namespace

Stream::Stream(Loop& loop, const std::string& address, Take take)
    : loop_(loop), address_(address), take_(std::move(take)), fd_(connected(address)) {
  loop_.watch(fd_, [this] { read(); });
}

Stream::~Stream() {
  loop_.forget(fd_);
  close(fd_);
}

void Stream::read() {
  std::array<char, 65536> buffer;
  const ssize_t got = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) throw std::runtime_error(address_ + " hung up");
  received_.append(buffer.data(), static_cast<std::size_t>(got));
  taking_ = true;
  received_.erase(0, take_(received_));
  taking_ = false;
  flush();
}

void Stream::send(std::string_view bytes) {
  unsent_ += bytes;
  if (!taking_) flush();
}

void Stream::flush() {
  for (std::string_view left = unsent_; !left.empty();) {
    const ssize_t sent = ::send(fd_, left.data(), left.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) throw std::runtime_error(address_ + " takes nothing more");
    left.remove_prefix(static_cast<std::size_t>(sent));
  }
  unsent_.clear();
}

}  // namespace tests::load
