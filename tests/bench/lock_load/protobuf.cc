#include "tests/bench/lock_load/protobuf.h"

namespace tests::lock_load {
namespace {

constexpr unsigned kVarint = 0;
constexpr unsigned kLengthDelimited = 2;

struct Field {
  std::uint64_t number = 0;
  unsigned kind = 0;
  std::uint64_t value = 0;
  std::string_view bytes;
};

std::optional<std::uint64_t> take_varint(std::string_view& in) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !in.empty(); shift += 7) {
    const auto byte = static_cast<std::uint8_t>(in.front());
    in.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

std::optional<Field> take_field(std::string_view& in) {
  const auto tag = take_varint(in);
  const auto value = tag ? take_varint(in) : std::nullopt;
  if (!value) return std::nullopt;
  Field field{*tag >> 3, static_cast<unsigned>(*tag & 7), *value, {}};
  if (field.kind == kLengthDelimited) {
    if (*value > in.size()) return std::nullopt;
    field.bytes = in.substr(0, *value);
    in.remove_prefix(*value);
  } else if (field.kind != kVarint) {
    return std::nullopt;
  }
  return field;
}

std::optional<Field> find(std::string_view message, unsigned number, unsigned kind) {
  while (const auto field = take_field(message)) {
    if (field->number == number && field->kind == kind) return field;
  }
  return std::nullopt;
}

}  // namespace

ProtoWriter& ProtoWriter::number(unsigned field, std::uint64_t value) {
  varint(field << 3 | kVarint);
  varint(value);
  return *this;
}

ProtoWriter& ProtoWriter::bytes(unsigned field, std::string_view value) {
  varint(field << 3 | kLengthDelimited);
  varint(value.size());
  out_ += value;
  return *this;
}

void ProtoWriter::varint(std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
  out_ += static_cast<char>(value);
}

std::optional<std::uint64_t> proto_number(std::string_view message, unsigned field) {
  const auto found = find(message, field, kVarint);
  return found ? std::optional(found->value) : std::nullopt;
}

std::optional<std::string_view> proto_bytes(std::string_view message, unsigned field) {
  const auto found = find(message, field, kLengthDelimited);
  return found ? std::optional(found->bytes) : std::nullopt;
}

}  // namespace tests::lock_load
