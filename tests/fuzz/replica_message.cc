// What replicas say to each other, commands included: each has one form in bytes.
#include "lockd/ring_message.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::Bytes bytes = fuzz::bytes_of(data, size);
  if (const auto message = lockd::decode_ring_message(bytes)) {
    fuzz::require(fuzz::equal(lockd::encode(*message), bytes), "a message has one form in bytes");
  }
  if (const auto command = lockd::decode_command({}, bytes)) {
    base::Buffer again;
    lockd::encode(*command, again);
    fuzz::require(fuzz::equal(again, bytes), "a command has one form in bytes");
  }
  return 0;
}
