#include "lockd/command.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace lockd {
namespace {

// The kind of a command on the wire: its place in Command::Body, from 1.
enum class Kind : std::uint8_t {
  open = 1,
  resume,
  detached,
  close,
  acquire,
  release,
  cancel,
  expire,
  purge,
  cold_end,
  acquire_all,
  convert,
  time_out,
  drop_orphans,
  join_lockspace,
  leave_lockspace,
  barrier_create,
  barrier_change,
  barrier_arrive,
  barrier_leave,
  barrier_withdraw,
  barrier_cancel,
  barrier_delete,
  barrier_acknowledge,
  barrier_time_out,
};

void put(base::ByteWriter& out, SessionId session, Generation generation) {
  out.u64(base::value(session));
  out.u64(base::value(generation));
}

void put(base::ByteWriter& out, const Request& request) {
  put(out, request.session, request.generation);
  out.u64(base::value(request.id));
  out.u64(base::value(request.acknowledged));
}

void put(base::ByteWriter& out, std::string_view name, std::size_t least, std::size_t most) {
  CHECK(name.size() >= least && name.size() <= most);
  out.u8(static_cast<std::uint8_t>(name.size()));
  out.bytes(base::bytes_of(name));
}

void put(base::ByteWriter& out, const std::optional<dlm::ValueBlock>& value) {
  out.u8(value ? 1 : 0);
  if (value) out.bytes(*value);
}

void put(base::ByteWriter& out, const barrier::Name& name) {
  put(out, name.lockspace, 1, barrier::kMaxLockspaceName);
  put(out, name.barrier, 1, barrier::kMaxBarrierName);
}

void put(base::ByteWriter& out, const BarrierSettings& settings) {
  out.u32(settings.config.parties);
  out.u8(static_cast<std::uint8_t>(settings.config.unit));
  out.u8(static_cast<std::uint8_t>(settings.config.on_death));
  out.u8(settings.config.two_steps ? 1 : 0);
  out.u8(settings.auto_delete ? 1 : 0);
  out.u32(settings.patience);
}

void put(base::ByteWriter& out, const barrier::OutcomeKey& key) {
  out.u64(base::value(key.generation));
  out.u8(static_cast<std::uint8_t>(key.step));
}

void put(base::ByteWriter& out, const base::Buffer& value) {
  CHECK(value.size() <= barrier::kMaxValue);
  out.u16(static_cast<std::uint16_t>(value.size()));
  out.bytes(value);
}

struct Writer {
  base::ByteWriter& out;

  void kind(Kind k) const { out.u8(static_cast<std::uint8_t>(k)); }

  void operator()(const Open& open) const {
    kind(Kind::open);
    out.u64(base::value(open.number));
    out.bytes(open.secret.bits);
    out.bytes(open.instance.bits);
    out.u32(open.uid);
    out.u32(open.gid);
    out.u32(open.pid);
    put(out, open.program, 0, kProgramBytesMax);
  }

  void operator()(const Resume& resume) const {
    kind(Kind::resume);
    put(out, resume.session, resume.generation);
    out.bytes(resume.secret.bits);
    out.bytes(resume.instance.bits);
  }

  void operator()(const Detached& detached) const {
    kind(Kind::detached);
    put(out, detached.session, detached.generation);
  }

  void operator()(const Close& close) const {
    kind(Kind::close);
    put(out, close.session, close.generation);
  }

  void operator()(const Acquire& acquire) const {
    kind(Kind::acquire);
    put(out, acquire.request);
    out.u8(static_cast<std::uint8_t>(acquire.mode));
    out.u32(acquire.flags);
    out.u64(base::value(acquire.owner));
    out.u32(acquire.patience);
    put(out, acquire.lockspace, 1, dlm::kMaxLockspaceName);
    put(out, acquire.resource, 1, dlm::kMaxResourceName);
  }

  void operator()(const AcquireAll& all) const {
    kind(Kind::acquire_all);
    put(out, all.request);
    out.u32(all.flags);
    out.u64(base::value(all.owner));
    out.u32(all.patience);
    CHECK(!all.parts.empty() && all.parts.size() <= dlm::kMaxParts);
    out.u8(static_cast<std::uint8_t>(all.parts.size()));
    for (const AcquirePart& part : all.parts) {
      out.u8(static_cast<std::uint8_t>(part.mode));
      put(out, part.lockspace, 1, dlm::kMaxLockspaceName);
      put(out, part.resource, 1, dlm::kMaxResourceName);
    }
  }

  void operator()(const Convert& convert) const {
    kind(Kind::convert);
    put(out, convert.request);
    out.u64(base::value(convert.lock));
    out.u8(static_cast<std::uint8_t>(convert.mode));
    out.u32(convert.flags);
    out.u32(convert.patience);
    put(out, convert.value);
  }

  void operator()(const Release& release) const {
    kind(Kind::release);
    put(out, release.request);
    out.u64(base::value(release.lock));
    out.u64(base::value(release.token));
    out.u32(release.flags);
    put(out, release.value);
  }

  void operator()(const Cancel& cancel) const {
    kind(Kind::cancel);
    put(out, cancel.request);
    out.u64(base::value(cancel.lock));
  }

  void operator()(const TimeOut& time_out) const {
    kind(Kind::time_out);
    put(out, time_out.session, time_out.generation);
    out.u64(base::value(time_out.lock));
    out.u64(base::value(time_out.waiting));
  }

  void operator()(const DropOrphans& drop) const {
    kind(Kind::drop_orphans);
    put(out, drop.request);
    out.node(drop.node);
    out.u32(drop.pid);
  }

  void operator()(const JoinLockspace& join) const {
    kind(Kind::join_lockspace);
    put(out, join.request);
    out.u8(static_cast<std::uint8_t>(join.kind));
    out.u16(join.permissions);
    put(out, join.lockspace, 1, dlm::kMaxLockspaceName);
  }

  void operator()(const LeaveLockspace& leave) const {
    kind(Kind::leave_lockspace);
    put(out, leave.request);
    out.u8(leave.force ? 1 : 0);
    put(out, leave.lockspace, 1, dlm::kMaxLockspaceName);
  }

  void operator()(const BarrierCreate& create) const {
    kind(Kind::barrier_create);
    put(out, create.request);
    put(out, create.name);
    put(out, create.settings);
  }

  void operator()(const BarrierChange& change) const {
    kind(Kind::barrier_change);
    put(out, change.request);
    put(out, change.name);
    out.u8(static_cast<std::uint8_t>(change.attribute));
    out.u32(change.value);
  }

  void operator()(const BarrierArrive& arrive) const {
    kind(Kind::barrier_arrive);
    put(out, arrive.request);
    put(out, arrive.name);
    out.u8(arrive.settings ? 1 : 0);
    if (arrive.settings) put(out, *arrive.settings);
    put(out, arrive.value);
  }

  void operator()(const BarrierLeave& leave) const {
    kind(Kind::barrier_leave);
    put(out, leave.request);
    out.u64(base::value(leave.generation));
    put(out, leave.value);
  }

  void operator()(const BarrierWithdraw& withdraw) const {
    kind(Kind::barrier_withdraw);
    put(out, withdraw.request);
    put(out, withdraw.name);
    out.u64(base::value(withdraw.arrival));
  }

  void operator()(const BarrierCancel& cancel) const {
    kind(Kind::barrier_cancel);
    put(out, cancel.request);
    put(out, cancel.name);
  }

  void operator()(const BarrierDelete& removal) const {
    kind(Kind::barrier_delete);
    put(out, removal.request);
    put(out, removal.name);
    out.u8(removal.force ? 1 : 0);
  }

  void operator()(const BarrierAcknowledge& acknowledge) const {
    kind(Kind::barrier_acknowledge);
    CHECK(!acknowledge.receipts.empty() && acknowledge.receipts.size() <= kReceiptsMax);
    out.u8(static_cast<std::uint8_t>(acknowledge.receipts.size()));
    for (const BarrierReceipt& receipt : acknowledge.receipts) {
      out.u64(base::value(receipt.session));
      put(out, receipt.key);
    }
  }

  void operator()(const BarrierTimeOut& time_out) const {
    kind(Kind::barrier_time_out);
    put(out, time_out.key);
  }

  void operator()(const Expire& expire) const {
    kind(Kind::expire);
    put(out, expire.mark.session, expire.mark.generation);
    out.ring(expire.mark.ring);
  }

  void operator()(const Purge&) const { kind(Kind::purge); }

  void operator()(const ColdEnd& end) const {
    kind(Kind::cold_end);
    out.ring(end.cold);
  }
};

template <typename Bits>
Bits bits_of(base::ByteReader& in) {
  Bits value;
  base::Bytes taken = in.bytes(value.bits.size());
  std::copy(taken.begin(), taken.end(), value.bits.begin());
  return value;
}

std::string name_of(base::ByteReader& in, std::size_t least, std::size_t most) {
  std::uint32_t size = in.count8(static_cast<std::uint32_t>(most));
  if (size < least) in.fail();
  return base::text_of(in.bytes(size));
}

dlm::Mode mode_of(base::ByteReader& in) {
  std::optional<dlm::Mode> mode = dlm::mode_of(in.u8());
  if (!mode) in.fail();
  return mode.value_or(dlm::Mode::nl);
}

bool flag_of(base::ByteReader& in) {
  return in.count8(1) == 1;
}

std::optional<dlm::ValueBlock> value_of(base::ByteReader& in) {
  if (!flag_of(in)) return std::nullopt;
  dlm::ValueBlock value;
  const base::Bytes taken = in.bytes(value.size());
  std::copy(taken.begin(), taken.end(), value.begin());
  return value;
}

// Fields are read in the order in which they are named here: braces promise it.
Request request_of(base::ByteReader& in) {
  return {SessionId{in.u64()}, Generation{in.u64()}, RequestId{in.u64()}, RequestId{in.u64()}};
}

Open open_of(base::ByteReader& in) {
  return {OpenNumber{in.u64()},
          secret_of(in),
          instance_of(in),
          in.u32(),
          in.u32(),
          in.u32(),
          name_of(in, 0, kProgramBytesMax)};
}

Acquire acquire_of(base::ByteReader& in) {
  Acquire acquire;
  acquire.request = request_of(in);
  acquire.mode = mode_of(in);
  acquire.flags = in.u32();
  acquire.owner = dlm::Owner{in.u64()};
  acquire.patience = in.u32();
  acquire.lockspace = name_of(in, 1, dlm::kMaxLockspaceName);
  acquire.resource = name_of(in, 1, dlm::kMaxResourceName);
  return acquire;
}

AcquireAll acquire_all_of(base::ByteReader& in) {
  AcquireAll all;
  all.request = request_of(in);
  all.flags = in.u32();
  all.owner = dlm::Owner{in.u64()};
  all.patience = in.u32();
  const std::uint32_t parts = in.count8(dlm::kMaxParts);
  if (parts == 0) in.fail();
  for (std::uint32_t i = 0; i < parts && !in.failed(); ++i) {
    AcquirePart part;
    part.mode = mode_of(in);
    part.lockspace = name_of(in, 1, dlm::kMaxLockspaceName);
    part.resource = name_of(in, 1, dlm::kMaxResourceName);
    all.parts.push_back(std::move(part));
  }
  return all;
}

Convert convert_of(base::ByteReader& in) {
  Convert convert;
  convert.request = request_of(in);
  convert.lock = RequestId{in.u64()};
  convert.mode = mode_of(in);
  convert.flags = in.u32();
  convert.patience = in.u32();
  convert.value = value_of(in);
  return convert;
}

JoinLockspace join_of(base::ByteReader& in) {
  constexpr auto kLast = static_cast<std::uint32_t>(JoinLockspace::Kind::create_new);
  return {request_of(in), JoinLockspace::Kind{static_cast<std::uint8_t>(in.count8(kLast))},
          in.u16(), name_of(in, 1, dlm::kMaxLockspaceName)};
}

template <typename Word>
Word word_of(base::ByteReader& in, Word last) {
  return Word{static_cast<std::uint8_t>(in.count8(static_cast<std::uint32_t>(last)))};
}

barrier::Name barrier_name_of(base::ByteReader& in) {
  std::string lockspace = name_of(in, 1, barrier::kMaxLockspaceName);
  return {std::move(lockspace), name_of(in, 1, barrier::kMaxBarrierName)};
}

BarrierSettings settings_of(base::ByteReader& in) {
  BarrierSettings settings;
  settings.config.parties = in.u32();
  settings.config.unit = word_of(in, barrier::Unit::node);
  settings.config.on_death = word_of(in, barrier::OnDeath::wait);
  settings.config.two_steps = flag_of(in);
  settings.auto_delete = flag_of(in);
  settings.patience = in.u32();
  return settings;
}

barrier::OutcomeKey key_of(base::ByteReader& in) {
  const barrier::Generation generation{in.u64()};
  return {generation, word_of(in, barrier::Step::leave)};
}

base::Buffer barrier_value_of(base::ByteReader& in) {
  const base::Bytes value = in.bytes(in.count16(barrier::kMaxValue));
  return {value.begin(), value.end()};
}

BarrierArrive barrier_arrive_of(base::ByteReader& in) {
  BarrierArrive arrive{request_of(in), barrier_name_of(in), {}, {}};
  if (flag_of(in)) arrive.settings = settings_of(in);
  arrive.value = barrier_value_of(in);
  return arrive;
}

BarrierAcknowledge barrier_acknowledge_of(base::ByteReader& in) {
  BarrierAcknowledge acknowledge;
  const std::uint32_t count = in.count8(kReceiptsMax);
  if (count == 0) in.fail();
  for (std::uint32_t i = 0; i < count && !in.failed(); ++i) {
    const SessionId session{in.u64()};
    acknowledge.receipts.push_back({session, key_of(in)});
  }
  return acknowledge;
}

Command::Body body_of(base::ByteReader& in) {
  switch (static_cast<Kind>(in.u8())) {
    case Kind::open:
      return open_of(in);
    case Kind::resume:
      return Resume{SessionId{in.u64()}, Generation{in.u64()}, secret_of(in), instance_of(in)};
    case Kind::detached:
      return Detached{SessionId{in.u64()}, Generation{in.u64()}};
    case Kind::close:
      return Close{SessionId{in.u64()}, Generation{in.u64()}};
    case Kind::acquire:
      return acquire_of(in);
    case Kind::release:
      return Release{request_of(in), RequestId{in.u64()}, Token{in.u64()}, in.u32(), value_of(in)};
    case Kind::cancel:
      return Cancel{request_of(in), RequestId{in.u64()}};
    case Kind::expire:
      return Expire{{SessionId{in.u64()}, Generation{in.u64()}, in.ring()}};
    case Kind::purge:
      return Purge{};
    case Kind::cold_end:
      return ColdEnd{in.ring()};
    case Kind::acquire_all:
      return acquire_all_of(in);
    case Kind::convert:
      return convert_of(in);
    case Kind::time_out:
      return TimeOut{SessionId{in.u64()}, Generation{in.u64()}, RequestId{in.u64()},
                     RequestId{in.u64()}};
    case Kind::drop_orphans:
      return DropOrphans{request_of(in), in.node(), in.u32()};
    case Kind::join_lockspace:
      return join_of(in);
    case Kind::leave_lockspace:
      return LeaveLockspace{request_of(in), flag_of(in), name_of(in, 1, dlm::kMaxLockspaceName)};
    case Kind::barrier_create:
      return BarrierCreate{request_of(in), barrier_name_of(in), settings_of(in)};
    case Kind::barrier_change:
      return BarrierChange{request_of(in), barrier_name_of(in),
                           word_of(in, barrier::Attribute::patience), in.u32()};
    case Kind::barrier_arrive:
      return barrier_arrive_of(in);
    case Kind::barrier_leave:
      return BarrierLeave{request_of(in), barrier::Generation{in.u64()}, barrier_value_of(in)};
    case Kind::barrier_withdraw:
      return BarrierWithdraw{request_of(in), barrier_name_of(in), RequestId{in.u64()}};
    case Kind::barrier_cancel:
      return BarrierCancel{request_of(in), barrier_name_of(in)};
    case Kind::barrier_delete:
      return BarrierDelete{request_of(in), barrier_name_of(in), flag_of(in)};
    case Kind::barrier_acknowledge:
      return barrier_acknowledge_of(in);
    case Kind::barrier_time_out:
      return BarrierTimeOut{key_of(in)};
  }
  in.fail();
  return Purge{};
}

}  // namespace

Secret secret_of(base::ByteReader& in) {
  return bits_of<Secret>(in);
}
Instance instance_of(base::ByteReader& in) {
  return bits_of<Instance>(in);
}

void encode(const Command& command, base::Buffer& out) {
  encode(command.body, command.second, out);
}

void encode(const Command::Body& body, std::uint32_t second, base::Buffer& out) {
  base::ByteWriter writer(out);
  writer.u32(second);
  std::visit(Writer{writer}, body);
}

std::optional<Command> decode_command(const RingId& ring, base::Bytes bytes) {
  base::ByteReader in(bytes);
  Command command;
  command.ring = ring;
  command.second = in.u32();
  command.body = body_of(in);
  if (!in.finish()) return std::nullopt;
  return command;
}

}  // namespace lockd
