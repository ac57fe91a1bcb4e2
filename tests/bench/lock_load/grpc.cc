#include "tests/bench/lock_load/grpc.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace tests::lock_load {
namespace {

enum Frame : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kReset = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
};
constexpr std::uint8_t kEndStream = 1;  // Also the acknowledgement of settings and pings.
constexpr std::uint8_t kEndHeaders = 4;
constexpr std::uint8_t kPadded = 8;
constexpr std::size_t kFrameHead = 9;
constexpr std::size_t kMessageHead = 5;
constexpr std::uint32_t kWindow = 1 << 30;
constexpr std::size_t kStaticTable = 61;

std::uint32_t u32(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char byte : bytes.substr(0, 4)) value = value << 8 | static_cast<std::uint8_t>(byte);
  return value;
}

std::string bytes_of(std::uint32_t value, int bytes = 4) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
    out += static_cast<char>(value >> shift & 0xff);
  return out;
}

std::string frame(Frame type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  std::string out = bytes_of(static_cast<std::uint32_t>(payload.size()), 3);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  return out.append(bytes_of(stream)).append(payload);
}

// RFC 7541, 5.1 and 5.2, for what is less than 127 and 63: a byte with the kind in its upper bits.
void put_number(std::string& out, std::uint8_t kind, std::size_t value) {
  out += static_cast<char>(kind | value);
}

void put_string(std::string& out, const std::string& text) {
  if (text.size() > 126) throw std::runtime_error("a header of more than 126 bytes");
  put_number(out, 0, text.size());
  out += text;
}

}  // namespace

std::string HeaderEncoder::request(const std::string& path) {
  std::string out = "\x83\x86";  // :method POST, :scheme http
  add(out, 4, ":path", path);
  add(out, 1, ":authority", authority_);
  add(out, 31, "content-type", "application/grpc");
  add(out, 0, "te", "trailers");
  return out;
}

void HeaderEncoder::add(std::string& out, std::size_t name_index, const std::string& name,
                        const std::string& value) {
  const std::string entry = name + ": " + value;
  const auto known = std::find(table_.begin(), table_.end(), entry);
  if (known != table_.end()) {
    // The newest has the lowest index.
    put_number(out, 0x80, kStaticTable + static_cast<std::size_t>(table_.end() - known));
    return;
  }
  put_number(out, 0x40, name_index);
  if (name_index == 0) put_string(out, name);
  put_string(out, value);
  table_.push_back(entry);
}

Grpc::Grpc(load::Loop& loop, const std::string& address)
    : headers_(address),
      stream_(loop, address, [this](std::string_view bytes) { return take(bytes); }) {
  constexpr char kInitialWindowSize[] = {0, 4};
  stream_.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
               frame(kSettings, 0, 0, std::string(kInitialWindowSize, 2) + bytes_of(kWindow)) +
               frame(kWindowUpdate, 0, 0, bytes_of(kWindow)));
}

void Grpc::call(const std::string& path, std::string_view message, Answer answer) {
  path_ = path;
  answer_ = std::move(answer);
  message_.clear();
  stream_id_ = stream_id_ == 0 ? 1 : stream_id_ + 2;
  const std::string head =
      '\0' + bytes_of(static_cast<std::uint32_t>(message.size()));  // Not compressed.
  stream_.send(frame(kHeaders, kEndHeaders, stream_id_, headers_.request(path)) +
               frame(kData, kEndStream, stream_id_, head + std::string(message)));
}

std::size_t Grpc::take(std::string_view bytes) {
  std::size_t taken = 0;
  while (bytes.size() - taken >= kFrameHead) {
    const std::string_view head = bytes.substr(taken, kFrameHead);
    const std::size_t length = u32(head) >> 8;
    if (bytes.size() - taken - kFrameHead < length) break;
    on_frame(static_cast<std::uint8_t>(head[3]), static_cast<std::uint8_t>(head[4]),
             u32(head.substr(5)) & 0x7fff'ffff, bytes.substr(taken + kFrameHead, length));
    taken += kFrameHead + length;
  }
  return taken;
}

void Grpc::on_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                    std::string_view payload) {
  if (type == kReset || type == kGoAway) throw std::runtime_error("etcd has broken off " + path_);
  if ((type == kSettings || type == kPing) && (flags & kEndStream) == 0)
    stream_.send(frame(static_cast<Frame>(type), kEndStream, 0, type == kPing ? payload : ""));
  if (type == kData) on_data(flags, payload);
  if ((type == kData || type == kHeaders) && stream == stream_id_ && (flags & kEndStream) != 0)
    finish();
}

void Grpc::on_data(std::uint8_t flags, std::string_view payload) {
  uncredited_ += payload.size();
  if (uncredited_ > kWindow / 4) {
    stream_.send(frame(kWindowUpdate, 0, 0, bytes_of(static_cast<std::uint32_t>(uncredited_))));
    uncredited_ = 0;
  }
  if ((flags & kPadded) != 0) throw std::runtime_error("etcd sends padding");
  message_ += payload;
}

void Grpc::finish() {
  // An error is headers without a message; its text may be in Huffman codes.
  if (message_.size() < kMessageHead ||
      u32(std::string_view(message_).substr(1)) != message_.size() - kMessageHead)
    throw std::runtime_error("etcd answers " + path_ + " with an error");
  const std::string message = std::exchange(message_, {});
  std::exchange(answer_, nullptr)(std::string_view(message).substr(kMessageHead));
}

}  // namespace tests::lock_load
