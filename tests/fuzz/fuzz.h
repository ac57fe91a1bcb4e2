// What the fuzz targets share: the entry point that libFuzzer or replay.cc calls, and the cutting
// of an input into numbers and pieces. A target ends the process when something is wrong.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "base/bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fuzz {

inline base::Bytes bytes_of(const std::uint8_t* data, std::size_t size) {
  return std::as_bytes(std::span(data, size));
}

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: it should be so: %s\n", what);
  std::abort();
}

inline bool equal(base::Bytes a, base::Bytes b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

// Never fails: what is not there is 0 or empty, so that a shortened input still means something.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : left_(bytes_of(data, size)) {}

  bool empty() const { return left_.empty(); }
  std::size_t left() const { return left_.size(); }

  std::uint8_t u8() {
    if (left_.empty()) return 0;
    const auto value = std::to_integer<std::uint8_t>(left_.front());
    left_ = left_.subspan(1);
    return value;
  }
  std::uint16_t u16() {
    const std::uint8_t low = u8();
    return static_cast<std::uint16_t>(low | u8() << 8);
  }

  base::Bytes bytes(std::size_t most) {
    const base::Bytes taken = left_.first(std::min(most, left_.size()));
    left_ = left_.subspan(taken.size());
    return taken;
  }

  // A length of two bytes, then as many bytes.
  base::Bytes piece() { return bytes(u16()); }
  base::Bytes rest() { return bytes(left_.size()); }

 private:
  base::Bytes left_;
};

// The reverse, for seeds.
class Output {
 public:
  explicit Output(base::Buffer& out) : out_(out) {}

  Output& u8(std::uint8_t value) {
    out_.u8(value);
    return *this;
  }
  Output& piece(base::Bytes bytes) {
    out_.bytes16(bytes);
    return *this;
  }

 private:
  base::ByteWriter out_;
};

}  // namespace fuzz
