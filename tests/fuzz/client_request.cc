// What clients send: the stream is cut into frames however it arrives, and each request has one
// form in bytes.
#include "liblock/protocol/codec.h"
#include "tests/fuzz/fuzz.h"

using namespace liblock::protocol;

namespace {

// Of a Hello of another version nothing more is read.
bool of_another_version(const Request& request) {
  const auto* hello = std::get_if<Hello>(&request);
  return hello != nullptr && hello->version != kVersion;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::Bytes bytes = fuzz::bytes_of(data, size);
  if (const auto request = decode_request(bytes); request && !of_another_version(*request)) {
    base::Buffer again;
    encode(*request, again);
    fuzz::require(fuzz::equal(base::Bytes(again).subspan(kFrameHeaderBytes), bytes),
                  "a request has one form in bytes");
  }

  fuzz::Input input(data, size);
  FrameCutter cutter(kRequestBytesMax);
  bool failed = false;
  while (!input.empty()) {
    cutter.append(input.bytes(1 + input.u8()));
    for (;;) {
      const auto content = cutter.next();
      fuzz::require(!failed || !content.has_value(), "a stream that failed stays so");
      failed = !content.has_value();
      if (failed || !content->has_value()) break;
      fuzz::require((*content)->size() <= kRequestBytesMax, "a frame is no longer than it may be");
      decode_request(**content);
    }
    if (failed) break;
  }
  return 0;
}
