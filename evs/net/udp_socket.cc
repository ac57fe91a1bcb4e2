#include "evs/net/udp_socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include "evs/net/record.h"

namespace evs::net {
namespace {

// Holds what a full rotation of a ring of 32 sends while the loop is busy elsewhere. What the
// kernel grants is less for unprivileged users, and is enough for smaller rings.
constexpr int kKernelBufferBytes = 4 * 1024 * 1024;

constexpr std::size_t kSlotBytes = kDatagramBytesMax + 1;

std::string advice(int code, const Address& local) {
  const std::string at = local.to_string();
  switch (code) {
    case EADDRINUSE:
      return "address " + at +
             " is in use: another daemon or program has this UDP port; stop it, or give this node "
             "another port in `addresses`, on all nodes alike";
    case EADDRNOTAVAIL:
      return "address " + at +
             " is not one of this machine: put an address of this machine first in `addresses` of "
             "this "
             "node, or bring the interface up";
    case EACCES:
      return "address " + at + " may not be used: ports below 1024 need root; choose a higher one";
    default:
      return "address " + at + " cannot be used: " + std::generic_category().message(code);
  }
}

void raise_buffer(int fd, int force_option, int option) {
  const int bytes = kKernelBufferBytes;
  if (setsockopt(fd, SOL_SOCKET, force_option, &bytes, sizeof bytes) == 0) return;
  setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof bytes);
}

}  // namespace

struct UdpSocket::Batch {
  // Large, and touched by the kernel only as far as datagrams are long; so it must not be zeroed.
  std::unique_ptr<std::byte[]> bytes =
      std::make_unique_for_overwrite<std::byte[]>(kBatch * kSlotBytes);
  std::array<iovec, kBatch> places{};
  std::array<mmsghdr, kBatch> headers{};
  std::array<base::Bytes, kBatch> received;
};

base::Result<std::unique_ptr<UdpSocket>, std::string> UdpSocket::open(const Address& local) {
  const int fd =
      socket(local.is_ipv6() ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return base::error(advice(errno, local));
  std::unique_ptr<UdpSocket> opened(new UdpSocket(fd));
  if (local.is_ipv6()) {
    const int only = 1;
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
  }
  raise_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
  raise_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
  if (bind(fd, local.get(), local.size()) != 0) return base::error(advice(errno, local));
  return opened;
}

UdpSocket::UdpSocket(int fd) : fd_(fd), batch_(std::make_unique<Batch>()) {}

UdpSocket::~UdpSocket() {
  close(fd_);
}

std::span<const base::Bytes> UdpSocket::receive() {
  for (std::size_t i = 0; i < kBatch; ++i) {
    batch_->places[i] = {batch_->bytes.get() + i * kSlotBytes, kSlotBytes};
    batch_->headers[i] = {};
    batch_->headers[i].msg_hdr.msg_iov = &batch_->places[i];
    batch_->headers[i].msg_hdr.msg_iovlen = 1;
  }
  int count = -1;
  do {
    count = recvmmsg(fd_, batch_->headers.data(), kBatch, 0, nullptr);
  } while (count < 0 && errno == EINTR);
  if (count < 0) {
    if (errno != EAGAIN) ++receive_errors_;
    return {};
  }
  const auto received = static_cast<std::size_t>(count);
  for (std::size_t i = 0; i < received; ++i) {
    batch_->received[i] =
        base::Bytes(batch_->bytes.get() + i * kSlotBytes, batch_->headers[i].msg_len);
  }
  return std::span(batch_->received).first(received);
}

std::size_t UdpSocket::send(std::span<const Outgoing> datagrams) {
  const std::size_t count = std::min(datagrams.size(), kBatch);
  std::array<iovec, kBatch> places;
  std::array<mmsghdr, kBatch> headers;
  for (std::size_t i = 0; i < count; ++i) {
    const Outgoing& outgoing = datagrams[i];
    // The kernel's interface has no const; it does not write to what it sends.
    places[i] = {const_cast<std::byte*>(outgoing.datagram.data()), outgoing.datagram.size()};
    headers[i] = {};
    headers[i].msg_hdr.msg_name = const_cast<sockaddr*>(outgoing.to->get());
    headers[i].msg_hdr.msg_namelen = outgoing.to->size();
    headers[i].msg_hdr.msg_iov = &places[i];
    headers[i].msg_hdr.msg_iovlen = 1;
  }
  std::size_t settled = 0;
  while (settled < count) {
    const int sent = sendmmsg(fd_, headers.data() + settled, static_cast<unsigned>(count - settled),
                              MSG_NOSIGNAL);
    if (sent > 0) {
      settled += static_cast<std::size_t>(sent);
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      // This one can not be sent, say for want of a route. The ring knows how to live with loss.
      last_send_error_ = errno;
      ++send_errors_;
      ++settled;
    }
  }
  return settled;
}

}  // namespace evs::net
