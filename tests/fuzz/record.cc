// The record layer, before the seal is opened and behind it: headers, handshakes, and an opener
// that gets datagrams one after another. What it accepts it must accept once.
#include <array>
#include <set>
#include <tuple>

#include "base/bytes.h"
#include "evs/net/handshake.h"
#include "evs/net/opener.h"
#include "evs/net/record.h"
#include "tests/fuzz/fake_aead.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace evs::net;

void decode_alone(base::Bytes datagram) {
  if (const auto header = decode_header(datagram)) {
    base::Buffer again;
    encode(*header, again);
    fuzz::require(fuzz::equal(again, datagram.first(kHeaderBytes)),
                  "a header has one form in bytes");
  }
  if (const auto handshake = decode_handshake(datagram)) {
    const HandshakeText again = encode(*handshake);
    fuzz::require(fuzz::equal(again, datagram), "a handshake has one form in bytes");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  decode_alone(fuzz::bytes_of(data, size));

  fuzz::FakeAead aead;
  ClusterKey key;
  const std::array nodes = {base::NodeId{1}, base::NodeId{2}, base::NodeId{3}};
  Salt salt{};
  salt.fill(std::byte{1});
  Opener opener(aead, Keyring(key), nodes[0], salt, nodes);
  std::set<std::tuple<base::NodeId, Salt, std::uint64_t>> accepted;
  base::Instant now{std::chrono::seconds(100), std::chrono::seconds(100)};

  fuzz::Input input(data, size);
  while (!input.empty()) {
    now = now + std::chrono::milliseconds(input.u8());
    const base::Bytes datagram = input.piece();
    decode_alone(datagram);
    const auto opened = opener.open(now, datagram);
    fuzz::require(opener.to_send().size() <= 2, "a datagram causes two handshakes at most");
    for (const HandshakeRecord& record : opener.to_send()) {
      fuzz::require(record.to != nodes[0], "a handshake is for another node");
      fuzz::require(decode_handshake(record.text).has_value(), "what is sent can be decoded");
    }
    if (!opened || !*opened) continue;
    const RecordHeader& header = (*opened)->header;
    fuzz::require(header.type == RecordType::ring, "what is brought is the ring's");
    fuzz::require(header.sender != nodes[0], "own datagrams are refused");
    fuzz::require(accepted.insert({header.sender, header.salt, header.counter}).second,
                  "nothing is accepted twice");
  }
  return 0;
}
