// The ring's messages: each has one form in bytes, and what is in a packet is taken apart too.
#include "evs/codec.h"
#include "evs/frame.h"
#include "tests/fuzz/fuzz.h"

namespace {

void bounded(const evs::TokenMessage& token) {
  fuzz::require(token.acknowledged.size() <= evs::kMembersMax, "so many members at most");
  fuzz::require(token.requests.size() <= evs::kRequestsMax, "so many requests at most");
}

void bounded(const evs::JoinMessage& join) {
  fuzz::require(join.candidates.size() <= evs::kCandidatesMax, "so many candidates at most");
  fuzz::require(join.heard.size() <= evs::kMembersMax, "so many nodes at most");
}

void bounded(const evs::PresenceMessage& presence) {
  fuzz::require(presence.heard.size() <= evs::kMembersMax, "so many nodes at most");
}

void bounded(const evs::CommitMessage& commit) {
  fuzz::require(commit.members.size() <= evs::kMembersMax, "so many members at most");
  fuzz::require(commit.entries.size() == commit.members.size(), "an entry for each member");
}

template <typename Other>
void bounded(const Other&) {}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::Bytes bytes = fuzz::bytes_of(data, size);
  const auto message = evs::decode(bytes);
  if (message) {
    std::visit([](const auto& one) { bounded(one); }, *message);
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
