// The ring's messages: each has one form in bytes, and what is in a packet is taken apart too.
#include "evs/codec.h"
#include "evs/frame.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::Bytes bytes = fuzz::bytes_of(data, size);
  const auto message = evs::decode(bytes);
  if (message) {
    fuzz::require(fuzz::equal(evs::encode(*message), bytes), "a message has one form in bytes");
    if (const auto* packet = std::get_if<evs::PacketMessage>(&*message)) {
      if (const auto old = evs::decode_exchange(packet->payload)) {
        fuzz::require(fuzz::equal(evs::encode_exchange(*old), packet->payload),
                      "an exchanged packet has one form in bytes");
      }
      evs::Reassembly reassembly;
      reassembly.take(packet->payload);
      reassembly.take(packet->payload);
    }
  }
  return 0;
}
