#include "base/bytes.h"

#include <cstdint>
#include <limits>

#include "base/check.h"

namespace base {

Bytes bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::span<const GroupKey> group_keys(Bytes bytes) {
  static_assert(sizeof(GroupKey) == 32 && alignof(GroupKey) == 1);
  return {reinterpret_cast<const GroupKey*>(bytes.data()), bytes.size() / sizeof(GroupKey)};
}

void ByteWriter::bytes16(Bytes v) {
  CHECK(v.size() <= std::numeric_limits<std::uint16_t>::max());
  u16(static_cast<std::uint16_t>(v.size()));
  bytes(v);
}

void ByteWriter::bytes32(Bytes v) {
  CHECK(v.size() <= std::numeric_limits<std::uint32_t>::max());
  u32(static_cast<std::uint32_t>(v.size()));
  bytes(v);
}

void ByteWriter::processor(const Processor& v) {
  node(v.node);
  u64(value(v.incarnation));
}

void ByteWriter::ring(const RingId& v) {
  u64(v.sequence);
  node(v.representative);
  u64(v.nonce);
}

Bytes ByteReader::bytes(std::size_t size) {
  if (failed_ || size > in_.size()) {
    fail();
    return {};
  }
  Bytes taken = in_.first(size);
  in_ = in_.subspan(size);
  return taken;
}

Processor ByteReader::processor() {
  NodeId at = node();
  return {at, Incarnation{u64()}};
}

RingId ByteReader::ring() {
  RingId id;
  id.sequence = u64();
  id.representative = node();
  id.nonce = u64();
  return id;
}

std::uint32_t ByteReader::bounded(std::uint32_t count, std::uint32_t most) {
  if (count > most) {
    fail();
    return 0;
  }
  return count;
}

}  // namespace base
