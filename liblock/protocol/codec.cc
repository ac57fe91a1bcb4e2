#include "liblock/protocol/codec.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "base/check.h"

namespace liblock::protocol {
namespace {

using base::ByteReader;
using base::Bytes;
using base::ByteWriter;

// The first byte of a frame's content. Requests are below 64, responses above.
// clang-format off
template <typename Message> constexpr std::uint8_t kType = 0;
template <> constexpr std::uint8_t kType<Hello> = 1;
template <> constexpr std::uint8_t kType<Acquire> = 2;
template <> constexpr std::uint8_t kType<Release> = 3;
template <> constexpr std::uint8_t kType<Cancel> = 4;
template <> constexpr std::uint8_t kType<Keepalive> = 5;
template <> constexpr std::uint8_t kType<Close> = 6;
template <> constexpr std::uint8_t kType<List> = 7;
template <> constexpr std::uint8_t kType<Show> = 8;
template <> constexpr std::uint8_t kType<StatusQuery> = 9;
template <> constexpr std::uint8_t kType<MembersQuery> = 10;
template <> constexpr std::uint8_t kType<EvsJoin> = 11;
template <> constexpr std::uint8_t kType<EvsLeave> = 12;
template <> constexpr std::uint8_t kType<EvsMulticast> = 13;
template <> constexpr std::uint8_t kType<EvsMulticastView> = 13;
template <> constexpr std::uint8_t kType<RingStatusQuery> = 14;
template <> constexpr std::uint8_t kType<RingLogQuery> = 15;
template <> constexpr std::uint8_t kType<WhyQuery> = 16;
template <> constexpr std::uint8_t kType<Welcome> = 65;
template <> constexpr std::uint8_t kType<Refused> = 66;
template <> constexpr std::uint8_t kType<Reply> = 67;
template <> constexpr std::uint8_t kType<State> = 68;
template <> constexpr std::uint8_t kType<Lost> = 69;
template <> constexpr std::uint8_t kType<ListPage> = 70;
template <> constexpr std::uint8_t kType<ShowPage> = 71;
template <> constexpr std::uint8_t kType<Status> = 72;
template <> constexpr std::uint8_t kType<Members> = 73;
template <> constexpr std::uint8_t kType<EvsWelcome> = 74;
template <> constexpr std::uint8_t kType<EvsDone> = 75;
template <> constexpr std::uint8_t kType<EvsCredit> = 76;
template <> constexpr std::uint8_t kType<EvsDelivery> = 77;
template <> constexpr std::uint8_t kType<EvsDeliveryView> = 77;
template <> constexpr std::uint8_t kType<EvsConfiguration> = 78;
template <> constexpr std::uint8_t kType<RingStatus> = 79;
template <> constexpr std::uint8_t kType<RingLogPage> = 80;
template <> constexpr std::uint8_t kType<Why> = 81;
// clang-format on

// The longest content of a frame, by what is in it.
template <typename Message>
constexpr std::size_t content_max_of(std::size_t others) {
  constexpr bool long_one =
      std::is_same_v<Message, EvsJoin> || std::is_same_v<Message, EvsLeave> ||
      std::is_same_v<Message, EvsMulticast> || std::is_same_v<Message, EvsMulticastView> ||
      std::is_same_v<Message, EvsDelivery> || std::is_same_v<Message, EvsDeliveryView>;
  return long_one ? kEvsFrameBytesMax : others;
}

// Every text and list is within what a frame can hold, whatever it is filled with.
static_assert(64 + 2 * kCommandBytesMax < kRequestBytesMax);
static_assert(64 + kLockspaceBytesMax + kResourceBytesMax < kRequestBytesMax);
static_assert(64 + kAdviceBytesMax < kResponseBytesMax);
static_assert(kListItemsMax * (64 + kLockspaceBytesMax + kResourceBytesMax + kCommandBytesMax) <
              kResponseBytesMax);
static_assert(kShowLocksMax * (64 + kCommandBytesMax) < kResponseBytesMax);
static_assert(kMembersMax * (64 + kTextBytesMax) < kResponseBytesMax);
static_assert(64 + kTextBytesMax + kMembersMax * (12 + 16 + kTextBytesMax) < kResponseBytesMax);
static_assert(kRingEventsMax * (80 + 2 * kTextBytesMax) < kResponseBytesMax);
static_assert(64 + 3 * kMembersMax * 12 < kResponseBytesMax);
static_assert(128 + kEvsGroupsMax * sizeof(GroupKey) + kEvsPayloadBytesMax < kEvsFrameBytesMax);
static_assert(256 + 3 * kTextBytesMax + kCountersMax * (16 + kTextBytesMax) < kResponseBytesMax);

class Writer;

// What fields() is given: const for the Writer.
template <typename Io, typename Message>
using message_of = std::conditional_t<std::is_same_v<Io, Writer>, const Message, Message>;

// A message's layout is written once, in fields(); a Writer and a Reader go through it alike. Both
// answer to the same names.
class Writer {
 public:
  explicit Writer(base::Buffer& out) : out_(out) {}

  void skip() {}
  void u16(std::uint16_t v) { out_.u16(v); }
  void u32(std::uint32_t v) { out_.u32(v); }
  void u64(std::uint64_t v) { out_.u64(v); }
  void node(NodeId v) { out_.node(v); }
  void ring(const RingId& v) { out_.ring(v); }
  void processor(const Processor& v) { out_.processor(v); }
  void flag(bool v) { out_.u8(v ? 1 : 0); }
  template <typename Id>
  void id(Id v) {
    out_.u64(base::value(v));
  }
  template <typename Enum>
  void word(Enum v, Enum first, Enum last) {
    CHECK(v >= first && v <= last);
    out_.u8(static_cast<std::uint8_t>(v));
  }
  void duration(Duration v) {
    CHECK(v >= Duration::zero());
    out_.u64(static_cast<std::uint64_t>(v.count()));
  }
  template <std::size_t size>
  void array(const std::array<std::byte, size>& v) {
    out_.bytes(v);
  }
  void rest(Bytes v, std::size_t most) {
    CHECK(v.size() <= most);
    out_.bytes(v);
  }
  void groups(std::span<const GroupKey> v) {
    CHECK(!v.empty() && v.size() <= kEvsGroupsMax);
    out_.u16(static_cast<std::uint16_t>(v.size()));
    for (const GroupKey& group : v) out_.bytes(group.bytes);
  }
  void text(const std::string& v, std::size_t most) {
    CHECK(v.size() <= most);
    out_.bytes16(base::bytes_of(v));
  }
  void name(const std::string& v, std::size_t most) {
    CHECK(!v.empty());
    text(v, most);
  }
  template <typename Item>
  void list(const std::vector<Item>& items, std::size_t most) {
    CHECK(items.size() <= most);
    out_.u16(static_cast<std::uint16_t>(items.size()));
    for (const Item& item : items) fields(*this, item);
  }

 private:
  ByteWriter out_;
};

class Reader {
 public:
  explicit Reader(Bytes in) : in_(in) {}

  bool finish() const { return in_.finish(); }

  void skip() { in_.rest(); }
  void u16(std::uint16_t& v) { v = in_.u16(); }
  void u32(std::uint32_t& v) { v = in_.u32(); }
  void u64(std::uint64_t& v) { v = in_.u64(); }
  void node(NodeId& v) { v = in_.node(); }
  void ring(RingId& v) { v = in_.ring(); }
  void processor(Processor& v) { v = in_.processor(); }
  void flag(bool& v) { v = bounded(0, 1) == 1; }
  template <typename Id>
  void id(Id& v) {
    v = Id{in_.u64()};
  }
  template <typename Enum>
  void word(Enum& v, Enum first, Enum last) {
    v = static_cast<Enum>(
        bounded(static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(last)));
  }
  // Up to 146 years, so that the sum of two never overflows.
  void duration(Duration& v) {
    const std::uint64_t nanoseconds = in_.u64();
    if (nanoseconds > std::uint64_t{1} << 62) in_.fail();
    v = Duration{in_.failed() ? 0 : static_cast<std::int64_t>(nanoseconds)};
  }
  template <std::size_t size>
  void array(std::array<std::byte, size>& v) {
    const Bytes from = in_.bytes(size);
    std::copy(from.begin(), from.end(), v.begin());
  }
  void rest(Bytes& v, std::size_t most) {
    v = in_.rest();
    if (v.size() > most) in_.fail();
  }
  void rest(base::Buffer& v, std::size_t most) {
    Bytes from;
    rest(from, most);
    if (!in_.failed()) v.assign(from.begin(), from.end());
  }
  void groups(std::span<const GroupKey>& v) {
    const std::uint32_t count = in_.count16(kEvsGroupsMax);
    if (count == 0) return in_.fail();
    v = base::group_keys(in_.bytes(count * sizeof(GroupKey)));
  }
  void groups(std::vector<GroupKey>& v) {
    std::span<const GroupKey> from;
    groups(from);
    v.assign(from.begin(), from.end());
  }
  void text(std::string& v, std::size_t most) {
    v = base::text_of(in_.bytes(in_.count16(static_cast<std::uint32_t>(most))));
  }
  void name(std::string& v, std::size_t most) {
    text(v, most);
    if (v.empty()) in_.fail();
  }
  template <typename Item>
  void list(std::vector<Item>& items, std::size_t most) {
    const std::uint32_t count = in_.count16(static_cast<std::uint32_t>(most));
    for (std::uint32_t i = 0; i < count && !in_.failed(); ++i) fields(*this, items.emplace_back());
  }

 private:
  std::uint8_t bounded(std::uint8_t first, std::uint8_t last) {
    const std::uint8_t v = in_.u8();
    if (v < first || v > last) in_.fail();
    return in_.failed() ? first : v;
  }

  ByteReader in_;
};

template <typename Io, typename V>
void stamp(Io& io, V& v) {
  io.duration(v.boot);
  io.duration(v.raw);
}

template <typename Io, typename V>
void note(Io& io, V& v) {
  stamp(io, v.echo);
  io.duration(v.remaining);
}

// ---- Client to daemon ----

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
void fields(Io& io, message_of<Io, Acquire>& v) {
  io.id(v.request);
  io.id(v.acknowledged);
  stamp(io, v.stamp);
  io.word(v.mode, Mode::nl, Mode::ex);
  io.flag(v.no_queue);
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
}

template <typename Io>
void fields(Io& io, message_of<Io, Cancel>& v) {
  io.id(v.request);
  io.id(v.acknowledged);
  stamp(io, v.stamp);
  io.id(v.acquire);
}

template <typename Io>
void fields(Io& io, message_of<Io, Keepalive>& v) {
  io.id(v.acknowledged);
  stamp(io, v.stamp);
}

template <typename Io>
void fields(Io&, message_of<Io, Close>&) {}

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

// ---- Groups, both ways ----

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

// ---- Daemon to client ----

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
  note(io, v.note);
}

template <typename Io>
void fields(Io& io, message_of<Io, Refused>& v) {
  io.word(v.error, Refusal::version, Refusal::too_slow);
  io.text(v.advice, kAdviceBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, Reply>& v) {
  io.id(v.request);
  io.word(v.answer, Answer::granted, Answer::stale);
  io.word(v.mode, Mode::nl, Mode::ex);
  io.id(v.token);
  note(io, v.note);
  io.text(v.advice, kAdviceBytesMax);
}

template <typename Io>
void fields(Io& io, message_of<Io, State>& v) {
  io.flag(v.primary);
  io.u64(v.generation);
  note(io, v.note);
}

template <typename Io>
void fields(Io& io, message_of<Io, Lost>& v) {
  io.word(v.reason, LostReason::expired, LostReason::shutdown);
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
  io.word(v.mode, Mode::nl, Mode::ex);
  io.id(v.token);
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

// ---- Frames ----

template <typename Message>
void encode_frame(const Message& message, std::size_t content_max, base::Buffer& out) {
  const std::size_t begin = out.size();
  Writer writer(out);
  writer.u32(0);
  out.push_back(std::byte{kType<Message>});
  fields(writer, message);
  const std::size_t content = out.size() - begin - kFrameHeaderBytes;
  CHECK(content <= content_max_of<Message>(content_max));
  for (std::size_t i = 0; i < kFrameHeaderBytes; ++i) {
    out[begin + i] = static_cast<std::byte>(content >> (8 * i));
  }
}

// Tries the alternatives of a variant in turn: the first whose type fits is decoded.
template <typename Messages, std::size_t index = 0>
base::Result<Messages, DecodeError> decode_content(Bytes content, std::size_t content_max) {
  if constexpr (index == std::variant_size_v<Messages>) {
    return base::error(DecodeError::unknown_type);
  } else {
    using Message = std::variant_alternative_t<index, Messages>;
    if (content.empty()) return base::error(DecodeError::malformed);
    if (content.front() != std::byte{kType<Message>}) {
      return decode_content<Messages, index + 1>(content, content_max);
    }
    if (content.size() > content_max_of<Message>(content_max)) {
      return base::error(DecodeError::too_long);
    }
    Reader in(content.subspan(1));
    Message message;
    fields(in, message);
    if (!in.finish()) return base::error(DecodeError::malformed);
    return Messages{std::move(message)};
  }
}

}  // namespace

void encode(const Request& request, base::Buffer& out) {
  std::visit([&](const auto& one) { encode_frame(one, kRequestBytesMax, out); }, request);
}

void encode(const EvsMulticastView& message, base::Buffer& out) {
  encode_frame(message, kRequestBytesMax, out);
}

void encode(const Response& response, base::Buffer& out) {
  std::visit([&](const auto& one) { encode_frame(one, kResponseBytesMax, out); }, response);
}

void encode(const EvsDeliveryView& delivery, base::Buffer& out) {
  encode_frame(delivery, kResponseBytesMax, out);
}

std::optional<EvsDeliveryView> decode_evs_delivery(Bytes content) {
  if (content.empty() || content.front() != std::byte{kType<EvsDelivery>}) return std::nullopt;
  Reader in(content.subspan(1));
  EvsDeliveryView delivery;
  fields(in, delivery);
  if (!in.finish()) return std::nullopt;
  return delivery;
}

base::Result<Request, DecodeError> decode_request(Bytes content) {
  return decode_content<Request>(content, kRequestBytesMax);
}

base::Result<Response, DecodeError> decode_response(Bytes content) {
  return decode_content<Response>(content, kResponseBytesMax);
}

void FrameCutter::append(Bytes bytes) {
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(begin_));
  begin_ = 0;
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

base::Result<std::optional<Bytes>, DecodeError> FrameCutter::next() {
  const Bytes all = Bytes(buffer_).subspan(begin_);
  if (all.size() < kFrameHeaderBytes) return std::optional<Bytes>{};
  const std::size_t content = ByteReader(all.first(kFrameHeaderBytes)).u32();
  if (content == 0) return base::error(DecodeError::malformed);
  if (content > content_max_) return base::error(DecodeError::too_long);
  if (all.size() < kFrameHeaderBytes + content) return std::optional<Bytes>{};
  begin_ += kFrameHeaderBytes + content;
  return std::optional<Bytes>{all.subspan(kFrameHeaderBytes, content)};
}

}  // namespace liblock::protocol
