#include "evs/net/udp_socket.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
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

in_addr ipv4_of(const Address& address) {
  sockaddr_in ipv4{};
  std::memcpy(&ipv4, address.get(), sizeof ipv4);
  return ipv4.sin_addr;
}

in6_addr ipv6_of(const Address& address) {
  sockaddr_in6 ipv6{};
  std::memcpy(&ipv6, address.get(), sizeof ipv6);
  return ipv6.sin6_addr;
}

// The number of the interface that has this IPv6 address; 0 if there is none.
unsigned interface_of(const Address& address) {
  const in6_addr wanted = ipv6_of(address);
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return 0;
  unsigned index = 0;
  for (const ifaddrs* one = all; one != nullptr && index == 0; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET6) continue;
    sockaddr_in6 ipv6{};
    std::memcpy(&ipv6, one->ifa_addr, sizeof ipv6);
    if (IN6_ARE_ADDR_EQUAL(&ipv6.sin6_addr, &wanted)) index = if_nametoindex(one->ifa_name);
  }
  freeifaddrs(all);
  return index;
}

std::string group_advice(int code, const Address& group, const Address& on) {
  return "multicast group " + group.to_string() + " cannot be used on the interface of " +
         on.to_string() + ": " + std::generic_category().message(code) +
         "; name another group in `multicast`, on all nodes alike, or leave it out";
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

base::Result<std::unique_ptr<UdpSocket>, std::string> UdpSocket::join(const Address& group,
                                                                      const Address& on) {
  const auto wrong = [&] { return base::error(group_advice(errno, group, on)); };
  const int fd =
      socket(group.is_ipv6() ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return wrong();
  std::unique_ptr<UdpSocket> joined(new UdpSocket(fd));
  const int shared = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &shared, sizeof shared);
  raise_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
  // Bound to the group and not to any address, it hears nothing else on this port.
  sockaddr_storage at{};
  std::memcpy(&at, group.get(), group.size());
  const unsigned interface = group.is_ipv6() ? interface_of(on) : 0;
  // A group of the link's scope is another one on each interface.
  if (group.is_ipv6()) reinterpret_cast<sockaddr_in6&>(at).sin6_scope_id = interface;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&at), group.size()) != 0) return wrong();
  if (group.is_ipv6()) {
    ipv6_mreq request{ipv6_of(group), interface};
    if (setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &request, sizeof request) != 0) {
      return wrong();
    }
  } else {
    ip_mreqn request{ipv4_of(group), ipv4_of(on), 0};
    if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) != 0) {
      return wrong();
    }
  }
  return joined;
}

base::Result<void, std::string> UdpSocket::send_to_groups(const Address& on) {
  int failed = -1;
  if (on.is_ipv6()) {
    const auto index = static_cast<int>(interface_of(on));
    failed = setsockopt(fd_, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof index);
  } else {
    const in_addr interface = ipv4_of(on);
    failed = setsockopt(fd_, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof interface);
  }
  if (failed != 0) {
    return base::error("address " + on.to_string() +
                       " cannot send multicast: " + std::generic_category().message(errno) +
                       "; leave `multicast` out on all nodes");
  }
  return {};
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
