// Messages as bytes, both ways, and the cutting of a byte stream into frames. Decoders take bytes
// from outside: every count is bounded, every enumeration checked, every length exact. The grammar
// is docs/wire.md, "Client protocol".
#pragma once

#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "liblock/protocol/messages.h"

namespace liblock::protocol {

// Appends a whole frame. The texts and lists must be within the limits of messages.h: CHECK.
void encode(const Request& request, base::Buffer& out);
void encode(const Response& response, base::Buffer& out);

// For the messages that there are most of: nothing is copied but into the frame.
void encode(const EvsMulticastView& message, base::Buffer& out);
void encode(const EvsDeliveryView& delivery, base::Buffer& out);

enum class DecodeError : std::uint8_t {
  unknown_type,
  malformed,  // Too short, too long, or a value that there is not.
  too_long,   // A frame over the limit of its direction.
};

// From a frame's content, without its length.
base::Result<Request, DecodeError> decode_request(base::Bytes content);
base::Result<Response, DecodeError> decode_response(base::Bytes content);

// A delivery that borrows from the content; none if it is none, or malformed.
std::optional<EvsDeliveryView> decode_evs_delivery(base::Bytes content);

// Collects a stream and cuts it. Keeps at most one frame and what was appended behind it: append no
// more than you read at once, and drain next() before you append again.
class FrameCutter {
 public:
  explicit FrameCutter(std::size_t content_max) : content_max_(content_max) {}

  void append(base::Bytes bytes);

  // The next frame's content, borrowed until the next call; none if it is not complete; an error if
  // its length is 0 or over the limit, and then for ever.
  base::Result<std::optional<base::Bytes>, DecodeError> next();

  // From the next frame on.
  void set_content_max(std::size_t content_max) { content_max_ = content_max; }

  std::size_t buffered() const { return buffer_.size() - begin_; }

 private:
  std::size_t content_max_;
  std::size_t begin_ = 0;
  base::Buffer buffer_;
};

}  // namespace liblock::protocol
