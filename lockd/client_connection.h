// One connection of a local client: who is at the other end, the requests cut from its bytes, and
// the responses that wait to be written. What requests mean is lockd/sessions.h; the socket is
// lockd/client_server.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "liblock/protocol/codec.h"
#include "liblock/protocol/messages.h"

namespace lockd {

// Chosen by the driver, never twice in a daemon's life.
enum class ConnectionId : std::uint64_t {};

// What the kernel says of the process that connected.
struct Peer {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t pid = 0;
};

// How a connection ended that this daemon did not end. Only the first proves that no process has
// the socket any more, and so that nobody relies on what it held.
enum class HangUp : std::uint8_t { closed_by_client, broken };

class ClientConnection {
 public:
  // `unwritten_max`: responses that may wait for a client that does not read.
  ClientConnection(const Peer& peer, std::size_t unwritten_max);

  const Peer& peer() const { return peer_; }

  // Bytes from the client; drain next_request() before more are given.
  void append(base::Bytes bytes) { cutter_.append(bytes); }

  // The next whole request; none if there is no more; an error for bytes that are none, and then
  // for ever.
  base::Result<std::optional<liblock::protocol::Request>, liblock::protocol::DecodeError>
  next_request();

  // From the next request on it may send messages to groups, and be sent as much.
  void expect_groups(std::size_t unwritten_max);

  // Queues a response. False, and nothing is queued, if too much waits already: the client does not
  // read.
  bool send(const liblock::protocol::Response& response) { return send_message(response); }
  bool send(const liblock::protocol::EvsDeliveryView& delivery) { return send_message(delivery); }

  // Queues a response whatever waits: the last one.
  void send_last(const liblock::protocol::Response& response);

  base::Bytes unwritten() const;
  void wrote(std::size_t bytes);

 private:
  template <typename Message>
  bool send_message(const Message& message);

  Peer peer_;
  std::size_t unwritten_max_;
  liblock::protocol::FrameCutter cutter_;
  base::Buffer out_;
  std::size_t written_ = 0;
};

}  // namespace lockd
