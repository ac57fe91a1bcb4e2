// As much of the encoding of protocol buffers as requests for locks need.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tests::lock_load {

class ProtoWriter {
 public:
  ProtoWriter& number(unsigned field, std::uint64_t value);
  ProtoWriter& bytes(unsigned field, std::string_view value);
  const std::string& message() const { return out_; }

 private:
  void varint(std::uint64_t value);

  std::string out_;
};

// The first field with this number at the outermost level, of the kind that is asked for; nothing
// if there is none, or the message is damaged before it.
std::optional<std::uint64_t> proto_number(std::string_view message, unsigned field);
std::optional<std::string_view> proto_bytes(std::string_view message, unsigned field);

}  // namespace tests::lock_load
