#include "lockd/client_connection.h"

#include "base/check.h"

namespace lockd {

namespace protocol = liblock::protocol;

ClientConnection::ClientConnection(const Peer& peer, std::size_t unwritten_max)
    : peer_(peer), unwritten_max_(unwritten_max), cutter_(protocol::kRequestBytesMax) {}

base::Result<std::optional<protocol::Request>, protocol::DecodeError>
ClientConnection::next_request() {
  auto content = cutter_.next();
  if (!content) return base::error(content.error());
  if (!content->has_value()) return std::optional<protocol::Request>();
  auto request = protocol::decode_request(**content);
  if (!request) return base::error(request.error());
  return std::optional<protocol::Request>(std::move(*request));
}

template <typename Message>
bool ClientConnection::send_message(const Message& message) {
  const std::size_t before = out_.size();
  protocol::encode(message, out_);
  if (out_.size() - written_ <= unwritten_max_) return true;
  out_.resize(before);
  return false;
}

template bool ClientConnection::send_message(const protocol::Response&);
template bool ClientConnection::send_message(const protocol::EvsDeliveryView&);

void ClientConnection::send_last(const protocol::Response& response) {
  protocol::encode(response, out_);
}

void ClientConnection::expect_groups(std::size_t unwritten_max) {
  unwritten_max_ = unwritten_max;
  cutter_.set_content_max(protocol::kEvsFrameBytesMax);
}

base::Bytes ClientConnection::unwritten() const {
  return base::Bytes(out_).subspan(written_);
}

void ClientConnection::wrote(std::size_t bytes) {
  CHECK(bytes <= out_.size() - written_);
  written_ += bytes;
  if (written_ == out_.size()) {
    // A burst's buffer is not kept for a client that goes quiet.
    if (out_.capacity() > unwritten_max_ / 4) base::Buffer().swap(out_);
    out_.clear();
    written_ = 0;
  } else if (written_ > out_.size() / 2) {
    out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(written_));
    written_ = 0;
  }
}

}  // namespace lockd
