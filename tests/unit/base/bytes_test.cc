#include "base/bytes.h"

#include <doctest/doctest.h>

TEST_CASE("what the writer wrote the reader reads, and nothing is left over") {
  base::Buffer buffer;
  base::ByteWriter writer(buffer);
  const base::RingId ring{7, base::NodeId{3}, 0x0123456789abcdefu};
  writer.u8(1);
  writer.u16(0x0203);
  writer.u32(0x04050607);
  writer.u64(0x08090a0b0c0d0e0fu);
  writer.bytes16(base::bytes_of("name"));
  writer.ring(ring);

  base::ByteReader reader(buffer);
  CHECK(reader.u8() == 1);
  CHECK(reader.u16() == 0x0203);
  CHECK(reader.u32() == 0x04050607);
  CHECK(reader.u64() == 0x08090a0b0c0d0e0fu);
  CHECK(base::text_of(reader.bytes16()) == "name");
  CHECK(reader.ring() == ring);
  CHECK(reader.finish());
}

TEST_CASE("numbers are little-endian on the wire") {
  base::Buffer buffer;
  base::ByteWriter(buffer).u32(0x01020304);
  CHECK(buffer == base::Buffer{std::byte{4}, std::byte{3}, std::byte{2}, std::byte{1}});
}

TEST_CASE("every truncation fails, and a failed reader stays failed") {
  base::Buffer buffer;
  base::ByteWriter writer(buffer);
  writer.u32(5);
  writer.bytes16(base::bytes_of("abc"));
  for (std::size_t size = 0; size < buffer.size(); ++size) {
    base::ByteReader reader(base::Bytes(buffer).first(size));
    reader.u32();
    reader.bytes16();
    CHECK_FALSE(reader.finish());
    CHECK(reader.u64() == 0);
  }
}

TEST_CASE("a count above its bound fails the reader before anything is reserved") {
  base::Buffer buffer;
  base::ByteWriter(buffer).u32(1000000);
  base::ByteReader reader(buffer);
  CHECK(reader.count32(32) == 0);
  CHECK(reader.failed());
}

TEST_CASE("bytes left over are an error") {
  base::Buffer buffer;
  base::ByteWriter(buffer).u16(1);
  base::ByteReader reader(buffer);
  reader.u8();
  CHECK_FALSE(reader.finish());
}
