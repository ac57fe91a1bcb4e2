#include "evs/net/udp_socket.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <algorithm>
#include <vector>

#include "evs/net/record.h"
#include "evs/net/send_queue.h"

using evs::net::Address;
using evs::net::UdpSocket;

namespace {

// A bound socket, with offload or without.
struct End {
  explicit End(const char* address, bool offload)
      : at(*Address::parse(address)), socket(std::move(*UdpSocket::open(at))) {
    if (offload) socket->use_offload();
  }

  // Everything that comes until `count` datagrams have.
  std::vector<base::Buffer> receive(std::size_t count) {
    std::vector<base::Buffer> all;
    pollfd readable{socket->descriptor(), POLLIN, 0};
    while (all.size() < count && poll(&readable, 1, 10'000) == 1) {
      for (const base::Bytes one : socket->receive()) all.emplace_back(one.begin(), one.end());
    }
    return all;
  }

  Address at;
  std::unique_ptr<UdpSocket> socket;
};

// Each tells its number and its length.
std::vector<base::Buffer> datagrams(const std::vector<std::size_t>& sizes) {
  std::vector<base::Buffer> all;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    all.emplace_back(sizes[i], static_cast<std::byte>(i));
  }
  return all;
}

// Runs of one size, a shorter one behind some of them, longer ones after shorter ones, and more in
// a run than fit into a bundle.
const std::vector<std::size_t> kSizes = {1400, 1400, 1400, 1399, 1400, 60,   60,   60,   61,   1,
                                         60,   9000, 9000, 9000, 9000, 9000, 9000, 9000, 9000, 9000,
                                         100,  100,  30,   20,   20,   20,   1400, 1400};

}  // namespace

TEST_CASE("datagrams of any sizes arrive as they are, with offload at either end or none") {
  for (const bool sends : {false, true}) {
    for (const bool receives : {false, true}) {
      CAPTURE(sends);
      CAPTURE(receives);
      End from("127.81.0.1:7461", sends);
      End to("127.81.0.2:7461", receives);
      const auto sent = datagrams(kSizes);
      std::vector<UdpSocket::Outgoing> outgoing;
      for (const base::Buffer& one : sent) outgoing.push_back({&to.at, one});
      CHECK(from.socket->send(outgoing) == sent.size());
      CHECK(to.receive(sent.size()) == sent);
      CHECK(from.socket->send_errors() == 0);
    }
  }
}

TEST_CASE("the longest datagrams are no bundle, and arrive") {
  End from("127.81.0.1:7462", true);
  End to("127.81.0.2:7462", true);
  const auto sent = datagrams({evs::net::kDatagramBytesMax, evs::net::kDatagramBytesMax, 5});
  std::vector<UdpSocket::Outgoing> outgoing;
  for (const base::Buffer& one : sent) outgoing.push_back({&to.at, one});
  CHECK(from.socket->send(outgoing) == sent.size());
  CHECK(to.receive(sent.size()) == sent);
}

TEST_CASE("a queue sends to each node what is for it, in the order in which it was queued") {
  End from("127.81.0.1:7463", true);
  End first("127.81.0.2:7463", true);
  End second("127.81.0.3:7463", false);
  evs::net::SendQueue queue(*from.socket, {first.at, second.at}, std::nullopt);
  std::vector<base::Buffer> for_first;
  std::vector<base::Buffer> for_second;
  for (std::size_t i = 0; i < 200; ++i) {
    const base::Buffer datagram(i % 7 == 0 ? 50 : 800, static_cast<std::byte>(i));
    const auto to = static_cast<evs::NodeMask>(i % 3 + 1);
    queue.push(to) = datagram;
    if ((to & 1) != 0) for_first.push_back(datagram);
    if ((to & 2) != 0) for_second.push_back(datagram);
  }
  queue.flush();
  CHECK(queue.empty());
  CHECK(first.receive(for_first.size()) == for_first);
  CHECK(second.receive(for_second.size()) == for_second);
}
