#include "evs/net/udp_socket.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include "evs/net/record.h"

namespace evs::net {
namespace {

// Holds what a full rotation of a ring of 32 sends while the loop is busy elsewhere. What the
// kernel grants is less for unprivileged users, and is enough for smaller rings.
constexpr int kKernelBufferBytes = 4 * 1024 * 1024;

// Room for the longest datagram or bundle, and for seeing that one is longer.
constexpr std::size_t kSlotBytes = 65536;
static_assert(kDatagramBytesMax < kSlotBytes);

// The kernel's longest bundle: an IPv4 datagram, with its headers.
constexpr std::size_t kBundleBytesMax = 65535 - 20 - 8;

// What goes along with a datagram: the size of a bundle's segments.
struct Control {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> bytes{};
};

// How long the datagrams of a received bundle are; the last one may be shorter.
std::size_t segment_of(msghdr& header, std::size_t size) {
  for (cmsghdr* at = CMSG_FIRSTHDR(&header); at != nullptr; at = CMSG_NXTHDR(&header, at)) {
    if (at->cmsg_level != SOL_UDP || at->cmsg_type != UDP_GRO) continue;
    int segment = 0;
    std::memcpy(&segment, CMSG_DATA(at), sizeof segment);
    if (segment > 0) return static_cast<std::size_t>(segment);
  }
  return std::max<std::size_t>(size, 1);
}

void set_segment(msghdr& header, Control& control, std::size_t segment) {
  header.msg_control = control.bytes.data();
  header.msg_controllen = CMSG_SPACE(sizeof(std::uint16_t));
  cmsghdr* const at = CMSG_FIRSTHDR(&header);
  at->cmsg_level = SOL_UDP;
  at->cmsg_type = UDP_SEGMENT;
  at->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
  const auto size = static_cast<std::uint16_t>(segment);
  std::memcpy(CMSG_DATA(at), &size, sizeof size);
}

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
  std::array<Control, kBatch> controls{};
  std::vector<base::Bytes> received;
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

void UdpSocket::use_offload() {
  const int on = 1;
  // A kernel that does not know bundles gives and takes datagrams.
  setsockopt(fd_, SOL_UDP, UDP_GRO, &on, sizeof on);
  bundles_ = true;
}

std::span<const base::Bytes> UdpSocket::receive() {
  for (std::size_t i = 0; i < kBatch; ++i) {
    batch_->places[i] = {batch_->bytes.get() + i * kSlotBytes, kSlotBytes};
    msghdr& header = batch_->headers[i].msg_hdr;
    header = {};
    header.msg_iov = &batch_->places[i];
    header.msg_iovlen = 1;
    header.msg_control = batch_->controls[i].bytes.data();
    header.msg_controllen = batch_->controls[i].bytes.size();
  }
  int count = -1;
  do {
    count = recvmmsg(fd_, batch_->headers.data(), kBatch, 0, nullptr);
  } while (count < 0 && errno == EINTR);
  batch_->received.clear();
  more_ = count == static_cast<int>(kBatch);
  if (count < 0 && errno != EAGAIN) ++receive_errors_;
  for (int i = 0; i < count; ++i) {
    const auto index = static_cast<std::size_t>(i);
    const std::size_t size = batch_->headers[index].msg_len;
    const std::size_t segment = segment_of(batch_->headers[index].msg_hdr, size);
    const base::Bytes bundle(batch_->bytes.get() + index * kSlotBytes, size);
    std::size_t at = 0;
    do {
      batch_->received.push_back(bundle.subspan(at, std::min(segment, size - at)));
      at += segment;
    } while (at < size);
  }
  return batch_->received;
}

// How many of these datagrams go as one bundle: of one size to one receiver, and perhaps one that
// is shorter behind them.
std::size_t UdpSocket::bundle_of(std::span<const Outgoing> datagrams) const {
  if (!bundles_) return 1;
  const std::size_t segment = datagrams[0].datagram.size();
  std::size_t count = 1;
  std::size_t bytes = segment;
  while (count < std::min(datagrams.size(), kBundleMax)) {
    const Outgoing& next = datagrams[count];
    const std::size_t size = next.datagram.size();
    bytes += size;
    if (next.to != datagrams[0].to || size > segment || bytes > kBundleBytesMax) break;
    ++count;
    if (size < segment) break;
  }
  return count;
}

std::size_t UdpSocket::send(std::span<const Outgoing> datagrams) {
  const std::size_t count = std::min(datagrams.size(), kBatch);
  std::array<iovec, kBatch> places;
  std::array<mmsghdr, kBatch> headers;
  std::array<Control, kBatch> controls;
  for (std::size_t i = 0; i < count; ++i) {
    const base::Bytes datagram = datagrams[i].datagram;
    // The kernel's interface has no const; it does not write to what it sends.
    places[i] = {const_cast<std::byte*>(datagram.data()), datagram.size()};
  }
  std::size_t settled = 0;
  while (settled < count) {
    std::size_t messages = 0;
    for (std::size_t at = settled; at < count; ++messages) {
      const std::size_t bundle = bundle_of(datagrams.subspan(at, count - at));
      headers[messages] = {};
      msghdr& header = headers[messages].msg_hdr;
      header.msg_name = const_cast<sockaddr*>(datagrams[at].to->get());
      header.msg_namelen = datagrams[at].to->size();
      header.msg_iov = &places[at];
      header.msg_iovlen = bundle;
      if (bundle > 1) set_segment(header, controls[messages], datagrams[at].datagram.size());
      at += bundle;
    }
    const int sent = sendmmsg(fd_, headers.data(), static_cast<unsigned>(messages), MSG_NOSIGNAL);
    if (sent > 0) {
      for (int i = 0; i < sent; ++i)
        settled += headers[static_cast<std::size_t>(i)].msg_hdr.msg_iovlen;
    } else if (errno == EAGAIN) {
      break;
    } else if (errno == EINTR) {
      continue;
    } else if (headers[0].msg_hdr.msg_iovlen > 1) {
      // An old kernel, or a path that is too narrow for these datagrams in one piece.
      bundles_ = false;
    } else {
      // This one can not be sent, say for want of a route. The ring knows how to live with loss.
      last_send_error_ = errno;
      ++send_errors_;
      ++settled;
    }
  }
  return settled;
}

}  // namespace evs::net
