// What daemons send: each response has one form in bytes.
#include "liblock/protocol/codec.h"
#include "tests/fuzz/fuzz.h"

using namespace liblock::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::Bytes bytes = fuzz::bytes_of(data, size);
  if (const auto response = decode_response(bytes)) {
    base::Buffer again;
    encode(*response, again);
    fuzz::require(fuzz::equal(base::Bytes(again).subspan(kFrameHeaderBytes), bytes),
                  "a response has one form in bytes");
  }
  return 0;
}
