// The layout of what is asked and told of barriers (docs/wire.md, "Client protocol").
#pragma once

#include "liblock/protocol/barrier_messages.h"
#include "liblock/protocol/field_io.h"

namespace liblock::protocol {

template <typename Io>
void fields(Io& io, message_of<Io, BarrierConfig>& v) {
  io.u32(v.parties);
  io.word(v.unit, BarrierUnit::session, BarrierUnit::node);
  io.word(v.on_death, BarrierOnDeath::break_it, BarrierOnDeath::wait);
  io.flag(v.two_steps);
  io.flag(v.auto_delete);
  io.u32(v.patience);
}

// What every request about a barrier begins with.
template <typename Io, typename V>
void barrier_request(Io& io, V& v) {
  io.id(v.request);
  io.id(v.acknowledged);
  stamp(io, v.stamp);
  io.name(v.lockspace, kLockspaceBytesMax);
  io.name(v.barrier, kBarrierNameBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, BarrierCreate>& v) {
  barrier_request(io, v);
  fields(io, v.config);
}

template <typename Io>
void fields(Io& io, message_of<Io, BarrierChange>& v) {
  barrier_request(io, v);
  io.word(v.attribute, BarrierAttribute::auto_delete, BarrierAttribute::patience);
  io.u32(v.value);
}

template <typename Io>
void fields(Io& io, message_of<Io, BarrierArrive>& v) {
  barrier_request(io, v);
  io.optional(v.config);
  io.text(v.value, kBarrierValueBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, BarrierLeave>& v) {
  io.id(v.request);
  io.id(v.acknowledged);
  stamp(io, v.stamp);
  io.id(v.generation);
  io.text(v.value, kBarrierValueBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, BarrierWithdraw>& v) {
  barrier_request(io, v);
  io.id(v.arrival);
}

template <typename Io>
void fields(Io& io, message_of<Io, BarrierCancel>& v) {
  barrier_request(io, v);
}

template <typename Io>
void fields(Io& io, message_of<Io, BarrierDelete>& v) {
  barrier_request(io, v);
  io.flag(v.force);
}

template <typename Io>
void fields(Io& io, message_of<Io, BarrierConfirm>& v) {
  io.id(v.generation);
  io.word(v.step, BarrierStep::enter, BarrierStep::leave);
}

template <typename Io>
void fields(Io& io, message_of<Io, BarrierMore>& v) {
  io.id(v.generation);
  io.word(v.step, BarrierStep::enter, BarrierStep::leave);
  io.id(v.after);
}

template <typename Io>
void fields(Io& io, message_of<Io, BarrierMember>& v) {
  io.id(v.session);
  io.processor(v.at);
  io.text(v.value, kBarrierValueBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, BarrierLost>& v) {
  io.id(v.session);
  io.processor(v.at);
}

template <typename Io>
void fields(Io& io, message_of<Io, BarrierOutcome>& v) {
  io.id(v.request);
  io.id(v.generation);
  io.word(v.step, BarrierStep::enter, BarrierStep::leave);
  io.word(v.ending, BarrierEnding::released, BarrierEnding::deleted);
  io.ring(v.ring);
  io.u64(v.membership);
  io.u64(v.losses);
  io.list(v.lost, kBarrierLostMax);
  io.u32(v.members_total);
  io.list(v.members, kBarrierMembersMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, BarriersQuery>& v) {
  io.u32(v.query);
  io.text(v.lockspace, kLockspaceBytesMax);
  io.text(v.after_lockspace, kLockspaceBytesMax);
  io.text(v.after_barrier, kBarrierNameBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, BarrierRound>& v) {
  io.id(v.generation);
  io.u32(v.arrived);
  io.u32(v.missing);
}

template <typename Io>
void fields(Io& io, message_of<Io, BarrierItem>& v) {
  io.name(v.lockspace, kLockspaceBytesMax);
  io.name(v.barrier, kBarrierNameBytesMax);
  fields(io, v.config);
  io.optional(v.entering);
  io.optional(v.inside);
}

template <typename Io>
void fields(Io& io, message_of<Io, BarriersPage>& v) {
  io.u32(v.query);
  io.flag(v.primary);
  io.flag(v.more);
  io.list(v.items, kBarriersMax);
}

}  // namespace liblock::protocol
