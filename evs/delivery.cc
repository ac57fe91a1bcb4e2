// Delivery in order: agreed as soon as it is next, safe when it is next and stable [rule 4].
#include <utility>

#include "base/mutant.h"
#include "evs/member.h"

namespace evs {

void Member::deliver_regular(Ring& ring, Sequence stable) {
  for (;;) {
    const Packet* packet = ring.store.find(ring.delivered + 1);
    if (packet == nullptr || (packet->safe && ring.delivered + 1 > stable)) return;
    if (packet->safe) ++statistics_.safe_delivered_regular;
    deliver_packet(ring, ++ring.delivered, *packet, false);
  }
}

void Member::deliver_packet(Ring& ring, Sequence sequence, const Packet& packet,
                            bool transitional) {
  auto ended = packet.exchange ? std::nullopt : ring.reassembly[packet.sender].take(packet.payload);
  if (!ended) {
    ++statistics_.datagrams_malformed;
    return;
  }
  std::uint32_t index = MUTANT("canary_ring") ? 1 : 0;
  for (Reassembled& message : *ended) {
    ++statistics_.messages_delivered;
    if (transitional) ++statistics_.delivered_transitional;
    events_.push_back(Delivery{ring.members[packet.sender], ring.id, sequence, index++,
                               message.service, std::move(message.payload)});
  }
}

}  // namespace evs
