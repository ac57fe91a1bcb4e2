#include "evs/packet_store.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/check.h"

namespace evs {

// The slots grow to the capacity as packets come, so that many small rings cost little.
PacketStore::PacketStore(std::size_t capacity, Sequence first)
    : capacity_(capacity),
      mask_(63),
      slots_(64),
      discarded_(first),
      received_(first),
      highest_(first) {}

PacketStore::Insert PacketStore::insert(Sequence sequence, Packet packet) {
  if (sequence <= discarded_ || find(sequence) != nullptr) return Insert::duplicate;
  if (sequence - discarded_ > capacity_) return Insert::beyond;
  if (sequence - discarded_ > slots_.size()) {
    std::vector<std::optional<Packet>> wider(std::bit_ceil(sequence - discarded_));
    for (Sequence s = discarded_ + 1; s <= highest_; ++s) {
      wider[s & (wider.size() - 1)] = std::move(slot(s));
    }
    slots_ = std::move(wider);
    mask_ = slots_.size() - 1;
  }
  slot(sequence) = std::move(packet);
  highest_ = std::max(highest_, sequence);
  while (received_ < highest_ && slot(received_ + 1).has_value()) ++received_;
  return Insert::stored;
}

const Packet* PacketStore::find(Sequence sequence) const {
  if (sequence <= discarded_ || sequence > highest_) return nullptr;
  const auto& found = slot(sequence);
  return found.has_value() ? &*found : nullptr;
}

void PacketStore::discard_to(Sequence sequence) {
  CHECK(sequence <= received_);
  while (discarded_ < sequence) slot(++discarded_).reset();
}

}  // namespace evs
