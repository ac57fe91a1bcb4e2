#include "tools/lockctl/keeper_message.h"

#include <algorithm>

namespace tools::lockctl {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint64_t kWithoutEnd = ~std::uint64_t{0};

void write(base::ByteWriter& writer, const std::optional<base::ValueBlock>& value) {
  writer.u8(value.has_value());
  writer.bytes(value.value_or(base::ValueBlock{}));
}

std::optional<base::ValueBlock> read_value(base::ByteReader& reader) {
  const bool there = reader.u8() != 0;
  base::ValueBlock value{};
  const base::Bytes bytes = reader.bytes(value.size());
  std::ranges::copy(bytes, value.begin());
  return there ? std::optional(value) : std::nullopt;
}

base::LockMode read_mode(base::ByteReader& reader) {
  const auto mode = base::mode_of(reader.u8());
  if (!mode) reader.fail();
  return mode.value_or(base::LockMode::nl);
}

base::Duration read_duration(base::ByteReader& reader) {
  return base::Duration(static_cast<std::int64_t>(reader.u64()));
}

void begin(base::ByteReader& reader) {
  if (reader.u8() != kVersion) reader.fail();
}

}  // namespace

base::Buffer encode(const KeeperRequest& request) {
  base::Buffer out;
  base::ByteWriter writer(out);
  writer.u8(kVersion);
  writer.u8(static_cast<std::uint8_t>(request.verb));
  writer.bytes16(base::bytes_of(request.whose));
  writer.u8(static_cast<std::uint8_t>(request.mode));
  writer.u64(request.wait ? static_cast<std::uint64_t>(request.wait->count()) : kWithoutEnd);
  writer.u8(request.read_value);
  write(writer, request.value);
  return out;
}

base::Buffer encode(const KeeperAnswer& answer) {
  base::Buffer out;
  base::ByteWriter writer(out);
  writer.u8(kVersion);
  writer.u8(static_cast<std::uint8_t>(answer.exit_code));
  writer.bytes16(base::bytes_of(answer.message));
  writer.u64(answer.token);
  writer.u8(static_cast<std::uint8_t>(answer.mode));
  writer.u64(static_cast<std::uint64_t>(answer.valid.count()));
  write(writer, answer.value);
  writer.u8(answer.value_invalid);
  return out;
}

std::optional<KeeperRequest> decode_request(base::Bytes bytes) {
  base::ByteReader reader(bytes);
  begin(reader);
  KeeperRequest request;
  request.verb = static_cast<KeeperVerb>(reader.u8());
  if (request.verb > KeeperVerb::unlock) reader.fail();
  request.whose = base::text_of(reader.bytes16());
  request.mode = read_mode(reader);
  const base::Duration wait = read_duration(reader);
  if (wait.count() >= 0) request.wait = wait;
  request.read_value = reader.u8() != 0;
  request.value = read_value(reader);
  if (!reader.finish()) return std::nullopt;
  return request;
}

std::optional<KeeperAnswer> decode_answer(base::Bytes bytes) {
  base::ByteReader reader(bytes);
  begin(reader);
  KeeperAnswer answer;
  answer.exit_code = reader.u8();
  answer.message = base::text_of(reader.bytes16());
  answer.token = reader.u64();
  answer.mode = read_mode(reader);
  answer.valid = read_duration(reader);
  answer.value = read_value(reader);
  answer.value_invalid = reader.u8() != 0;
  if (!reader.finish()) return std::nullopt;
  return answer;
}

}  // namespace tools::lockctl
