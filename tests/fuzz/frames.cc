// Frames: payloads of packets in a row come from outside; and what is packed comes out again,
// however it is cut.
#include <deque>

#include "evs/config.h"
#include "evs/frame.h"
#include "evs/group_message.h"
#include "tests/fuzz/fuzz.h"

namespace {

void take_apart(fuzz::Input input) {
  evs::Reassembly reassembly;
  while (!input.empty()) {
    const auto messages = reassembly.take(input.piece());
    if (!messages) continue;
    for (const evs::Reassembled& message : *messages) {
      fuzz::require(message.payload.size() <= evs::kMessageBytesMax, "no message is too long");
      evs::GroupMessage to_groups;
      if (!evs::decode_group_message(message.payload, to_groups)) continue;
      base::Buffer again;
      evs::encode_group_message(to_groups.groups, to_groups.payload, again);
      fuzz::require(fuzz::equal(again, message.payload), "a group message has one form in bytes");
    }
  }
}

void there_and_back(fuzz::Input input) {
  evs::SendQueue queue(64 * 1024);
  std::deque<evs::Reassembled> sent;
  evs::Reassembly reassembly;
  while (!input.empty()) {
    const std::uint8_t what = input.u8();
    if (what < 128) {
      const auto service = static_cast<evs::Service>(what % 4);
      const base::Bytes payload = input.piece();
      const bool fits = payload.size() <= queue.room() && queue.room() > 0;
      const bool taken = queue.push(service, payload);
      fuzz::require(taken || !fits, "there was room");
      if (taken) sent.push_back({service, base::Buffer(payload.begin(), payload.end())});
    } else if (!queue.empty()) {
      const std::size_t most = 16 + std::size_t{what} * 8;
      const evs::PackedPayload packed = queue.pack(most);
      fuzz::require(packed.payload.size() <= most, "a packet is no longer than it may be");
      const auto messages = reassembly.take(packed.payload);
      fuzz::require(messages.has_value(), "what was packed makes sense");
      fuzz::require(messages->size() == packed.messages_ended, "as many messages end in it");
      for (const evs::Reassembled& message : *messages) {
        fuzz::require(!sent.empty() && message.payload == sent.front().payload &&
                          message.service == sent.front().service,
                      "messages come out as they went in");
        fuzz::require(packed.safe == (message.service == evs::Service::safe),
                      "safe messages have packets of their own");
        sent.pop_front();
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  take_apart(fuzz::Input(data, size));
  there_and_back(fuzz::Input(data, size));
  return 0;
}
