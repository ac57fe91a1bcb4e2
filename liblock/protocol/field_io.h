// How the fields of messages are written and read. A message's layout is written once, in fields();
// a Writer and a Reader go through it alike, and answer to the same names. For the codec alone,
// which includes base/check.h before it.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "liblock/protocol/evs_messages.h"
#include "liblock/protocol/terms.h"

namespace liblock::protocol {

using base::ByteReader;
using base::Bytes;
using base::ByteWriter;

class Writer;

// What fields() is given: const for the Writer.
template <typename Io, typename Message>
using message_of = std::conditional_t<std::is_same_v<Io, Writer>, const Message, Message>;

class Writer {
 public:
  explicit Writer(base::Buffer& out) : out_(out) {}

  void skip() {}
  void u8(std::uint8_t v) { out_.u8(v); }
  void u16(std::uint16_t v) { out_.u16(v); }
  void u32(std::uint32_t v) { out_.u32(v); }
  void u64(std::uint64_t v) { out_.u64(v); }
  void node(NodeId v) { out_.node(v); }
  void ring(const RingId& v) { out_.ring(v); }
  void processor(const Processor& v) { out_.processor(v); }
  void flag(bool v) { out_.u8(v ? 1 : 0); }
  template <typename Id>
  void id(Id v) {
    out_.u64(base::value(v));
  }
  template <typename Enum>
  void word(Enum v, Enum first, Enum last) {
    CHECK(v >= first && v <= last);
    out_.u8(static_cast<std::uint8_t>(v));
  }
  void duration(Duration v) {
    CHECK(v >= Duration::zero());
    out_.u64(static_cast<std::uint64_t>(v.count()));
  }
  template <std::size_t size>
  void array(const std::array<std::byte, size>& v) {
    out_.bytes(v);
  }
  void rest(Bytes v, std::size_t most) {
    CHECK(v.size() <= most);
    out_.bytes(v);
  }
  void value(const std::optional<ValueBlock>& v) {
    flag(v.has_value());
    if (v) array(*v);
  }
  void groups(std::span<const GroupKey> v) {
    CHECK(!v.empty() && v.size() <= kEvsGroupsMax);
    out_.u16(static_cast<std::uint16_t>(v.size()));
    for (const GroupKey& group : v) out_.bytes(group.bytes);
  }
  void text(const std::string& v, std::size_t most) {
    CHECK(v.size() <= most);
    out_.bytes16(base::bytes_of(v));
  }
  void name(const std::string& v, std::size_t most) {
    CHECK(!v.empty());
    text(v, most);
  }
  template <typename Item>
  void optional(const std::optional<Item>& v) {
    flag(v.has_value());
    if (v) fields(*this, *v);
  }
  template <typename Item>
  void list(const std::vector<Item>& items, std::size_t most) {
    CHECK(items.size() <= most);
    out_.u16(static_cast<std::uint16_t>(items.size()));
    for (const Item& item : items) fields(*this, item);
  }

 private:
  ByteWriter out_;
};

class Reader {
 public:
  explicit Reader(Bytes in) : in_(in) {}

  bool finish() const { return in_.finish(); }

  void skip() { in_.rest(); }
  void u8(std::uint8_t& v) { v = in_.u8(); }
  void u16(std::uint16_t& v) { v = in_.u16(); }
  void u32(std::uint32_t& v) { v = in_.u32(); }
  void u64(std::uint64_t& v) { v = in_.u64(); }
  void node(NodeId& v) { v = in_.node(); }
  void ring(RingId& v) { v = in_.ring(); }
  void processor(Processor& v) { v = in_.processor(); }
  void flag(bool& v) { v = bounded(0, 1) == 1; }
  template <typename Id>
  void id(Id& v) {
    v = Id{in_.u64()};
  }
  template <typename Enum>
  void word(Enum& v, Enum first, Enum last) {
    v = static_cast<Enum>(
        bounded(static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(last)));
  }
  // Up to 146 years, so that the sum of two never overflows.
  void duration(Duration& v) {
    const std::uint64_t nanoseconds = in_.u64();
    if (nanoseconds > std::uint64_t{1} << 62) in_.fail();
    v = Duration{in_.failed() ? 0 : static_cast<std::int64_t>(nanoseconds)};
  }
  template <std::size_t size>
  void array(std::array<std::byte, size>& v) {
    const Bytes from = in_.bytes(size);
    std::copy(from.begin(), from.end(), v.begin());
  }
  void rest(Bytes& v, std::size_t most) {
    v = in_.rest();
    if (v.size() > most) in_.fail();
  }
  void rest(base::Buffer& v, std::size_t most) {
    Bytes from;
    rest(from, most);
    if (!in_.failed()) v.assign(from.begin(), from.end());
  }
  void value(std::optional<ValueBlock>& v) {
    bool there = false;
    flag(there);
    if (there) array(v.emplace());
  }
  void groups(std::span<const GroupKey>& v) {
    const std::uint32_t count = in_.count16(kEvsGroupsMax);
    if (count == 0) return in_.fail();
    v = base::group_keys(in_.bytes(count * sizeof(GroupKey)));
  }
  void groups(std::vector<GroupKey>& v) {
    std::span<const GroupKey> from;
    groups(from);
    v.assign(from.begin(), from.end());
  }
  void text(std::string& v, std::size_t most) {
    v = base::text_of(in_.bytes(in_.count16(static_cast<std::uint32_t>(most))));
  }
  void name(std::string& v, std::size_t most) {
    text(v, most);
    if (v.empty()) in_.fail();
  }
  template <typename Item>
  void optional(std::optional<Item>& v) {
    bool there = false;
    flag(there);
    if (there) fields(*this, v.emplace());
  }
  template <typename Item>
  void list(std::vector<Item>& items, std::size_t most) {
    const std::uint32_t count = in_.count16(static_cast<std::uint32_t>(most));
    for (std::uint32_t i = 0; i < count && !in_.failed(); ++i) fields(*this, items.emplace_back());
  }

 private:
  std::uint8_t bounded(std::uint8_t first, std::uint8_t last) {
    const std::uint8_t v = in_.u8();
    if (v < first || v > last) in_.fail();
    return in_.failed() ? first : v;
  }

  ByteReader in_;
};

template <typename Io, typename V>
void stamp(Io& io, V& v) {
  io.duration(v.boot);
  io.duration(v.raw);
}

template <typename Io, typename V>
void lease_note(Io& io, V& v) {
  stamp(io, v.echo);
  io.duration(v.remaining);
}

}  // namespace liblock::protocol
