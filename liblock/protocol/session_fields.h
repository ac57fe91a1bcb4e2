// The layout of what makes and keeps a session (docs/wire.md, "Client protocol").
#pragma once

#include "liblock/protocol/field_io.h"
#include "liblock/protocol/messages.h"

namespace liblock::protocol {

template <typename Io>
void fields(Io& io, message_of<Io, Hello>& v) {
  io.u16(v.version);
  if (v.version != kVersion) return io.skip();
  io.word(v.kind, HelloKind::query, HelloKind::evs);
  io.array(v.instance);
  io.text(v.command, kCommandBytesMax);
  stamp(io, v.stamp);
  if (v.kind != HelloKind::resume) return;
  io.id(v.resume.session);
  io.array(v.resume.secret);
  io.u64(v.resume.generation);
}

template <typename Io>
void fields(Io& io, message_of<Io, Keepalive>& v) {
  io.id(v.acknowledged);
  stamp(io, v.stamp);
}

template <typename Io>
void fields(Io&, message_of<Io, Close>&) {}

template <typename Io>
void fields(Io& io, message_of<Io, Welcome>& v) {
  io.u16(v.version);
  io.node(v.node);
  io.flag(v.resumed);
  io.id(v.session);
  io.array(v.secret);
  io.u64(v.generation);
  io.duration(v.lease);
  io.flag(v.primary);
  lease_note(io, v.note);
}

template <typename Io>
void fields(Io& io, message_of<Io, Refused>& v) {
  io.word(v.error, Refusal::version, Refusal::too_slow);
  io.text(v.advice, kAdviceBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, State>& v) {
  io.flag(v.primary);
  io.u64(v.generation);
  lease_note(io, v.note);
}

template <typename Io>
void fields(Io& io, message_of<Io, Lost>& v) {
  io.word(v.reason, LostReason::expired, LostReason::shutdown);
}

}  // namespace liblock::protocol
