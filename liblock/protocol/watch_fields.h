// The layout of what a watcher asks and is told (docs/wire.md, "Client protocol").
#pragma once

#include "liblock/protocol/field_io.h"
#include "liblock/protocol/lock_fields.h"
#include "liblock/protocol/query_fields.h"
#include "liblock/protocol/watch_messages.h"

namespace liblock::protocol {

template <typename Io>
void fields(Io& io, message_of<Io, Watch>& v) {
  io.u32(v.query);
  io.u32(v.events);
  io.text(v.lockspace, kLockspaceBytesMax);
  io.text(v.resource, kResourceBytesMax);
  io.flag(v.prefix);
}

template <typename Io>
void fields(Io& io, message_of<Io, WatchGap>& v) {
  io.u32(v.query);
  io.flag(v.resync);
  io.u64(v.lost);
}

template <typename Io>
void fields(Io& io, message_of<Io, LockWatched>& v) {
  io.u32(v.query);
  io.word(v.event, WatchedEvent::granted, WatchedEvent::released);
  io.u32(v.second);
  io.name(v.lockspace, kLockspaceBytesMax);
  io.name(v.resource, kResourceBytesMax);
  io.word(v.mode, Mode::nl, Mode::ex);
  io.word(v.wants, Mode::nl, Mode::ex);
  io.id(v.token);
  io.word(v.reason, Answer::granted, Answer::not_permitted);
  io.id(v.session);
  io.id(v.request);
  io.node(v.node);
  io.u32(v.pid);
  io.u32(v.uid);
  io.text(v.command, kCommandBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, DeadlockWatched>& v) {
  io.u32(v.query);
  io.u32(v.second);
  io.id(v.victim);
  io.id(v.request);
  io.list(v.steps, kDeadlockStepsMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, SessionWatched>& v) {
  io.u32(v.query);
  io.u32(v.second);
  io.word(v.change, SessionChange::opened, SessionChange::expired);
  io.id(v.session);
  io.node(v.node);
  io.u32(v.pid);
  io.u32(v.uid);
  io.text(v.command, kCommandBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, LockspaceWatched>& v) {
  io.u32(v.query);
  io.u32(v.second);
  fields(io, v.state);
}

template <typename Io>
void fields(Io& io, message_of<Io, ConfigurationWatched>& v) {
  io.u32(v.query);
  io.u32(v.second);
  io.flag(v.transitional);
  io.ring(v.ring);
  io.list(v.members, kMembersMax);
  io.list(v.left, kMembersMax);
  io.list(v.joined, kMembersMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, QuorumWatched>& v) {
  io.u32(v.query);
  io.u32(v.second);
  io.flag(v.primary);
  io.text(v.state, kTextBytesMax);
  io.u64(v.epoch);
  io.u32(v.votes);
  io.u32(v.quorum);
}

}  // namespace liblock::protocol
