// The layout of what is asked and told of locks and lockspaces (docs/wire.md, "Client protocol").
#pragma once

#include "liblock/protocol/field_io.h"
#include "liblock/protocol/lock_messages.h"

namespace liblock::protocol {

template <typename Io>
void fields(Io& io, message_of<Io, Acquire>& v) {
  io.id(v.request);
  io.id(v.acknowledged);
  stamp(io, v.stamp);
  io.word(v.mode, Mode::nl, Mode::ex);
  io.u32(v.flags);
  io.u64(v.owner);
  io.u32(v.patience);
  io.name(v.lockspace, kLockspaceBytesMax);
  io.name(v.resource, kResourceBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, Release>& v) {
  io.id(v.request);
  io.id(v.acknowledged);
  stamp(io, v.stamp);
  io.id(v.acquire);
  io.id(v.token);
  io.u32(v.flags);
  io.value(v.value);
}

template <typename Io>
void fields(Io& io, message_of<Io, Cancel>& v) {
  io.id(v.request);
  io.id(v.acknowledged);
  stamp(io, v.stamp);
  io.id(v.acquire);
}

template <typename Io>
void fields(Io& io, message_of<Io, Reply>& v) {
  io.id(v.request);
  io.word(v.answer, Answer::granted, Answer::full);
  io.word(v.mode, Mode::nl, Mode::ex);
  io.id(v.token);
  io.u8(v.notes);
  io.value(v.value);
  lease_note(io, v.note);
  io.text(v.advice, kAdviceBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, AcquirePart>& v) {
  io.word(v.mode, Mode::nl, Mode::ex);
  io.name(v.lockspace, kLockspaceBytesMax);
  io.name(v.resource, kResourceBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, AcquireAll>& v) {
  io.id(v.request);
  io.id(v.acknowledged);
  stamp(io, v.stamp);
  io.u32(v.flags);
  io.u64(v.owner);
  io.u32(v.patience);
  io.list(v.parts, kPartsMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, Convert>& v) {
  io.id(v.request);
  io.id(v.acknowledged);
  stamp(io, v.stamp);
  io.id(v.acquire);
  io.word(v.mode, Mode::nl, Mode::ex);
  io.u32(v.flags);
  io.u32(v.patience);
  io.value(v.value);
}

template <typename Io>
void fields(Io& io, message_of<Io, DropOrphans>& v) {
  io.id(v.request);
  io.id(v.acknowledged);
  stamp(io, v.stamp);
  io.node(v.node);
  io.u32(v.pid);
}

template <typename Io>
void fields(Io& io, message_of<Io, JoinLockspace>& v) {
  io.id(v.request);
  io.id(v.acknowledged);
  stamp(io, v.stamp);
  io.word(v.kind, JoinKind::open, JoinKind::create_new);
  io.u16(v.permissions);
  io.name(v.lockspace, kLockspaceBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, LeaveLockspace>& v) {
  io.id(v.request);
  io.id(v.acknowledged);
  stamp(io, v.stamp);
  io.flag(v.force);
  io.name(v.lockspace, kLockspaceBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, Blocks>& v) {
  io.id(v.acquire);
  io.id(v.token);
  io.word(v.mode, Mode::nl, Mode::ex);
}

template <typename Io>
void fields(Io& io, message_of<Io, LockRef>& v) {
  io.id(v.session);
  io.id(v.acquire);
  io.node(v.node);
  io.u32(v.pid);
  io.text(v.command, kCommandBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, DeadlockStep>& v) {
  fields(io, v.waits);
  io.word(v.wants, Mode::nl, Mode::ex);
  fields(io, v.blocker);
  io.word(v.has, Mode::nl, Mode::ex);
  io.name(v.lockspace, kLockspaceBytesMax);
  io.name(v.resource, kResourceBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, Deadlock>& v) {
  io.id(v.request);
  io.list(v.steps, kDeadlockStepsMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, LockspaceMember>& v) {
  io.node(v.node);
  io.u32(v.slot);
}

template <typename Io>
void fields(Io& io, message_of<Io, LockspaceState>& v) {
  io.name(v.lockspace, kLockspaceBytesMax);
  io.u64(v.generation);
  io.flag(v.recovered);
  io.list(v.members, kMembersMax);
  io.list(v.failed, kMembersMax);
}

}  // namespace liblock::protocol
