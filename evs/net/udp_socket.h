// A bound UDP socket that receives and sends many datagrams with one system call, and lets the
// kernel take several of one size to one receiver as one bundle, where it can (segmentation and
// receive offload). It never blocks and trusts no source address: who sent a datagram is what its
// seal says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "evs/net/address.h"

namespace evs::net {

class UdpSocket {
 public:
  // Datagrams that one call sends, and bundles of them that one call receives.
  static constexpr std::size_t kBatch = 32;

  // Datagrams of a bundle; the kernel takes no more.
  static constexpr std::size_t kBundleMax = 64;

  struct Outgoing {
    const Address* to = nullptr;
    base::Bytes datagram;
  };

  // Binds, and raises the kernel's buffers as far as allowed. The error names the address and says
  // what to do.
  static base::Result<std::unique_ptr<UdpSocket>, std::string> open(const Address& local);

  // Binds to a multicast group, and joins it on the interface that has the address `on`. Others on
  // this machine may do so too. Errors as above.
  static base::Result<std::unique_ptr<UdpSocket>, std::string> join(const Address& group,
                                                                    const Address& on);

  // What this socket sends to groups leaves by the interface that has the address `on`, and reaches
  // the members on this machine too, this process included. It does not pass a router.
  base::Result<void, std::string> send_to_groups(const Address& on);

  ~UdpSocket();
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;

  int descriptor() const { return fd_; }

  // From now on bundles are sent and received, as far as the kernel knows them.
  void use_offload();

  // What has arrived, up to kBatch datagrams or bundles of them, borrowed until the next call.
  // Empty if there is none.
  std::span<const base::Bytes> receive();

  // There may be more than the last receive() took.
  bool more() const { return more_; }

  // Sends up to kBatch datagrams in their order, and answers for how many that is settled: sent, or
  // refused for good and counted. Fewer if the socket is full.
  std::size_t send(std::span<const Outgoing> datagrams);

  std::uint64_t receive_errors() const { return receive_errors_; }
  std::uint64_t send_errors() const { return send_errors_; }

  // Why the last of them was refused, as an errno; 0 if none was.
  int last_send_error() const { return last_send_error_; }

 private:
  struct Batch;

  explicit UdpSocket(int fd);

  std::size_t bundle_of(std::span<const Outgoing> datagrams) const;

  int fd_;
  bool bundles_ = false;  // Are sent.
  bool more_ = false;
  std::unique_ptr<Batch> batch_;
  std::uint64_t receive_errors_ = 0;
  std::uint64_t send_errors_ = 0;
  int last_send_error_ = 0;
};

}  // namespace evs::net
