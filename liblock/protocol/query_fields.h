// The layout of questions and answers (docs/wire.md, "Client protocol").
#pragma once

#include "liblock/protocol/field_io.h"
#include "liblock/protocol/lock_fields.h"
#include "liblock/protocol/query_messages.h"

namespace liblock::protocol {

template <typename Io>
void fields(Io& io, message_of<Io, List>& v) {
  io.u32(v.query);
  io.text(v.lockspace, kLockspaceBytesMax);
  io.text(v.prefix, kResourceBytesMax);
  io.u64(v.cursor);
}

template <typename Io>
void fields(Io& io, message_of<Io, Show>& v) {
  io.u32(v.query);
  io.name(v.lockspace, kLockspaceBytesMax);
  io.name(v.resource, kResourceBytesMax);
  io.u32(v.skip);
}

template <typename Io>
void fields(Io& io, message_of<Io, StatusQuery>& v) {
  io.u32(v.query);
}

template <typename Io>
void fields(Io& io, message_of<Io, MembersQuery>& v) {
  io.u32(v.query);
}

template <typename Io>
void fields(Io& io, message_of<Io, RingStatusQuery>& v) {
  io.u32(v.query);
}

template <typename Io>
void fields(Io& io, message_of<Io, RingLogQuery>& v) {
  io.u32(v.query);
  io.u64(v.since);
}

template <typename Io>
void fields(Io& io, message_of<Io, WhyQuery>& v) {
  io.u32(v.query);
  io.u32(v.back);
}

template <typename Io>
void fields(Io& io, message_of<Io, ListItem>& v) {
  io.name(v.lockspace, kLockspaceBytesMax);
  io.name(v.resource, kResourceBytesMax);
  io.u32(v.granted);
  io.u32(v.waiting);
  io.word(v.mode, Mode::nl, Mode::ex);
  io.id(v.token);
  io.node(v.node);
  io.flag(v.orphaned);
  io.text(v.command, kCommandBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, ShowLock>& v) {
  io.flag(v.granted);
  io.flag(v.waiting);
  io.word(v.mode, Mode::nl, Mode::ex);
  io.word(v.wants, Mode::nl, Mode::ex);
  io.id(v.token);
  io.u32(v.flags);
  io.u32(v.position);
  io.u32(v.since);
  io.u64(v.owner);
  io.flag(v.orphan);
  io.id(v.session);
  io.id(v.request);
  io.node(v.node);
  io.flag(v.orphaned);
  io.u32(v.pid);
  io.u32(v.uid);
  io.text(v.command, kCommandBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, Counter>& v) {
  io.name(v.name, kTextBytesMax);
  io.u64(v.value);
}

template <typename Io>
void fields(Io& io, message_of<Io, Member>& v) {
  io.node(v.node);
  io.u64(v.incarnation);
  io.u32(v.votes);
  io.flag(v.witness);
  io.flag(v.self);
  io.word(v.state, MemberState::absent, MemberState::active);
  io.text(v.address, kTextBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, ListPage>& v) {
  io.u32(v.query);
  io.flag(v.stale);
  io.flag(v.more);
  io.u64(v.cursor);
  io.list(v.items, kListItemsMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, ShowPage>& v) {
  io.u32(v.query);
  io.flag(v.stale);
  io.flag(v.more);
  io.flag(v.has_value);
  io.flag(v.value_invalid);
  io.array(v.value);
  io.list(v.locks, kShowLocksMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, Status>& v) {
  io.u32(v.query);
  io.node(v.node);
  io.text(v.cluster, kTextBytesMax);
  io.text(v.daemon, kTextBytesMax);
  io.text(v.state, kTextBytesMax);
  io.flag(v.primary);
  io.flag(v.voter);
  io.u64(v.epoch);
  io.ring(v.ring);
  io.u32(v.votes);
  io.u32(v.quorum);
  io.u32(v.votes_configured);
  io.u32(v.holders);
  io.duration(v.lease);
  io.u64(v.sessions);
  io.u64(v.resources);
  io.u64(v.locks);
  io.u64(v.waiting);
  io.u64(v.orphaned);
  io.list(v.counters, kCountersMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, Members>& v) {
  io.u32(v.query);
  io.ring(v.ring);
  io.list(v.members, kMembersMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, RingPeer>& v) {
  io.node(v.node);
  io.u64(v.incarnation);
  io.flag(v.self);
  io.flag(v.barred);
  io.u64(v.acknowledged);
  io.flag(v.heard);
  io.duration(v.heard_ago);
  io.u16(v.key);
}

template <typename Io>
void fields(Io& io, message_of<Io, RingStatus>& v) {
  io.u32(v.query);
  io.word(v.state, RingState::operational, RingState::left);
  io.ring(v.ring);
  io.duration(v.rotation);
  io.duration(v.rotation_average);
  io.duration(v.rotation_longest);
  io.u64(v.highest);
  io.u64(v.received);
  io.u64(v.stable);
  io.u64(v.delivered);
  io.u64(v.stored);
  io.u64(v.waiting_messages);
  io.u64(v.waiting_bytes);
  io.u64(v.waiting_bytes_max);
  io.u64(v.waiting_datagrams);
  io.u32(v.personal_window);
  io.u32(v.rotation_window);
  io.u32(v.accelerated_window);
  io.u32(v.outstanding_max);
  io.list(v.peers, kMembersMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, RingEvent>& v) {
  io.u64(v.number);
  io.duration(v.ago);
  io.duration(v.lasted);
  io.u32(v.times);
  io.name(v.event, kTextBytesMax);
  io.ring(v.ring);
  io.node(v.node);
  io.text(v.text, kTextBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, RingLogPage>& v) {
  io.u32(v.query);
  io.flag(v.more);
  io.list(v.events, kRingEventsMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, NodeId>& v) {
  io.node(v);
}

template <typename Io>
void fields(Io& io, message_of<Io, WhyMember>& v) {
  io.processor(v.processor);
  io.flag(v.came);
  io.text(v.why, kTextBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, Why>& v) {
  io.u32(v.query);
  io.flag(v.changed);
  io.ring(v.ring);
  io.duration(v.ago);
  io.duration(v.took);
  io.text(v.trigger, kTextBytesMax);
  io.list(v.members, kMembersMax);
  io.list(v.changes, kMembersMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, DeadlockQuery>& v) {
  io.u32(v.query);
  io.u32(v.back);
}

template <typename Io>
void fields(Io& io, message_of<Io, LockspacesQuery>& v) {
  io.u32(v.query);
  io.text(v.after, kLockspaceBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, DeadlockAnswer>& v) {
  io.u32(v.query);
  io.flag(v.found);
  io.id(v.victim);
  io.id(v.request);
  io.list(v.steps, kDeadlockStepsMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, LockspaceItem>& v) {
  fields(io, v.state);
  io.u32(v.uid);
  io.u32(v.gid);
  io.u16(v.permissions);
}

template <typename Io>
void fields(Io& io, message_of<Io, LockspacesPage>& v) {
  io.u32(v.query);
  io.flag(v.stale);
  io.flag(v.more);
  io.list(v.items, kLockspacesMax);
}

}  // namespace liblock::protocol
