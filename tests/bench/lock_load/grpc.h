// As much of gRPC over HTTP/2 as a client needs that makes one unary call at a time: RFC 9113, and
// of RFC 7541 what a sender may do without Huffman codes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/load/stream.h"

namespace tests::lock_load {

// The header lists of requests. A header that was sent before is one byte from then on, as with
// other clients.
class HeaderEncoder {
 public:
  explicit HeaderEncoder(std::string authority) : authority_(std::move(authority)) {}

  std::string request(const std::string& path);

 private:
  // `name_index`: of the static table, 0: it is not there.
  void add(std::string& out, std::size_t name_index, const std::string& name,
           const std::string& value);

  std::string authority_;
  std::vector<std::string> table_;  // What the other side has learnt, the oldest first.
};

class Grpc {
 public:
  using Answer = std::function<void(std::string_view message)>;

  Grpc(load::Loop& loop, const std::string& address);

  // Throws from the loop if the answer is an error.
  void call(const std::string& path, std::string_view message, Answer answer);

 private:
  std::size_t take(std::string_view bytes);
  void on_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                std::string_view payload);
  void on_data(std::uint8_t flags, std::string_view payload);
  void finish();

  HeaderEncoder headers_;
  std::string path_;
  std::uint32_t stream_id_ = 0;
  std::size_t uncredited_ = 0;  // Bytes that the other side does not know to have been taken.
  std::string message_;         // With its head of five bytes.
  Answer answer_;
  load::Stream stream_;
};

}  // namespace tests::lock_load
