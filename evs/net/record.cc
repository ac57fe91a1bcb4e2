#include "evs/net/record.h"

#include <algorithm>

namespace evs::net {
namespace {

constexpr std::string_view kInfoLabel = "lockd udp v1";

}  // namespace

std::string_view to_string(Refusal refusal) {
  switch (refusal) {
    case Refusal::too_short:
      return "too_short";
    case Refusal::wrong_version:
      return "wrong_version";
    case Refusal::wrong_type:
      return "wrong_type";
    case Refusal::wrong_cipher:
      return "wrong_cipher";
    case Refusal::wrong_key_id:
      return "wrong_key_id";
    case Refusal::unknown_sender:
      return "unknown_sender";
    case Refusal::own:
      return "own";
    case Refusal::replayed:
      return "replayed";
    case Refusal::unproved:
      return "unproved";
    case Refusal::stray:
      return "stray";
    case Refusal::forged:
      return "forged";
  }
  return "?";
}

void encode(const RecordHeader& header, base::Buffer& out) {
  base::ByteWriter writer(out);
  writer.u8(kRecordVersion);
  writer.u8(static_cast<std::uint8_t>(static_cast<unsigned>(header.cipher) << 4 |
                                      static_cast<unsigned>(header.type)));
  writer.u16(base::value(header.key_id));
  writer.node(header.sender);
  writer.bytes(header.salt);
  writer.u64(header.counter);
}

base::Result<RecordHeader, Refusal> decode_header(base::Bytes datagram) {
  if (datagram.size() < kSealBytes) return base::error(Refusal::too_short);
  base::ByteReader reader(datagram.first(kHeaderBytes));
  if (reader.u8() != kRecordVersion) return base::error(Refusal::wrong_version);
  const std::uint8_t kind = reader.u8();
  const std::uint8_t cipher = kind >> 4;
  const std::uint8_t type = kind & 15;
  if (cipher > 1 || type < 1 || type > 3) return base::error(Refusal::wrong_type);
  RecordHeader header;
  header.cipher = Cipher{cipher};
  header.type = RecordType{type};
  header.key_id = KeyId{reader.u16()};
  header.sender = reader.node();
  std::ranges::copy(reader.bytes(header.salt.size()), header.salt.begin());
  header.counter = reader.u64();
  return header;
}

Secret derive_key(Aead& aead, const ClusterKey& cluster_key, const RecordHeader& header) {
  base::Buffer info;
  base::ByteWriter writer(info);
  writer.bytes(base::bytes_of(kInfoLabel));
  writer.bytes(cluster_key.cluster);
  writer.node(header.sender);
  writer.u64(sub_key_of(header.counter));
  return aead.derive(cluster_key.master, header.salt, info);
}

Nonce nonce_of(const RecordHeader& header) {
  Nonce nonce{};  // Four zero bytes, then the counter.
  for (std::size_t i = 0; i < 8; ++i) {
    nonce[4 + i] = static_cast<std::byte>((header.counter >> (8 * i)) & 0xff);
  }
  return nonce;
}

}  // namespace evs::net
