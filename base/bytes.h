// Bytes, and the checked little-endian reader and writer that every codec of the project is written
// with. The reader never reads past its end: it fails once and for all, and finish() says so.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace base {

using Bytes = std::span<const std::byte>;
using Buffer = std::vector<std::byte>;

Bytes bytes_of(std::string_view text);
std::string text_of(Bytes bytes);

// These bytes as the keys of groups, one behind the other; what is too short for one is left out.
std::span<const GroupKey> group_keys(Bytes bytes);

// Appends to a buffer that it borrows.
class ByteWriter {
 public:
  explicit ByteWriter(Buffer& out) : out_(out) {}

  void u8(std::uint8_t v) { out_.push_back(static_cast<std::byte>(v)); }
  void u16(std::uint16_t v) { little_endian<2>(v); }
  void u32(std::uint32_t v) { little_endian<4>(v); }
  void u64(std::uint64_t v) { little_endian<8>(v); }
  void bytes(Bytes v) { out_.insert(out_.end(), v.begin(), v.end()); }

  // A length of two or four bytes, then the bytes. The length must fit: CHECK.
  void bytes16(Bytes v);
  void bytes32(Bytes v);

  void node(NodeId v) { u32(value(v)); }
  void processor(const Processor& v);
  void ring(const RingId& v);

  std::size_t size() const { return out_.size(); }

 private:
  // In the header, as the reader's: every field of every message goes through it.
  template <std::size_t kWidth>
  void little_endian(std::uint64_t v) {
    std::array<std::byte, kWidth> encoded;
    for (std::size_t i = 0; i < kWidth; ++i) {
      encoded[i] = static_cast<std::byte>((v >> (8 * i)) & 0xff);
    }
    out_.insert(out_.end(), encoded.begin(), encoded.end());
  }

  Buffer& out_;
};

// Reads from bytes that it borrows. After a read that did not fit every later read answers zero or
// empty, and finish() answers false; so a decoder reads straight on and asks once.
class ByteReader {
 public:
  explicit ByteReader(Bytes in) : in_(in) {}

  std::uint8_t u8() { return static_cast<std::uint8_t>(little_endian<1>()); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(little_endian<2>()); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(little_endian<4>()); }
  std::uint64_t u64() { return little_endian<8>(); }

  // The next `size` bytes, borrowed from the input.
  Bytes bytes(std::size_t size);
  Bytes bytes16() { return bytes(u16()); }
  Bytes bytes32() { return bytes(u32()); }
  Bytes rest() { return bytes(in_.size()); }

  NodeId node() { return NodeId{u32()}; }
  Processor processor();
  RingId ring();

  // A count that is used for a loop or a reservation: fails the reader when it is above `most`.
  std::uint32_t count8(std::uint32_t most) { return bounded(u8(), most); }
  std::uint32_t count16(std::uint32_t most) { return bounded(u16(), most); }
  std::uint32_t count32(std::uint32_t most) { return bounded(u32(), most); }

  void fail() {
    failed_ = true;
    in_ = {};
  }
  bool failed() const { return failed_; }
  std::size_t left() const { return in_.size(); }

  // True if everything fitted and nothing is left over.
  bool finish() const { return !failed_ && in_.empty(); }

 private:
  template <std::size_t kWidth>
  std::uint64_t little_endian() {
    if (failed_ || in_.size() < kWidth) {
      fail();
      return 0;
    }
    std::uint64_t v = 0;
    for (std::size_t i = 0; i < kWidth; ++i) {
      v |= static_cast<std::uint64_t>(std::to_integer<unsigned>(in_[i])) << (8 * i);
    }
    in_ = in_.subspan(kWidth);
    return v;
  }
  std::uint32_t bounded(std::uint32_t count, std::uint32_t most);

  Bytes in_;
  bool failed_ = false;
};

}  // namespace base
