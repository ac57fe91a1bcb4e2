// The layout of what instances send and are sent (docs/wire.md, "Client protocol").
#pragma once

#include "liblock/protocol/evs_messages.h"
#include "liblock/protocol/field_io.h"

namespace liblock::protocol {

template <typename Io>
void fields(Io& io, message_of<Io, GroupKey>& v) {
  io.array(v.bytes);
}

template <typename Io>
void fields(Io& io, message_of<Io, Processor>& v) {
  io.processor(v);
}

template <typename Io>
void fields(Io& io, message_of<Io, EvsJoin>& v) {
  io.u32(v.query);
  io.list(v.groups, kEvsGroupsMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, EvsLeave>& v) {
  io.u32(v.query);
  io.list(v.groups, kEvsGroupsMax);
}

// Owned or borrowed.
template <typename Io, typename Multicast>
void multicast_fields(Io& io, Multicast& v) {
  io.word(v.guarantee, Guarantee::unordered, Guarantee::safe);
  io.groups(v.groups);
  io.rest(v.payload, kEvsPayloadBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, EvsMulticast>& v) {
  multicast_fields(io, v);
}

template <typename Io>
void fields(Io& io, message_of<Io, EvsMulticastView>& v) {
  multicast_fields(io, v);
}

template <typename Io>
void fields(Io& io, message_of<Io, EvsWelcome>& v) {
  io.u16(v.version);
  io.processor(v.self);
  io.u64(v.window);
}

template <typename Io>
void fields(Io& io, message_of<Io, EvsDone>& v) {
  io.u32(v.query);
}

template <typename Io>
void fields(Io& io, message_of<Io, EvsCredit>& v) {
  io.u64(v.taken);
}

template <typename Io, typename Delivery>
void delivery_fields(Io& io, Delivery& v) {
  io.processor(v.sender);
  io.ring(v.ring);
  io.u64(v.sequence);
  io.u32(v.index);
  io.word(v.guarantee, Guarantee::unordered, Guarantee::safe);
  io.groups(v.groups);
  io.rest(v.payload, kEvsPayloadBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, EvsDelivery>& v) {
  delivery_fields(io, v);
}

template <typename Io>
void fields(Io& io, message_of<Io, EvsDeliveryView>& v) {
  delivery_fields(io, v);
}

template <typename Io>
void fields(Io& io, message_of<Io, EvsConfiguration>& v) {
  io.word(v.kind, EvsKind::regular, EvsKind::transitional);
  io.ring(v.ring);
  io.list(v.members, kMembersMax);
  io.list(v.left, kMembersMax);
  io.list(v.joined, kMembersMax);
}

}  // namespace liblock::protocol
